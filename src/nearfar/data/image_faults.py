"""What can be wrong with an image file, as one kind of error, told in our words."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from nearfar.data.file_reading import UnreadableFileError, shown
from nearfar.outside_text import first_line

Content = Path | bytes
"""A file, a page of one (`stack.tif/3`), or what a file would hold."""

NO_IMAGE = "not an image of a known format"

_OF_THE_FILE = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)
) | frozenset((errno.EACCES, errno.EPERM, errno.EINVAL))
"""What the system says of a file that it will say again. All else (no more open files, a server
that does not answer) may pass."""


class UnreadableImageError(UnreadableFileError):
    """A file that is no image, a damaged one, or one that is not safe to decode."""


class PassingImageError(UnreadableImageError):
    """The system did not give a file's bytes this time, which says nothing of the file."""


@contextmanager
def in_our_words(content: Content) -> Iterator[None]:
    """Whatever goes wrong with an image becomes one kind of error.

    Raises:
        PassingImageError: The system failed, or memory is short.
        UnreadableImageError: The file is at fault.
    """
    where = told(content)
    try:
        yield
    except UnreadableImageError:
        raise
    except Image.UnidentifiedImageError:
        what = "an empty file" if _is_empty(content) else NO_IMAGE
        raise UnreadableImageError(f"{where}{what}") from None
    except OSError as error:
        reason = error.strerror or first_line(error)
        # Decoders raise it too, without a number of the system's.
        passing = (error.errno or 0) > 0 and error.errno not in _OF_THE_FILE
        raise (PassingImageError if passing else UnreadableImageError)(f"{where}{reason}") from None
    except MemoryError:
        raise PassingImageError(f"{where}out of memory") from None
    # Decoders fed with hostile bytes raise almost anything: struct.error, SyntaxError, KeyError…
    except Exception as error:
        raise UnreadableImageError(f"{where}{first_line(error)}") from None


def told(content: Content) -> str:
    """Whose fault it is; of bytes the caller knows."""
    return "" if isinstance(content, bytes) else f"{shown(content)}: "


def _is_empty(content: Content) -> bool:
    """Whether a file is there and holds nothing."""
    if isinstance(content, bytes):
        return not content
    try:
        return content.stat().st_size == 0
    except OSError:
        return False
