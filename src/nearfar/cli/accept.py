"""`nearfar accept RUN [FILE…]`: take files of a run as they are, though changed by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from nearfar.cli.arguments import parse
from nearfar.errors import NearfarError, SettingError
from nearfar.run_folder import names
from nearfar.run_folder.manifest import Manifest

_INNER = (
    f"{names.CHECKPOINTS}/step-????????.*",
    f"{names.TENSORBOARD}/events.out.tfevents.*",
)
_OF_ENCODERS = {name for files in names.TOWERS.values() for name in files}


@dataclass(frozen=True)
class AcceptArguments:
    """Take files of a run as they are now.

    Every file of a run has a checksum in its run.json, and one that was changed by hand, or put
    there from elsewhere, is refused wherever it is read. This command is the word that lets it be
    used.
    """

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """Folder of the run."""
    files: Annotated[Positional[tuple[str, ...]], arg(metavar="[FILE…]")] = ()
    """Files in it, such as config.json; left out, all of a run without a whole run.json."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar accept` with the words after it."""
    arguments = parse(AcceptArguments, "accept", words)
    folder, chosen = arguments.run, arguments.files
    if not folder.is_dir():
        raise NearfarError(f"no run folder at {folder}: check the path")
    manifest = Manifest(folder)
    anew = not chosen
    if anew:
        chosen = _files_of_a_run(manifest)

    from nearfar.encoders.encoder_files import reseal
    from nearfar.run_folder.lock import locked

    with locked(folder, "accepting files"):
        for tower, (weights, settings, head) in names.TOWERS.items():
            there = all((folder / name).is_file() for name in (weights, settings))
            if there and set(chosen) & {weights, settings, head}:
                reseal(folder, tower)
                chosen = tuple(dict.fromkeys([*chosen, settings]))
        # A copy of an encoder by itself needs no manifest: its description holds the checksums.
        if anew or manifest.exists() or not set(chosen) <= _OF_ENCODERS:
            manifest.accept(chosen, anew=anew)

    from nearfar.terminal import Terminal, shown

    Terminal(goes_on=True).print(f"taken as they are: {shown(', '.join(chosen))}", soft_wrap=True)


def _files_of_a_run(manifest: Manifest) -> tuple[str, ...]:
    """The files of a run that has no manifest, or a damaged one."""
    folder = manifest.folder
    if manifest.exists():
        try:
            state = manifest.state()
        except NearfarError:
            pass
        else:
            changed = [
                name
                for name, entry in state.files.items()
                if (folder / name).is_file() and not entry.fits((folder / name).read_bytes())
            ]
            told = f"these are not as nearfar wrote them: {', '.join(changed)}"
            raise SettingError(
                f"name the files of {folder} that are to be taken as they are; "
                + (told if changed else "all are as nearfar wrote them")
            )
    is_run = {names.CONFIG, names.ENVIRONMENT} <= {path.name for path in folder.iterdir()}
    if not (is_run or (folder / names.MUTUAL_INFORMATION).is_file()):
        raise NearfarError(f"{folder} does not look like a run: {names.CONFIG} is not in it")
    inner = sorted(path for name in _INNER for path in folder.glob(name))
    return (
        *(name for name in names.FILES if (folder / name).is_file()),
        *(path.relative_to(folder).as_posix() for path in inner if path.is_file()),
    )
