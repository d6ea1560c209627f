"""One WAV file decoded with care."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from nearfar.data.file_reading import UnreadableFileError, shown

SUFFIXES = frozenset((".wav", ".wave"))
"""File names that are taken for sound; all others are passed over."""

_TRUNCATED = "prematurely"  # SciPy's word, a warning only, for a file shorter than it says


@dataclass(frozen=True)
class Sound:
    """A decoded file.

    Attributes:
        rate: Samples per second.
        samples: `(channels, steps)`, −1 to 1 (floating-point files: as they are).
    """

    rate: int
    samples: Float32[ndarray, "channels steps"]


def read_wav(path: Path) -> Sound:
    """Decode a WAV file of 8 to 64-bit whole numbers or of floating-point numbers.

    Args:
        path: The file.

    Raises:
        UnreadableFileError: If it is no WAV file, damaged, truncated or empty, or holds values
            that are not finite.
    """
    # Imported here: SciPy takes a while, and other sources do not need it.
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            warnings.filterwarnings("error", f".*{_TRUNCATED}.*", wavfile.WavFileWarning)
            rate, values = wavfile.read(path)
        samples = _scaled(values)
    # The decoder fed with hostile bytes raises almost anything: struct.error, MemoryError…
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise UnreadableFileError(f"{shown(path)}: {reason}") from None
    return Sound(rate, samples)


def _scaled(values: ndarray) -> Float32[ndarray, "channels steps"]:
    """Channels first; whole numbers scaled by the largest that their type holds."""
    if values.size == 0:
        raise ValueError("no sample in it")
    if values.dtype == np.uint8:  # the one type whose silence is not 0
        values = (values.astype(np.float32) - 128) / 128
    elif values.dtype.kind == "i":
        values = values / -float(np.iinfo(values.dtype).min)
    samples = values.astype(np.float32).reshape(len(values), -1)
    if not np.isfinite(samples).all():
        raise ValueError("values that are not finite")
    return np.ascontiguousarray(samples.T)
