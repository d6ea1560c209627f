"""The run that a new one replaces is kept, inside the folder, until the new one has a checkpoint.

`replaced-ID` takes the files that the old run's manifest names; nothing else of the folder is
touched. The old manifest moves last, and comes back last, so that a process which dies at any
moment leaves a state that `settle` understands:

- the old manifest is still in place beside `replaced-ID`: moving was cut, and is undone;
- there is no manifest: all had moved and no new run began; undone likewise;
- the new manifest is given up, or there is no configuration yet: the new run is removed and the
  old one comes back;
- the new manifest names what it replaces: the new run goes on, until it has a checkpoint.
"""

import re
from pathlib import Path

from nearfar.durable_files import sync_folder, writing
from nearfar.run_folder import names
from nearfar.run_folder.manifest import Manifest, RunState

_ASIDE = re.compile(r"replaced-(?P<id>[0-9a-f]{16})")


def replaced_run(folder: Path) -> Path | None:
    """Where the run lies that the one in `folder` replaces; None where there is none."""
    manifest = Manifest(folder)
    if not manifest.exists():
        return None
    old = manifest.state().replaces
    return _aside(folder, old) if old is not None and _aside(folder, old).is_dir() else None


def is_unsettled(folder: Path) -> bool:
    """Whether a process died while it moved a run aside or back."""
    manifest = Manifest(folder)
    if not manifest.exists():
        return _moved_aside(folder) is not None
    state = manifest.state()
    return _came_to_nothing(folder, state) or _aside(folder, state.id).is_dir()


def settle(folder: Path) -> None:
    """Bring a folder in which a process died while moving back to one whole run.

    Raises:
        NearfarError: The disk refuses.
    """
    manifest = Manifest(folder)
    if not manifest.exists():
        if (moved := _moved_aside(folder)) is not None:
            _bring_back(folder, moved)
        return
    state = manifest.state()
    if _came_to_nothing(folder, state):
        take_back(folder)
    elif (aside := _aside(folder, state.id)).is_dir():
        _bring_back(folder, aside)


def move_aside(folder: Path) -> str:
    """Move the run of a folder aside, so that a new one can begin there.

    Returns:
        Its id, for the manifest of the new run.

    Raises:
        NearfarError: The disk refuses; the run is back as it was, or is at the next `settle`.
    """
    manifest = Manifest(folder)
    state = manifest.state()
    owned = manifest.owned()
    aside = _aside(folder, state.id)
    with writing(aside):
        aside.mkdir()
        for name in _by_links(folder, owned):
            _move(folder / name, aside / name)
        _remove_empty_folders(folder)
        sync_folder(folder)
        _move(manifest.path, aside / names.MANIFEST)
        sync_folder(aside)
        sync_folder(folder)
    return state.id


def take_back(folder: Path) -> bool:
    """Remove a run that came to nothing, and bring the one that it replaced back.

    Returns:
        Whether there was one.

    Raises:
        NearfarError: The disk refuses.
    """
    old = replaced_run(folder)
    if old is None:
        return False
    manifest = Manifest(folder)
    manifest.mark(replaces=manifest.state().replaces, given_up=True)
    _remove_files(folder)
    with writing(folder):
        manifest.path.unlink()
        sync_folder(folder)
    _bring_back(folder, old)
    return True


def drop_replaced(folder: Path) -> None:
    """Remove the run that was replaced: the new one has a checkpoint.

    Raises:
        NearfarError: The disk refuses.
    """
    old = replaced_run(folder)
    if old is not None:
        if Manifest(old).exists():
            _remove_files(old)
        with writing(old):
            (old / names.MANIFEST).unlink(missing_ok=True)
            # What somebody else has put there stays, and then the folder does too.
            if not any(old.iterdir()):
                old.rmdir()
        Manifest(folder).mark(replaces=None)


def _came_to_nothing(folder: Path, state: RunState) -> bool:
    """Whether a new run died before it began, or while the one it replaced was brought back."""
    if state.replaces is None or not _aside(folder, state.replaces).is_dir():
        return False
    return state.given_up or not (folder / names.CONFIG).is_file()


def _aside(folder: Path, run_id: str) -> Path:
    return folder / f"replaced-{run_id}"


def _moved_aside(folder: Path) -> Path | None:
    """A whole run that lies aside in a folder that has none."""
    for path in sorted(folder.glob("replaced-*")):
        named = _ASIDE.fullmatch(path.name)
        manifest = Manifest(path)
        if named and manifest.exists() and manifest.state().id == named["id"]:
            return path
    return None


def _bring_back(folder: Path, aside: Path) -> None:
    """Move all that lies aside back, its manifest last."""
    with writing(folder):
        for path in sorted(aside.iterdir()):
            if path.is_dir() and not path.is_symlink():
                for inner in sorted(path.iterdir()):
                    _move(inner, folder / path.name / inner.name)
                path.rmdir()
            elif path.name != names.MANIFEST:
                _move(path, folder / path.name)
        if (aside / names.MANIFEST).exists():
            _move(aside / names.MANIFEST, folder / names.MANIFEST)
        aside.rmdir()
        sync_folder(folder)


def _remove_files(folder: Path) -> None:
    """Remove what the manifest names, but not the manifest."""
    with writing(folder):
        for name in _by_links(folder, Manifest(folder).owned()):
            (folder / name).unlink(missing_ok=True)
        _remove_empty_folders(folder)


def _by_links(folder: Path, files: list[str]) -> list[str]:
    """The files; a folder that is a link is moved itself, and what lies behind it stays."""
    links = [inner for inner in names.FOLDERS if (folder / inner).is_symlink()]
    return [name for name in files if name.partition("/")[0] not in links] + links


def _move(path: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    path.replace(target)


def _remove_empty_folders(folder: Path) -> None:
    for name in names.FOLDERS:
        inner = folder / name
        if inner.is_dir() and not inner.is_symlink() and not any(inner.iterdir()):
            inner.rmdir()
