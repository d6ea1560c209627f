"""NYU-Depth-v2's labelled part: 1449 rooms with depth and classes, in one MATLAB 7.3 file."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy import ndarray
from PIL import Image

from nearfar.data.dense_maps import NOT_JUDGED, brought_to
from nearfar.data.dense_specs import NYUDepthSpec
from nearfar.data.file_reading import shown
from nearfar.data.image_files import fitted_image
from nearfar.data.source import Part, Source, choose
from nearfar.data.splits import split_with_note
from nearfar.errors import NearfarError, SettingError
from nearfar.outside_text import first_line

_SIDE = 256
"""Side that images are brought to where none is asked for."""
_DEPTHS = {"filled": "depths", "raw": "rawDepths"}
_MOST_NAMES = 2**15 - 1


def load_nyu_depth(spec: NYUDepthSpec) -> Source:
    """Read `nyu_depth_v2_labeled.mat`: images, depths in metres, and a mask of classes.

    MATLAB keeps columns first and HDF5 turns its sides round, so that the file has
    `(n, channels, width, height)`. A depth of 0 is missing; class 0 is not judged, and classes are
    numbered from 0 after it.

    Returns:
        The source, held in memory.

    Raises:
        NearfarError: The file is damaged or another one, or h5py is not installed.
        SettingError: The split does not fit it, or it is larger than `in_memory_mib`.
    """
    assert spec.root is not None
    with _opened(spec.root) as file:
        arrays = _Arrays.of(file, spec)
        side = spec.image_size or _SIDE
        arrays.require_room(side, spec.in_memory_mib)
        test = _test_rows(spec, arrays.count)
        part = arrays.read(side, spec)
        names = arrays.class_names(file)
    if isinstance(part.masks, torch.Tensor) and int(part.masks.max()) >= len(names):
        raise NearfarError(f"{shown(spec.root)}: a class in labels has no name in names")
    kept = torch.ones(arrays.count, dtype=torch.bool)
    notes: list[str] = []
    if test is None:
        train, judged, notes = split_with_note(
            part,
            spec.test_fraction,
            missing="no split given (data.split)",
            examples="images",
        )
    else:
        kept[test] = False
        train, judged = choose(part, kept.nonzero().squeeze(1)), choose(part, test)
    return Source(spec.name, train, judged, notes=tuple(notes), mask_names=names or None)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The open file; whatever is wrong with it becomes one line."""
    try:
        import h5py
    except ModuleNotFoundError:
        raise NearfarError(
            "nyu-depth-v2 is read by h5py, which is not installed: pip install 'nearfar[hdf5]'"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            yield file
    except NearfarError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = first_line(error)
        raise NearfarError(
            f"{shown(path)}: not NYU-Depth-v2's nyu_depth_v2_labeled.mat, or a damaged one "
            f"({reason})"
        ) from None


@dataclass(frozen=True)
class _Arrays:
    """The arrays of an open file."""

    path: Path
    images: Any
    depths: Any
    labels: Any | None

    @classmethod
    def of(cls, file: Any, spec: NYUDepthSpec) -> "_Arrays":
        """The arrays, once their shapes fit each other."""
        assert spec.root is not None
        depth = _DEPTHS[spec.depth]
        for name in ("images", depth):
            if name not in file:
                raise NearfarError(
                    f"{shown(spec.root)}: no array {name}; it holds "
                    f"{', '.join(map(shown, map(Path, file))) or 'nothing'}"
                )
        found = cls(spec.root, file["images"], file[depth], file.get("labels"))
        shape = tuple(found.images.shape)
        if len(shape) != 4 or shape[1] != 3 or found.images.dtype != np.uint8:
            raise NearfarError(
                f"{shown(spec.root)}: images are {found.images.dtype} of shape {shape}, where "
                "uint8 (n, 3, width, height) is due"
            )
        for name, each in ((depth, found.depths), ("labels", found.labels)):
            if each is not None and tuple(each.shape) != (shape[0], *shape[2:]):
                raise NearfarError(
                    f"{shown(spec.root)}: {name} have shape {tuple(each.shape)}, and images {shape}"
                )
        if 2 * spec.border >= min(shape[2:]):
            raise SettingError(
                f"data.border is {spec.border}: nothing is left of {shape[3]}×{shape[2]} pixels"
            )
        return found

    @property
    def count(self) -> int:
        """Images."""
        return self.images.shape[0]

    def require_room(self, side: int, limit: int) -> None:
        """Refuse more than may be held, before it is read."""
        needed = self.count * side**2 * (3 + 4 + (2 if self.labels is not None else 0))
        if needed > limit * 2**20:
            raise SettingError(
                f"{needed / 2**20:.0f} MiB of images and maps of {side} px, over "
                f"data.in_memory_mib={limit}: raise it, or choose a smaller --data.image-size"
            )

    def read(self, side: int, spec: NYUDepthSpec) -> Part:
        """Every image with its maps, brought to squares one by one."""
        square = (side, side)
        images = np.empty((self.count, 3, side, side), np.uint8)
        depths = np.empty((self.count, side, side), np.float32)
        masks = None if self.labels is None else np.empty(depths.shape, np.int16)
        inner = slice(spec.border, -spec.border or None)

        def plain(row: ndarray) -> ndarray:
            """Rows first, without the border."""
            return row.swapaxes(-1, -2)[..., inner, inner]

        for row in range(self.count):
            image = Image.fromarray(
                np.ascontiguousarray(plain(self.images[row]).transpose(1, 2, 0))
            )
            images[row] = _pixels(fitted_image(image, square, spec.fit))
            depth = plain(self.depths[row]).astype(np.float32)
            depth[~(np.isfinite(depth) & (depth > 0))] = np.nan
            depths[row] = brought_to(depth, square, spec.fit, np.nan)
            if masks is not None:
                label = plain(self.labels[row]).astype(np.int64) - 1  # pyright: ignore
                if not -1 <= label.min() <= label.max() <= _MOST_NAMES:
                    raise NearfarError(
                        f"{shown(self.path)}: labels of image {row + 1} hold {label.max() + 1}"
                    )
                masks[row] = brought_to(label.astype(np.int16), square, spec.fit, NOT_JUDGED)
        if not np.isfinite(depths).any():
            raise NearfarError(f"{shown(self.path)}: no depth is known: all are 0 or no numbers")
        return Part(
            torch.from_numpy(images),
            names=[str(number) for number in range(1, self.count + 1)],
            depths=torch.from_numpy(depths),
            masks=None if masks is None else torch.from_numpy(masks),
        )

    def class_names(self, file: Any) -> tuple[str, ...]:
        """Names of the classes; their numbers where the file has none."""
        if self.labels is None:
            return ()
        if "names" not in file:
            highest = max(int(self.labels[row].max()) for row in range(self.count))
            return tuple(str(number) for number in range(1, highest + 1))
        references = np.asarray(file["names"][...]).ravel()
        return tuple(
            "".join(map(chr, np.asarray(file[each][...]).ravel().tolist())) for each in references
        )


def _pixels(image: Image.Image) -> UInt8[ndarray, "3 h w"]:
    return np.asarray(image).transpose(2, 0, 1)


def _test_rows(spec: NYUDepthSpec, count: int) -> Int64[torch.Tensor, " m"] | None:
    """Rows of the test images, ascending; None where no split is given."""
    if spec.split is None and not spec.test_numbers:
        return None
    numbers = np.array(spec.test_numbers) if spec.split is None else _numbers_in(spec.split)
    where = "data.test_numbers" if spec.split is None else f"data.split {shown(spec.split)}"
    unique = np.unique(numbers)
    if not len(unique) or unique[0] < 1 or unique[-1] > count:
        told = f"numbers {unique[0]} to {unique[-1]}" if len(unique) else "no number"
        raise SettingError(f"{where} has {told}, where images are numbered 1 to {count}")
    if len(unique) < len(numbers) or len(unique) == count:
        what = "all images" if len(unique) == count else "a number twice"
        raise SettingError(
            f"{where} has {what}: name each test image once, and leave some to learn"
        )
    return torch.from_numpy(unique.astype(np.int64) - 1)


def _numbers_in(path: Path) -> Int64[ndarray, " m"]:
    """The numbers of the test images in `splits.mat` or in a text file."""
    path = path.expanduser()
    if not path.is_file():
        raise SettingError(f"data.split {shown(path)}: no such file")
    if path.suffix.lower() == ".mat":
        from scipy.io import loadmat

        try:
            return np.asarray(loadmat(path)["testNdxs"]).ravel().astype(np.int64)
        except Exception as error:  # of a damaged file, scipy raises nearly anything
            raise SettingError(
                f"data.split {shown(path)}: no testNdxs can be read ({first_line(error)})"
            ) from None
    try:
        return np.array(path.read_text().replace(",", " ").split(), dtype=np.int64)
    except (ValueError, OverflowError, UnicodeDecodeError):
        raise SettingError(f"data.split {shown(path)}: other than whole numbers in it") from None
