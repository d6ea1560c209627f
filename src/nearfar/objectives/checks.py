"""What every objective refuses, in words."""

from torch import Tensor

from nearfar.errors import NearfarError, SettingError


def require_pairs(first: Tensor, second: Tensor) -> None:
    """Two embeddings of each example, as two `(batch, dim)` tensors of one shape.

    Raises:
        NearfarError: They are not matrices, or their shapes differ.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise NearfarError(
            "embeddings of two views must both be (batch, dim), and are"
            f" {tuple(first.shape)} and {tuple(second.shape)}"
        )


def require_several(embeddings: Tensor, what: str) -> None:
    """At least two rows, for what compares an example with another one.

    Raises:
        NearfarError: There are fewer.
    """
    if embeddings.shape[0] < 2:
        raise NearfarError(
            f"{what} compares examples with each other and needs a batch of 2 or more,"
            f" not {embeddings.shape[0]}"
        )


def require_positive(name: str, value: float) -> None:
    """A finite number above 0.

    Raises:
        SettingError: It is 0, negative, infinite or no number.
    """
    if not 0 < value < float("inf"):
        raise SettingError(f"{name} is {value}: it must be a number above 0")
