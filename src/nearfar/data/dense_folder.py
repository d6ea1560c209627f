"""A source from a folder of images that each have a depth map, a mask or both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
import torch

from nearfar.data.common_shape import common_shape
from nearfar.data.dense_maps import MapReader, StreamedMaps
from nearfar.data.dense_pairs import Example, MapKind, find_pairs, in_order
from nearfar.data.dense_specs import MOST_MASK_CLASSES, DenseFolderSpec
from nearfar.data.file_reading import FileReader, name_below, shown
from nearfar.data.folder_parts import PartName
from nearfar.data.image_files import ImageHeader, pillow_quiet, read_header, read_image
from nearfar.data.source import Part, Source
from nearfar.data.splits import split_with_note
from nearfar.data.streamed_files import StreamedFiles
from nearfar.errors import NearfarError

_BYTES = {"depth": 4, "mask": 2}


def load_dense_folder(spec: DenseFolderSpec) -> Source:
    """Read a folder of images and their maps, each of which is read once here.

    So what is damaged, of another size or out of range is known before training. Depths that are
    0, below 0 or no number are missing.

    Returns:
        The source, in memory or streamed, with file names relative to `root`.

    Raises:
        NearfarError: Files do not pair, too many cannot be read, or no depth is known.
        SettingError: Depths are whole numbers and their scale is not set.
    """
    assert spec.root is not None
    with pillow_quiet():
        parts, notes = find_pairs(spec.root, spec)
        return _Reading(spec, spec.root, notes).source(*_train_and_test(parts, spec.root, notes))


def _train_and_test(
    parts: dict[PartName | None, list[Example]], root: Path, notes: list[str]
) -> tuple[list[Example], list[Example] | None]:
    """The images to learn from, and those to judge by where there are such."""
    loose, train = parts.get(None), parts.get("train")
    if train is None and loose is not None and len(parts) == 1:
        return in_order(loose), None
    if train is None:
        raise NearfarError(f"{shown(root)}: no images to learn from: there is no folder train")
    if loose is not None:
        raise NearfarError(
            f"{shown(root)}: {len(loose)} images lie beside the folder train: put them into a part"
        )
    test = parts.get("test") or parts.get("val")
    if parts.get("test") and parts.get("val"):
        notes.append(f"left out {len(parts['val'])} images of the validation part: test judges")
    return in_order(train), None if test is None else in_order(test)


@dataclass
class _Reading:
    """All files of a folder being read."""

    spec: DenseFolderSpec
    root: Path
    notes: list[str]

    def source(self, train: list[Example], test: list[Example] | None) -> Source:
        """The source of these examples."""
        every = [*train, *(test or ())]
        self.files = FileReader(
            self.root,
            total=len(every),
            kind="image",
            max_corrupt=self.spec.max_corrupt,
            threads=self.spec.workers,
        )
        self.headers = self.files.keep_good(read_header, [each.image for each in every])
        self.shape, told = common_shape(list(self.headers.values()), self.spec)
        self.notes += told
        self.kinds: list[MapKind] = [
            kind for kind in ("depth", "mask") if getattr(every[0], kind) is not None
        ]
        self.readers = self._readers()
        bytes_each = prod(self.shape) + sum(_BYTES[kind] for kind in self.kinds) * self.side_area
        self.in_memory = len(every) * bytes_each <= self.spec.in_memory_mib * 2**20
        self.highest, self.known, self.pixels = -1, 0, 0
        first = self._part(train)
        second = None if test is None else self._part(test)
        return self._joined(first, second)

    @property
    def side_area(self) -> int:
        """Pixels of a map."""
        return self.shape[1] * self.shape[2]

    def _readers(self) -> dict[MapKind, MapReader]:
        spec = self.spec
        return {
            "depth": MapReader("depth", scale=spec.depth_scale),
            "mask": MapReader(
                "mask", ignored=spec.ignored, classes=spec.mask_classes or MOST_MASK_CLASSES
            ),
        }

    def _part(self, examples: Sequence[Example]) -> Part:
        """The readable examples of a part."""
        there = {each.image: each for each in examples if each.image in self.headers}
        place = {path: index for index, path in enumerate(there)}
        keep = self.in_memory
        pixels = np.empty((len(there) if keep else 0, *self.shape), np.uint8)
        maps = {
            kind: np.empty(
                (len(there) if keep else 0, *self.shape[1:]),
                np.float32 if kind == "depth" else np.int16,
            )
            for kind in self.kinds
        }

        def decode(path: Path) -> tuple[int, int, int]:
            """Highest class, pixels of known depth, and all pixels."""
            image = read_image(path, self.shape, self.spec.fit)
            found = {kind: self._map(kind, there[path]) for kind in self.kinds}
            if keep:
                pixels[place[path]] = image
                for kind, values in found.items():
                    maps[kind][place[path]] = values
            highest = int(found["mask"].max()) if "mask" in found else -1
            known = int(np.isfinite(found["depth"]).sum()) if "depth" in found else 0
            return highest, known, self.side_area

        good = self.files.keep_good(decode, list(there))
        if not good:
            raise NearfarError(f"{shown(self.root)}: not one image of a part can be read")
        self.highest = max(self.highest, *(each[0] for each in good.values()))
        self.known += sum(each[1] for each in good.values())
        self.pixels += sum(each[2] for each in good.values())
        names = [name_below(path, self.root) for path in good]
        if not keep:
            return self._streamed([there[path] for path in good], names)
        rows = [place[path] for path in good]
        held = {kind: torch.from_numpy(each[rows]) for kind, each in maps.items()}
        return Part(
            torch.from_numpy(pixels[rows]),
            names=names,
            depths=held.get("depth"),
            masks=held.get("mask"),
        )

    def _map(self, kind: MapKind, example: Example) -> np.ndarray:
        path = getattr(example, kind)
        sides = self._sides(self.headers[example.image])
        return self.readers[kind].fitted(path, sides, self.shape[1:], self.spec.fit)

    @staticmethod
    def _sides(header: ImageHeader) -> tuple[int, int]:
        return header.height, header.width

    def _streamed(self, examples: list[Example], names: list[str]) -> Part:
        sides = [self._sides(self.headers[each.image]) for each in examples]
        maps = {
            kind: StreamedMaps(
                [getattr(each, kind) for each in examples],
                sides,
                self.shape[1:],
                self.spec.fit,
                self.readers[kind],
            )
            for kind in self.kinds
        }
        images = StreamedFiles([each.image for each in examples], self.shape, self.spec.fit)
        return Part(images, names=names, depths=maps.get("depth"), masks=maps.get("mask"))

    def _joined(self, train: Part, test: Part | None) -> Source:
        notes = self.notes + self.files.notes()
        if "depth" in self.kinds:
            if not self.known:
                raise NearfarError(
                    f"{shown(self.root)}: no depth map holds a depth: all are 0, below 0 or no "
                    "numbers"
                )
            missing = 1 - self.known / self.pixels
            if missing:
                notes.append(f"depth is not known of {missing:.1%} of the pixels: not judged there")
        names = None
        if "mask" in self.kinds:
            classes = self.spec.mask_classes or self.highest + 1
            if classes < 2:
                raise NearfarError(
                    f"{shown(self.root)}: the masks have {classes} class: two or more are needed"
                )
            names = tuple(str(number) for number in range(classes))
        if test is None:
            train, test, note = split_with_note(
                train, self.spec.test_fraction, missing="no test part", examples="images"
            )
            notes += note
        source = Source(self.spec.name, train, test, notes=tuple(notes))
        return replace(source, mask_names=names)
