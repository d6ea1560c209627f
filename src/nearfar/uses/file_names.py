"""Names of what a use reads and writes, refused before any work. Imports nothing heavy."""

from importlib.util import find_spec
from pathlib import Path

from nearfar.durable_files import check_writable
from nearfar.errors import NearfarError, SettingError

FEATURES = (".parquet", ".npz", ".npy")
TABLES = (".csv", ".parquet")
PAGES = (".html",)


def check_features_out(path: Path) -> None:
    """Refuse a place where no features can be written.

    Raises:
        SettingError: The name ends otherwise, or there is no such folder.
        NearfarError: pyarrow is missing, or the disk refuses.
    """
    _check("--out", path, FEATURES)


def check_table(path: Path | None, option: str = "--out") -> None:
    """Refuse a place where no table can be written; None is none.

    Args:
        path: Its file.
        option: That names it.

    Raises:
        SettingError: The name ends otherwise, or there is no such folder.
        NearfarError: pyarrow is missing, or the disk refuses.
    """
    if path is not None:
        _check(option, path, TABLES)


def check_page(path: Path | None) -> None:
    """Refuse a place where no page can be written; None is none.

    Raises:
        SettingError: The name ends otherwise, or there is no such folder.
        NearfarError: The disk refuses.
    """
    if path is not None:
        _check("--page", path, PAGES)


def _check(option: str, path: Path, endings: tuple[str, ...]) -> None:
    if path.suffix not in endings:
        *most, last = endings
        known = f"{', '.join(most)} or {last}" if most else last
        raise SettingError(f"{option} {path}: the name must end in {known}")
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise NearfarError("writing parquet needs pyarrow: pip install 'nearfar[parquet]'")
    if not path.parent.is_dir():
        raise SettingError(f"{option} {path}: there is no folder {path.parent}")
    check_writable(path)
