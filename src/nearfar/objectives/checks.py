"""What every objective refuses, in words."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from nearfar.errors import NearfarError, SettingError, unknown_name


def require_pairs(first: Tensor, second: Tensor) -> None:
    """Two embeddings of each example, as two `(batch, dim)` tensors of one shape."""
    if first.ndim != 2 or first.shape != second.shape:
        raise NearfarError(
            "embeddings of two views must both be (batch, dim), and are"
            f" {tuple(first.shape)} and {tuple(second.shape)}"
        )


def require_several(embeddings: Tensor, what: str) -> None:
    """At least two rows, for what compares an example with another one."""
    if embeddings.shape[0] < 2:
        raise NearfarError(
            f"{what} compares examples with each other and needs a batch of 2 or more,"
            f" not {embeddings.shape[0]}"
        )


def require_a_row(tensor: Tensor, what: str) -> None:
    """At least one row, for what is a mean over rows."""
    if not tensor.shape[0]:
        raise NearfarError(f"{what} is a mean over examples and needs one or more, not 0")


def require_positive(name: str, value: float) -> None:
    """A finite number above 0."""
    if not 0 < value < float("inf"):
        raise SettingError(f"{name} is {value}: it must be a number above 0")


def require_not_negative(name: str, value: float) -> None:
    """A finite number, 0 or above."""
    if not 0 <= value < float("inf"):
        raise SettingError(f"{name} is {value}: it must be a number, 0 or above")


def require_scale(name: str, value: float | Tensor) -> None:
    """A finite number above 0, or a tensor of one number, which is not looked at."""
    if isinstance(value, Tensor):
        _require_scalar(name, value)
    else:
        require_positive(name, value)


def require_finite(name: str, value: float | Tensor) -> None:
    """A finite number, or a tensor of one number, which is not looked at."""
    if isinstance(value, Tensor):
        _require_scalar(name, value)
    elif not math.isfinite(value):
        raise SettingError(f"{name} is {value}: it must be a finite number")


def _require_scalar(name: str, value: Tensor) -> None:
    if value.ndim:
        raise SettingError(
            f"{name} is a tensor of shape {tuple(value.shape)}: it must be one number, of shape ()"
        )


def require_one_of(name: str, value: str, known: Iterable[str]) -> None:
    """A word out of a few."""
    if value not in (words := tuple(known)):
        raise unknown_name(name, value, words)


def require_rows(name: str, tensor: Tensor, dim: int | None = None) -> None:
    """A matrix with one row an example."""
    if tensor.ndim != 2 or (dim is not None and tensor.shape[1] != dim):
        wanted = f"(batch, {'dim' if dim is None else dim})"
        raise NearfarError(f"{name} must be {wanted}, and are {tuple(tensor.shape)}")


def require_labels(
    labels: Tensor, rows: int, *, name: str = "labels", classes: int | None = None
) -> None:
    """A class number for each row: whole, 0 or above, and below the number of classes.

    Args:
        labels: What was passed.
        rows: How many there must be.
        name: What they are called where they were passed.
        classes: The number of classes, or None where it may be any.
    """
    whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if not whole:
        raise NearfarError(f"{name} must be whole numbers, and are {labels.dtype}")
    if labels.shape != (rows,):
        raise NearfarError(
            f"{name} must be one number for each of {rows} rows, and are {tuple(labels.shape)}"
        )
    if not rows:
        return
    # Unsigned integers of 16 bits and more have no extremes in torch: as int64 they do.
    lowest, highest = (int(bound) for bound in labels.long().aminmax())
    if lowest < 0:
        raise NearfarError(f"{name} hold {lowest}: class numbers begin at 0")
    if classes is not None and highest >= classes:
        raise NearfarError(f"{name} hold {highest}: there are only {classes} classes, from 0")
