"""Where a run's data lie: kept in two ways, so that it is found again. Imports nothing heavy.

`config.json` holds the folder as an absolute path, which stands wherever the command is given, and
as one that begins at the run, which stands where run and data were moved together.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nearfar.data.source_spec import SourceSpec
from nearfar.errors import SettingError
from nearfar.run_folder.folder import RunFolder
from nearfar.training.config_format import read_config

FROM_RUN = "root_from_run"
"""Key among the settings of `data` in `config.json`, beside `root`."""


def with_absolute_root(data: SourceSpec) -> SourceSpec:
    """The same data, named by a path that holds in every working folder.

    Args:
        data: With or without a root, which may begin with `~`.
    """
    return data if data.place is None else data.at(data.place.expanduser().absolute())


def both_roots(root: Path, run: Path) -> dict[str, str]:
    """A root as `config.json` holds it.

    Args:
        root: Folder or file of the data.
        run: Folder of the run.
    """
    absolute = root.expanduser().absolute()
    roots = {"root": str(absolute)}
    with suppress(ValueError):  # on another drive, where no path leads from one to the other
        # Resolved, for `..` behind a symbolic link leads elsewhere than its text says.
        roots[FROM_RUN] = Path(os.path.relpath(absolute.resolve(), run.resolve())).as_posix()
    return roots


def tried_roots(data: Mapping[str, Any], run: Path) -> list[Path]:
    """Where the data of a run may lie, in the order in which they are looked for.

    Args:
        data: The settings of `data` in `config.json`.
        run: Folder of the run.
    """
    absolute, from_run = data.get("root"), data.get(FROM_RUN)
    tried = [Path(absolute)] if isinstance(absolute, str) else []
    if isinstance(from_run, str):
        tried.append(Path(os.path.normpath(run.resolve() / from_run)))
    return list(dict.fromkeys(tried))


def refuse_lost_data(run: Path, data: SourceSpec) -> None:
    """Refuse to go on where the run's own data are in none of their places.

    Args:
        run: Folder of the run.
        data: What is to be read; other data than the run's are not looked at.

    Raises:
        SettingError: Naming the places.
    """
    settings = read_config(RunFolder.open(run)).get("data")
    if data.place is None or data.may_download or not isinstance(settings, dict):
        return
    tried = tried_roots(settings, run)
    if data.place in tried and not any(root.exists() for root in tried):
        raise SettingError(
            f"the data of {run} are not at {' nor at '.join(str(root) for root in tried)}: put "
            "them back, or evaluate with --data.root where they are now"
        )
