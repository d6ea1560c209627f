"""ImageNet (ILSVRC 2012), always streamed from its image files."""

from pathlib import Path

from nearfar.data.file_paths import FilePaths
from nearfar.data.folder_listing import Listing, list_by_class
from nearfar.data.image_files import IMAGES
from nearfar.data.labels import encode_labels
from nearfar.data.source import Part, Source
from nearfar.data.source_spec import Fit
from nearfar.data.specs import ImageNetSpec
from nearfar.data.streamed_files import StreamedFiles
from nearfar.errors import NearfarError
from nearfar.outside_text import first_line

DEFAULT_SIDE = 256
_ARCHIVES = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz")


def load_imagenet(spec: ImageNetSpec) -> Source:
    """List ImageNet from `train/` and `val/`, each with one folder a class (n01440764, …).

    Where the folders are missing but the three published archives are there, torchvision checks
    and unpacks them first. Files are not decoded before they are needed.

    Returns:
        The training images, and the validation images as test part.

    Raises:
        NearfarError: If the folders are missing or not laid out by class.
    """
    root = spec.root
    assert root is not None
    if not all((root / part).is_dir() for part in ("train", "val")):
        _unpack(root)
    side = spec.image_size or DEFAULT_SIDE
    train_files, test_files = (_list_part(root / part) for part in ("train", "val"))
    train, wnids = _part(train_files, root, side, spec.fit, None)
    test, _ = _part(test_files, root, side, spec.fit, wnids)
    notes = [f"train/: {note}" for note in train_files.notes]
    notes += [f"val/: {note}" for note in test_files.notes]
    if spec.fit == "crop":
        notes.append("images are cut to their centre squares as they are read (data.fit crop)")
    return Source("imagenet", train, test, class_names=_describe(wnids), notes=tuple(notes))


def _unpack(root: Path) -> None:
    """Let torchvision check and unpack the published archives."""
    from torchvision.datasets import ImageNet

    if not all((root / archive).is_file() for archive in _ARCHIVES):
        raise NearfarError(
            f"ImageNet is not in {root}: put folders train and val there, each with one "
            f"sub-folder a class (n01440764, …), or the archives {', '.join(_ARCHIVES)}, which "
            "are then unpacked (ImageNet's own site gives them to registered researchers)"
        )
    try:
        for split in ("train", "val"):
            ImageNet(root, split=split)
    except (OSError, RuntimeError, ValueError) as error:
        reason = first_line(error)
        raise NearfarError(f"{root}: the archives cannot be unpacked ({reason})") from None


def _list_part(folder: Path) -> Listing:
    """The images of one part, by class."""
    left_over = next(folder.glob("*.tar"), None)
    if left_over is not None:
        raise NearfarError(f"{left_over}: unpacking was cut short; delete {folder} and start again")
    listing = list_by_class(folder, IMAGES)
    if listing.labels is None:
        raise NearfarError(
            f"{folder}: the images are not sorted into one sub-folder a class (n01440764, …); "
            "delete it and let the archive be unpacked, or sort them"
        )
    return listing


def _part(
    listing: Listing, root: Path, side: int, fit: Fit, wnids: list[str] | None
) -> tuple[Part, list[str]]:
    """One part, streamed, and its classes."""
    assert listing.labels is not None
    labels, classes = encode_labels(
        listing.labels, len(listing.files), what=f"folders of {root / 'val'}", classes=wnids
    )
    names = FilePaths.of(listing.files).names_below(root)
    return Part(StreamedFiles(listing.files, (3, side, side), fit), labels, names), classes


def _describe(wnids: list[str]) -> tuple[str, ...]:
    """What each WordNet id stands for, in words; the id itself where it is not of ImageNet-1k."""
    from timm.data.imagenet_info import ImageNetInfo

    known = ImageNetInfo()
    of_imagenet = set(known.label_names())
    return tuple(
        known.label_name_to_description(wnid) if wnid in of_imagenet else wnid for wnid in wnids
    )
