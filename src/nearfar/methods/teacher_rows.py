"""A teacher that is an array: its features of every training example, computed beforehand."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from nearfar.errors import NearfarError, SettingError
from nearfar.npy_headers import read_within
from nearfar.run_folder.manifest import read_file

FEATURES, EXAMPLES = "features", "examples"
"""Arrays of the .npz file: the rows, and the fingerprint of the examples that they are of."""
MOST_BYTES = 2**36
"""Of the file, unpacked."""


@dataclass(frozen=True)
class TeacherRows:
    """Features of every example of the training part, in its order.

    Attributes:
        rows: `(n, width)` float32.
        examples: Fingerprint of the examples (`nearfar.data.fingerprint.part_fingerprint` of the
            part without labels); None where the file does not say.
        fingerprint: Of the file.
    """

    rows: Float[Tensor, "n width"]
    examples: str | None
    fingerprint: str

    @classmethod
    def load(cls, path: Path) -> "TeacherRows":
        """Read a file; nothing in it is executed.

        Args:
            path: `.npy`, or `.npz` with `features` and, to be held to it, `examples`.

        Raises:
            NearfarError: It is missing, damaged or no matrix of finite numbers.
        """
        try:
            content = read_file(path)
        except FileNotFoundError:
            raise NearfarError(f"method.teacher: there is no {path}") from None
        try:
            arrays = _arrays(path, content)
        except Exception as error:  # zipfile, zlib and numpy each have their own
            raise NearfarError(f"method.teacher: {path} is damaged: {error}") from None
        if FEATURES not in arrays:
            raise NearfarError(f"method.teacher: {path} holds no array called {FEATURES}")
        rows = arrays[FEATURES]
        if rows.ndim != 2 or not len(rows) or rows.dtype.kind not in "fiu":
            raise NearfarError(
                f"method.teacher: {path} must hold a row of numbers for each example, and holds "
                f"{rows.dtype} of shape {rows.shape}"
            )
        held = torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32))
        if not bool(torch.isfinite(held).all()):
            raise NearfarError(f"method.teacher: {path} holds numbers that are not finite")
        examples = str(arrays[EXAMPLES]) if EXAMPLES in arrays else None
        return cls(held, examples, hashlib.sha256(content).hexdigest())

    def __deepcopy__(self, _: object) -> "TeacherRows":
        """Itself: it may be large, and nothing changes it."""
        return self

    def of(self, numbers: Integer[Tensor, " batch"], like: Tensor) -> Float[Tensor, "batch width"]:
        """The rows of some examples, on a tensor's device and in its type."""
        return self.rows[numbers.cpu()].to(like)

    def require(self, count: int, examples: str) -> None:
        """Refuse other examples than those that the rows are of.

        Args:
            count: Examples of the whole training part, nothing held out.
            examples: Their fingerprint.
        """
        if len(self.rows) != count:
            raise SettingError(
                f"method.teacher has {len(self.rows)} rows and the training part {count} examples: "
                "it must hold a row for each, in its order, those held out among them"
            )
        if self.examples not in (None, examples):
            raise SettingError(
                "method.teacher is of other examples than the training part, or in another order: "
                "their fingerprints differ"
            )


def _arrays(path: Path, content: bytes) -> dict[str, np.ndarray]:
    """What the file holds, by name."""
    if path.suffix == ".npz":
        return read_within(content, MOST_BYTES)
    return {FEATURES: np.load(io.BytesIO(content), allow_pickle=False)}
