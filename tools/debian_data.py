"""Fonts, drawings and glosses from Debian's packages, unpacked into a folder; nothing is installed.

python -m tools.debian_data fonts [FOLDER]      the packages of tools/font_packages.txt: 100 MB
python -m tools.debian_data clipart [FOLDER]    openclipart-png: 120 MB
python -m tools.debian_data wordnet [FOLDER]    wordnet-base: 6 MB

Needs `apt-get` and `dpkg-deb`, as Debian and Ubuntu have them, and no rights of an administrator.
FOLDER is ~/.cache/nearfar/fonts, ~/.cache/nearfar/clipart or ~/.cache/nearfar/wordnet where it is
left out.
"""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from nearfar.errors import NearfarError
from nearfar.paths import user_cache

FONT_PACKAGES = Path(__file__).with_name("font_packages.txt")
_FONT_ENDINGS = (".ttf", ".otf", ".woff2")
_CLIPART_FOLDER = PurePosixPath("usr/share/openclipart/png")
_WORDNET_FOLDER = PurePosixPath("usr/share/wordnet")


def font_place(package: str, name: PurePosixPath) -> PurePosixPath | None:
    """Where a file of a package goes; None where it is neither a font nor the licence."""
    if name.suffix.lower() in _FONT_ENDINGS:
        # Some packages have a font twice, in folders of their own.
        return PurePosixPath(package, name.parent.name, name.name)
    return PurePosixPath(package, ".copyright") if name.name == "copyright" else None


def clipart_place(package: str, name: PurePosixPath) -> PurePosixPath | None:  # noqa: ARG001
    """The same for drawings, which keep the folders of their categories."""
    if name.suffix.lower() == ".png" and name.is_relative_to(_CLIPART_FOLDER):
        return name.relative_to(_CLIPART_FOLDER)
    return PurePosixPath(".copyright") if name.name == "copyright" else None


def wordnet_place(package: str, name: PurePosixPath) -> PurePosixPath | None:  # noqa: ARG001
    """The same for the data files of WordNet."""
    if name.stem == "data" and name.parent == _WORDNET_FOLDER:
        return PurePosixPath(name.name)
    return PurePosixPath(".copyright") if name.name == "copyright" else None


KINDS = {
    "fonts": (lambda: FONT_PACKAGES.read_text().split(), font_place),
    "clipart": (lambda: ["openclipart-png"], clipart_place),
    "wordnet": (lambda: ["wordnet-base"], wordnet_place),
}


def collect(kind: str, folder: Path) -> int:
    """Fetch the packages of a kind and unpack what is wanted of them.

    Args:
        kind: fonts, clipart or wordnet.
        folder: Where to.

    Returns:
        How many files there are now.

    Raises:
        NearfarError: A package cannot be fetched or unpacked.
    """
    packages, place = KINDS[kind]
    with tempfile.TemporaryDirectory() as fetched:
        return sum(unpack(package, folder, place) for package in fetch(packages(), Path(fetched)))


def fetch(packages: Sequence[str], folder: Path) -> list[Path]:
    """Fetch packages of Debian into a folder.

    Raises:
        NearfarError: One cannot be fetched.
    """
    _run(["apt-get", "download", *packages], folder)
    return sorted(folder.glob("*.deb"))


def unpack(package: Path, folder: Path, place) -> int:
    """Write the files of one package that have a place; returns how many."""
    name, written = package.name.split("_")[0], 0
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as files,
    ):
        for file in files:
            where = place(name, PurePosixPath(file.name))
            content = files.extractfile(file) if file.isfile() else None
            if where is None or content is None:
                continue
            path = folder / where
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())
            written += 1
    if process.returncode:
        raise NearfarError(f"{package}: dpkg-deb cannot read it")
    return written


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        raise NearfarError(
            f"there is no {command[0]} here: on other systems name a folder of your own "
            "files with --data.root"
        ) from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NearfarError(f"{command[0]}: {said}; `apt-get update` may be what is missing")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3 or sys.argv[1] not in KINDS:
        sys.exit(__doc__)
    kind = sys.argv[1]
    folder = Path(sys.argv[2]) if len(sys.argv) == 3 else user_cache() / kind
    try:
        print(f"{collect(kind, folder)} files in {folder}")
    except NearfarError as error:
        sys.exit(f"error: {error}")
