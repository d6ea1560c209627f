"""OpenMoji's drawings as images beside their names and tags, for `--data openmoji`.

python -m tools.openmoji [FOLDER [PACKAGE]]     the npm package openmoji: 5 MB

Fetches the package with `npm pack`, or reads PACKAGE, its .tgz file that was fetched elsewhere.
Nothing of it is run or unpacked: drawings are read where they lie and drawn by resvg, which fetches
nothing. FOLDER is ~/.cache/nearfar/openmoji where it is left out.
"""

import csv
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nearfar.errors import NearfarError
from nearfar.paths import user_cache

PACKAGE = "openmoji@17.0.0"
SIDE = 72
"""Of an image, in pixels."""
GROUPS = (
    *("activities", "animals-nature", "flags", "food-drink", "objects", "people-body"),
    *("smileys-emotion", "symbols", "travel-places"),
)
"""Unicode's groups of emoji, which are the classes."""
_TABLE, _LICENCE = "package/data/openmoji.csv", "package/LICENSE.txt"


def drawn(package: Path) -> Iterator[tuple[str, str, str, bytes]]:
    """Name, text, group and drawing (SVG) of every emoji of these groups without a skin tone.

    Variants of one emoji in other tones of skin are left out: of such twins one would judge what
    was learnt of the other.

    Args:
        package: The .tgz file.

    Raises:
        NearfarError: It is not the package, or damaged.
    """
    try:
        with tarfile.open(package) as files:
            table = files.extractfile(_TABLE)
            assert table is not None
            rows = list(csv.DictReader(io.TextIOWrapper(table, "utf-8")))
            for row in rows:
                if row["skintone"] or row["group"] not in GROUPS:
                    continue
                svg = files.extractfile(f"package/color/svg/{row['hexcode']}.svg")
                assert svg is not None
                yield row["hexcode"], text_of(row), row["group"], svg.read()
    except (tarfile.TarError, OSError, KeyError, EOFError, UnicodeError) as error:
        raise NearfarError(f"{package}: not the npm package openmoji ({error})") from None


def text_of(row: dict[str, str]) -> str:
    """An emoji's name, and its tags behind it, each once."""
    tags = [each.strip() for name in ("tags", "openmoji_tags") for each in row[name].split(",")]
    others = [each for each in dict.fromkeys(tags) if each and each != row["annotation"]]
    return f"{row['annotation']}: {', '.join(others)}" if others else row["annotation"]


def collect(folder: Path, package: Path) -> int:
    """Draw all emoji of a package into a folder, with the table that names them.

    Args:
        folder: Where to.
        package: The .tgz file.

    Returns:
        How many there are.
    """
    from resvg_py import svg_to_bytes  # pyright: ignore[reportMissingImports]  of make openmoji alone

    (folder / "images").mkdir(parents=True, exist_ok=True)
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow(["path", "text", "group"])
    count = 0
    for name, text, group, svg in drawn(package):
        path = Path("images", f"{name}.png")
        image = svg_to_bytes(svg_string=svg.decode(), width=SIDE, height=SIDE, background="white")
        (folder / path).write_bytes(bytes(image))
        lines.writerow([path, text, group.replace("-", " and ")])
        count += 1
    with tarfile.open(package) as files:
        licence = files.extractfile(_LICENCE)
        assert licence is not None
        (folder / "LICENSE.txt").write_bytes(licence.read())
    # Last: a folder with a table is whole.
    (folder / "openmoji.csv").write_text(written.getvalue(), encoding="utf-8")
    return count


def fetch(folder: Path) -> Path:
    """The package, fetched into a folder.

    Raises:
        NearfarError: It cannot be fetched.
    """
    try:
        done = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=folder, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise NearfarError(
            f"there is no npm here: fetch the npm package {PACKAGE} elsewhere, and name its .tgz "
            "file behind FOLDER"
        ) from None
    found = list(folder.glob("*.tgz"))
    if done.returncode or not found:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NearfarError(f"npm pack {PACKAGE}: {said}")
    return found[0]


if __name__ == "__main__":
    if len(sys.argv) > 3:
        sys.exit(__doc__)
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else user_cache() / "openmoji"
    try:
        with tempfile.TemporaryDirectory() as fetched:
            given = Path(sys.argv[2]) if len(sys.argv) > 2 else fetch(Path(fetched))
            print(f"{collect(target, given)} drawings in {target}")
    except NearfarError as error:
        sys.exit(f"error: {error}")
