"""Public data sets fetched by torchvision, which checks what arrives against known checksums."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nearfar.data.source_spec import PublicSpec
from nearfar.errors import NearfarError
from nearfar.outside_text import first_line


def found_folder(
    spec: PublicSpec,
    places: Sequence[Path],
    complete: Callable[[Path], bool],
    dataset: str,
    *,
    missing: str,
    **options: Any,
) -> Path:
    """The first place that holds a whole data set, which is downloaded if need be and allowed.

    Args:
        spec: The source.
        places: Where its files may lie.
        complete: Whether all of them are in a folder.
        dataset: As `download` takes it, and its `options`.
        missing: What to tell where they are nowhere.

    Raises:
        NearfarError: They are nowhere, or cannot be downloaded.
    """
    found = next(filter(complete, places), None)
    if found is None and spec.download:
        download(dataset, spec.folder, **options)
        found = next(filter(complete, places), None)
    if found is None:
        raise NearfarError(missing)
    return found


def download(dataset: str, folder: Path, **options: Any) -> None:
    """Let torchvision fetch a data set and unpack it.

    Args:
        dataset: Name of the class in `torchvision.datasets`.
        folder: Where to; made if missing.
        options: Further arguments of the class, such as `split`.

    Raises:
        NearfarError: If it cannot be fetched or written.
    """
    from torchvision import datasets

    try:
        folder.mkdir(parents=True, exist_ok=True)
        getattr(datasets, dataset)(folder, download=True, **options)
    except (OSError, RuntimeError) as error:
        reason = first_line(error)
        raise NearfarError(
            f"{dataset} cannot be downloaded to {folder} ({reason}): check the network and the "
            "disk, or put its files there by hand"
        ) from None
