"""Sources with a depth map or a mask for each image: folders, NYU-Depth-v2, scenes. No torch."""

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le

from nearfar.data.source_spec import FilesSpec, Fit, HeldOut, ImageFilesSpec, InMemory
from nearfar.data.specs import PicturesSpec
from nearfar.errors import SettingError
from nearfar.paths import user_cache
from nearfar.spec import Above0, Count

MOST_MASK_CLASSES = 4096
"""Classes of pixels at most: a head has a map for each."""


class DenseFolderSpec(PicturesSpec):
    """A folder of images, each with a depth map, a mask or both."""

    target = "nearfar.data.dense_folder:load_dense_folder"
    summary = "a folder of images that each have a depth map or a mask, as PNG, TIFF, NPY or NPZ"
    name: Literal["dense-folder"] = "dense-folder"
    image_name: str | None = None
    """Folder that images lie in, or what their names end in; left out, images, rgb or the like."""
    depth_name: str | None = None
    """The same of depth maps; left out, depth or depths."""
    mask_name: str | None = None
    """The same of masks; left out, mask, labels, annotations or the like."""
    depth_scale: Above0 | None = None
    """Depth of one stored unit, as 0.001 for millimetres to be metres; whole numbers need it."""
    mask_classes: Annotated[int, Ge(2), Le(MOST_MASK_CLASSES)] | None = None
    """Classes of pixels, numbered from 0; left out, the largest number in a mask tells."""
    ignored: Annotated[int, Ge(0), Le(2**16 - 1)] | None = 255
    """Number in a mask of pixels that are not judged; None: there is none such."""


class NYUDepthSpec(ImageFilesSpec):
    """NYU-Depth-v2's labelled part, from its MATLAB file."""

    target, root_kind = "nearfar.data.nyu_depth:load_nyu_depth", "file"
    summary = "1449 rooms of NYU-Depth-v2 with depth and masks: 795 to learn from, 654 for test"
    size = "480 × 640, RGB, brought to data.image_size (256 where left out)"
    licence = "none stated by its makers; offered for research"
    citation = (
        "Silberman, Hoiem, Kohli and Fergus 2012, Indoor Segmentation and Support Inference from "
        "RGBD Images, ECCV"
    )
    home = "cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html"
    name: Literal["nyu-depth-v2"] = "nyu-depth-v2"
    split: Path | None = None
    """The published split: splits.mat, or a text file of the numbers of the test images, from 1."""
    test_numbers: tuple[Count, ...] = ()
    """Numbers of the test images, from 1, instead of data.split."""
    border: Annotated[int, Ge(0), Le(200)] = 0
    """Pixels cut off at each edge first: 8 take the white frame away."""
    depth: Literal["filled", "raw"] = "filled"
    """Depths with the gaps filled in (depths), or as the sensor gave them (rawDepths)."""
    fit: Fit = "squash"
    """To a square: each side by itself (squash), by its centre (crop), or on a ground (pad)."""
    test_fraction: HeldOut = 0.2
    """Share held out for test where no split is given."""
    in_memory_mib: InMemory = 4096
    """Largest size of images, depths and masks together; they are held in memory."""

    def check(self) -> None:
        """One split."""
        if self.split is not None and self.test_numbers:
            raise SettingError("data.split and data.test_numbers are two splits: leave one out")


class ScenesSpec(FilesSpec):
    """Rooms with solids in them, rendered with known depth and masks."""

    target, root_needed = "nearfar.data.scenes:load_scenes", False
    summary = "rendered rooms with textured balls and boxes, the depth and kind of each pixel known"
    size = "data.image_size (64), RGB"
    licence = "made by nearfar; of textures their own: those of `make clipart` are public domain"
    name: Literal["scenes"] = "scenes"
    image_size: Annotated[int, Ge(16), Le(512)] = 64
    """Side of the images in pixels."""
    examples: Annotated[int, Ge(20), Le(200_000)] = 5_000
    """Images that are rendered, of both parts."""
    test_fraction: HeldOut = 0.2
    """Share of the images, and of the pictures that are textures, that are for test alone."""
    solids: Annotated[int, Ge(1), Le(12)] = 5
    """Most balls and boxes in a room; each room has a random number of them, from 1."""
    textures: Literal["pictures", "noise"] | None = None
    """Textures from the pictures of a folder, or noise; left out, pictures where there are some."""

    @property
    def folder(self) -> Path:
        """The pictures: `root`, else where `make clipart` puts them."""
        return user_cache() / "clipart" if self.root is None else self.root.expanduser()

    @property
    def has_pictures(self) -> bool:
        """Whether textures are pictures."""
        if self.textures is None:
            return self.folder.is_dir()
        return self.textures == "pictures"

    def require_root(self) -> None:
        """Refuse pictures that are missing, and a folder that is not looked at."""
        super().require_root()
        if self.textures == "noise" and self.root is not None:
            raise SettingError(
                "data.textures noise: no folder is looked at: leave data.root or it out"
            )
        if self.textures == "pictures" and not self.folder.is_dir():
            raise SettingError(
                f"data.textures pictures: there is no {self.folder}; `make clipart` fills it from "
                "Debian's packages, or name another folder of pictures with --data.root"
            )

    def most_to_learn_from(self) -> int:
        """What is rendered and not for test."""
        return self.examples - round(self.examples * self.test_fraction)
