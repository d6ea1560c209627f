"""Public data sets fetched by torchvision, which checks what arrives against known checksums."""

from pathlib import Path
from typing import Any

from nearfar.errors import NearfarError


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
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise NearfarError(
            f"{dataset} cannot be downloaded to {folder} ({reason}): check the network and the "
            "disk, or put its files there by hand"
        ) from None
