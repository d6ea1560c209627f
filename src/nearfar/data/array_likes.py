"""What callers give as arrays, as NumPy arrays, with nothing that is missing taken for a value."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from nearfar.errors import NearfarError


def as_array(values: Any, what: str, *, advice: str) -> ndarray:
    """An array, list, tensor, or table of pandas as an array of NumPy.

    Args:
        values: Tensors may be on any device and have a gradient; bfloat16 becomes float32.
        what: Names them in messages.
        advice: What to do about rows of different lengths.

    Raises:
        NearfarError: Rows differ in length, or values are masked.
    """
    refuse_masked(values, what)
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    try:
        return np.asarray(values)
    except ValueError:  # NumPy's word for lists of different lengths
        raise NearfarError(f"{what}: rows of different lengths; {advice}") from None


def refuse_masked(values: Any, what: str) -> None:
    """Refuse masked values: as plain arrays they would lose the mask, and hold what is under it.

    Args:
        values: A masked array that masks nothing passes, as does everything that has no mask.
        what: Names them in the message.

    Raises:
        NearfarError: Values are masked; says in how many examples, and which is the first.
    """
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        if mask.ndim and not mask.dtype.names:
            rows = list(np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1)))
            count = len(mask)
        else:  # a single value, or records with a mask for each field
            rows, count = [0] if np.ma.is_masked(values) else [], max(1, values.size)
    elif isinstance(values, list | tuple):
        rows, count = [row for row, each in enumerate(values) if _holds_masked(each)], len(values)
    else:
        return
    if rows:
        raise NearfarError(
            f"{what}: masked values in {len(rows)} of {count} examples (first: {rows[0]}); fill in "
            "or leave out what is missing"
        )


def _holds_masked(value: Any) -> bool:
    """Whether something in a list, however deep, is masked."""
    return any(np.ma.is_masked(each) for each in _masked_arrays(value))


def _masked_arrays(value: Any) -> Iterator[np.ma.MaskedArray]:
    """The masked arrays in lists of lists."""
    if isinstance(value, np.ma.MaskedArray):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _masked_arrays(each)
