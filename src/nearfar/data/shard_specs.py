"""Sources of images that lie inside larger files: their settings. Imports no torch."""

from typing import Literal

from nearfar.data.source_spec import PartlyLabelledSpec, PicturesSpec


class ColumnOfImagesSpec(PicturesSpec, PartlyLabelledSpec):
    """What images in a column of tables share."""

    image_column: str | None = None
    """Column of images; left out, the one that the file says it is, or the only one there is."""
    label_column: str | None = None
    """Column of labels; left out, the one that the file says it is, or one called label."""


class ImageParquetSpec(ColumnOfImagesSpec):
    """Images inside Parquet files, as the Hugging Face Hub keeps them."""

    target, root_kind = "nearfar.data.image_parquet:load_image_parquet", "place"
    summary = "Parquet files that hold images, as the Hugging Face Hub keeps them: one or a folder"
    name: Literal["image-parquet"] = "image-parquet"


class ImageArrowSpec(ColumnOfImagesSpec):
    """Images in a data set of Hugging Face's `datasets`."""

    target = "nearfar.data.image_arrow:load_image_arrow"
    summary = "images of a data set that save_to_disk of Hugging Face's datasets left in a folder"
    name: Literal["image-arrow"] = "image-arrow"


class ImageTarSpec(PicturesSpec, PartlyLabelledSpec):
    """Images inside tar files, as WebDataset writes them."""

    target, root_kind = "nearfar.data.webdataset:load_image_tar", "place"
    summary = "tar files of WebDataset: images, and maybe .cls members of the same name as labels"
    name: Literal["image-tar"] = "image-tar"
