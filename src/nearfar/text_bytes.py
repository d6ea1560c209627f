"""Texts as tensors: the bytes of their UTF-8, zeros behind the end.

So a set of texts is one tensor, as images are, and whatever chooses, shuffles, splits or checks
examples serves texts too.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

Bytes = UInt8[Tensor, "n length"]


def encoded(texts: Sequence[str], length: int) -> tuple[Bytes, int]:
    """Texts as rows of bytes.

    Args:
        texts: Of any length; what is no character of UTF-8 (half of a pair of surrogates) becomes
            `?`, and NUL, which marks the end of a text here, a space.
        length: Bytes that each is cut at, between two characters; 1 or more.

    Returns:
        The rows, and how many texts were cut.
    """
    rows, cut = np.zeros((len(texts), length), dtype=np.uint8), 0
    for row, text in zip(rows, texts, strict=True):
        # A character has at least one byte, so that of a long text no more is looked at.
        whole = text[: length + 1].replace("\0", " ").encode("utf-8", "replace")
        kept = whole
        if len(whole) > length:
            cut += 1
            kept = whole[:length].decode("utf-8", "ignore").encode()
        row[: len(kept)] = np.frombuffer(kept, dtype=np.uint8)
    return torch.from_numpy(rows), cut


def decoded(rows: Bytes) -> list[str]:
    """The texts of rows of bytes; a character that a row ends within is left out."""
    held = rows.cpu().numpy()
    ends = lengths(rows).tolist()
    return [
        row[:end].tobytes().decode("utf-8", "ignore") for row, end in zip(held, ends, strict=True)
    ]


def lengths(rows: Bytes) -> Tensor:
    """How many bytes each text has, `(n,)` int64: up to the last that is not 0."""
    places = torch.arange(1, rows.shape[1] + 1, device=rows.device)
    return (places * (rows != 0)).amax(dim=1) if rows.shape[1] else places.new_zeros(len(rows))
