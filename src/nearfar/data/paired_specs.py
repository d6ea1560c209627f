"""Sources that pair examples of two kinds: images and texts, two arrays. Imports no torch."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le

from nearfar.data.source_spec import FilesSpec, PartlyLabelledSpec
from nearfar.data.specs import PictureFilesSpec, PicturesSpec, PictureTableSpec
from nearfar.data.text_specs import Length
from nearfar.errors import SettingError
from nearfar.modality import Modality
from nearfar.paths import user_cache


class CaptionedSpec(PicturesSpec):
    """What images that each have a text share."""

    length: Length = 256
    """Bytes of UTF-8 that a text is cut at; a note counts those that are."""

    @property
    def second_modality(self) -> Modality:
        """Texts."""
        return "texts"


class CaptionedFilesSpec(CaptionedSpec, PictureFilesSpec):
    """What such images share that lie in files of their own."""

    def check(self) -> None:
        """A text is of a file, whatever its pages are."""
        super().check()
        if self.pages == "each":
            raise SettingError(
                "data.pages is each: a text belongs to a file, and its pages would be images "
                "without one: set it to first or channels"
            )


class CaptionedTableSpec(CaptionedFilesSpec, PictureTableSpec):
    """Image files that a table names, and their texts."""

    target = "nearfar.data.captions:load_captioned_table"
    summary = "a CSV or Parquet table of paths of image files and their texts, and maybe of labels"
    name: Literal["captioned-table"] = "captioned-table"
    text_column: str | None = None
    """Column of texts; left out, the one that is called text, caption or the like, or the
    wordiest. A file that stands in several rows has several texts."""


class CaptionedFolderSpec(CaptionedFilesSpec):
    """A folder of images beside texts of the same names."""

    target = "nearfar.data.captions:load_captioned_folder"
    summary = "a folder of images that each have a .txt file of the same name beside them"
    name: Literal["captioned-folder"] = "captioned-folder"


class ImagePairsFilesSpec(PictureFilesSpec):
    """What images that each have another image share, by an encoder of its own."""

    second_image_size: Annotated[int, Ge(4), Le(4096)] | None = None
    """Side in pixels of the second images, as data.image_size is of the first."""

    def check(self) -> None:
        """A pair is of two files, whatever their pages are."""
        super().check()
        if self.pages == "each":
            raise SettingError(
                "data.pages is each: a pair is of two files, and their pages would be images "
                "without another: set it to first or channels"
            )

    @property
    def second_modality(self) -> Modality:
        """Images."""
        return "images"


class ImagePairsTableSpec(ImagePairsFilesSpec, PictureTableSpec):
    """Pairs of image files that a table names."""

    target = "nearfar.data.image_pairs:load_image_pairs_table"
    summary = "a CSV or Parquet table of paths of image files, two in a row, and maybe of labels"
    name: Literal["image-pairs-table"] = "image-pairs-table"
    second_column: str | None = None
    """Column of paths of the second images; left out, the other column of paths. A first image
    that stands in several rows has several second ones."""


class ImagePairsFolderSpec(ImagePairsFilesSpec):
    """Two folders of images whose names are the same."""

    target = "nearfar.data.image_pairs:load_image_pairs_folder"
    summary = "two folders of images of the same names, side by side in one"
    name: Literal["image-pairs-folder"] = "image-pairs-folder"
    first_folder: str | None = None
    """The folder of first images below data.root, laid out as one of images; left out, the first
    by name of the two that there are."""
    second_folder: str | None = None
    """The folder of second images; left out, the other one."""


class WebDatasetSpec(CaptionedSpec):
    """Images and texts in tar files, as WebDataset writes them."""

    target, root_kind = "nearfar.data.webdataset:load_webdataset", "place"
    summary = "tar files of WebDataset: images beside .txt or .json members of the same name"
    name: Literal["webdataset"] = "webdataset"
    text_key: str | None = None
    """Key of the text in .json members; left out, caption, text or the like."""


class OpenMojiSpec(FilesSpec):
    """The emoji of OpenMoji, each with its name and tags."""

    target, root_needed = "nearfar.data.captions:load_openmoji", False
    summary = "1914 drawings of emoji with names and tags: 1531 to learn from, 383 for test"
    classes, train_examples, size = 9, 1531, "data.image_size (32), RGB"
    licence = "CC BY-SA 4.0 (OpenMoji, HfG Schwäbisch Gmünd)"
    citation = "OpenMoji 2018–2025, HfG Schwäbisch Gmünd, npm package openmoji 17.0.0"
    home = "openmoji.org"
    name: Literal["openmoji"] = "openmoji"
    image_size: Annotated[int, Ge(8), Le(72)] = 32
    """Side of the images in pixels; they are drawn at 72."""
    length: Length = 160
    """Bytes of UTF-8 that a text is cut at; a note counts those that are."""

    @property
    def second_modality(self) -> Modality:
        """Texts."""
        return "texts"

    @property
    def folder(self) -> Path:
        """Its table and images: `root`, else where `make openmoji` puts them."""
        return user_cache() / "openmoji" if self.root is None else self.root.expanduser()

    def require_root(self) -> None:
        """Refuse a folder that is missing."""
        super().require_root()
        if not (self.folder / "openmoji.csv").is_file():
            raise SettingError(
                f"openmoji needs OpenMoji's drawings: there is no {self.folder / 'openmoji.csv'}; "
                "`make openmoji` draws them from the npm package openmoji, or name their folder "
                "with --data.root"
            )


class PairsNpzSpec(PartlyLabelledSpec):
    """What paired arrays share."""

    target, root_kind = "nearfar.data.paired_arrays:load_pairs_npz", "file"
    size = "any; texts cut at data.length bytes of UTF-8"
    second_kind: Literal["images", "series", "vectors", "texts"] = "texts"
    """What the array `second` holds."""
    length: Length = 256
    """Bytes of UTF-8 that a text is cut at; a note counts those that are."""

    @property
    def second_modality(self) -> Modality:
        """`second_kind`."""
        return self.second_kind


_ARRAYS = (
    "arrays first ({}) and second (data.second-kind), and maybe labels, test_first, test_second"
)


class ImagePairsNpzSpec(PairsNpzSpec):
    """Images in an .npz file, each paired with something."""

    summary = f"a NumPy .npz file: {_ARRAYS.format('images')}"
    name: Literal["image-pairs-npz"] = "image-pairs-npz"


class SeriesPairsNpzSpec(PairsNpzSpec):
    """Series in an .npz file, each paired with something."""

    modality: ClassVar[Modality] = "series"
    summary = f"a NumPy .npz file: {_ARRAYS.format('series')}"
    name: Literal["series-pairs-npz"] = "series-pairs-npz"


class VectorPairsNpzSpec(PairsNpzSpec):
    """Vectors in an .npz file, each paired with something."""

    modality: ClassVar[Modality] = "vectors"
    summary = f"a NumPy .npz file: {_ARRAYS.format('vectors')}"
    name: Literal["vector-pairs-npz"] = "vector-pairs-npz"
