"""Where the scores of a run's encoder on other data go: never over those on still other data."""

import re
from pathlib import Path

from nearfar.data.fingerprint import source_fingerprint
from nearfar.data.source import Source
from nearfar.data.source_spec import SourceSpec
from nearfar.errors import NearfarError
from nearfar.run_folder import names
from nearfar.run_folder.folder import RunFolder

_PLAIN_NAME = 40


def folder_for(
    run: RunFolder, data: SourceSpec, source: Source, *, out: Path | None, overwrite: bool
) -> RunFolder:
    """The folder for the scores on other data, free or to be replaced; it is not made here.

    Args:
        run: Whose encoder is judged.
        data: What it is judged on.
        source: The same, read.
        out: Where to put them; None puts them inside the run, named by the data and their content:
            equal data have one folder, other data at the same place another.
        overwrite: Replace the scores that lie there.

    Raises:
        NearfarError: Scores lie there already and are not to be replaced, or something else does.
    """
    where = out
    if where is None:
        name = source.name if data.place is None else data.place.stem or data.place.name
        plain = re.sub(r"[^\w.-]+", "-", name)[:_PLAIN_NAME].strip("-.") or source.name
        where = run.path / f"on-{plain}-{source_fingerprint(source)[:8]}"
    target = RunFolder(where)
    if not target.path.exists():
        return target
    if not target.path.is_dir():
        raise NearfarError(f"--out {where} is no folder: choose another")
    there = sorted(entry.name for entry in target.path.iterdir() if entry.name != names.LOCK)
    if any(file.exists() for file in (target.environment, target.metrics, target.encoder_weights)):
        raise NearfarError(
            f"{where} is a run of its own, which these scores would overwrite: choose another --out"
        )
    if there and not target.manifest.exists():
        raise NearfarError(f"{where} is not empty ({there[0]} is there): choose another --out")
    if target.evaluation.exists() and not overwrite:
        raise NearfarError(
            f"{where} holds scores on these data already: pass --overwrite to judge anew, or "
            "choose another --out"
        )
    return target


def said_first(run: RunFolder, data: SourceSpec, source: Source) -> str:
    """What a reader of the page must know before all else: whose encoder, and on what.

    Args:
        run: Whose encoder is judged.
        data: What it is judged on.
        source: The same, read.
    """
    where = "" if data.place is None else f" at {data.place}"
    return (
        f"These are the scores of the encoder of the run {run.path.resolve()}, judged on "
        f"{source.name}{where}. What is said of training is of that run, on its own data."
    )
