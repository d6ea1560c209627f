"""What specs of sources share: of every source, in files, public, of your own. Imports no torch."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, Lt

from nearfar.bounds import HIGHEST_SEED
from nearfar.errors import SettingError
from nearfar.modality import Modality
from nearfar.paths import user_cache, user_path
from nearfar.spec import Choice, Share

if TYPE_CHECKING:
    from nearfar.data.source import Source

Fit = Literal["crop", "pad", "squash"]
"""How an image comes to a shape of other proportions: its centre, on a ground, or pressed."""

Pages = Literal["first", "each", "channels"]
"""Of a file of several pages: the first alone, each an image, or each a channel of one image."""

TrainPart = Literal["train", "unlabelled", "both"]

TailOrder = Literal["listed", "drawn"]
"""By which order classes become smaller: the source's own, or a random one."""

Metric = Literal["top1", "mean_per_class", "voc_11_point_map"]

HeldOut = Annotated[float, Ge(0), Lt(1)]
"""A share that leaves something."""

InMemory = Annotated[int, Ge(0)]
Readers = Annotated[int, Ge(0), Le(1024)]

MOST_HELD_OUT = 5_000
"""Examples kept out of training at most: they tell one accuracy to 0.7 points and better."""


def held_out_count(examples: int, share: float) -> int:
    """How many of the labelled training examples are kept out of training.

    Args:
        examples: Labelled training examples; where classes are so small that each would not keep
            one, fewer are held out.
        share: `data.held_out`; above 0, at least one example is held out.
    """
    return min(max(round(share * examples), 1), MOST_HELD_OUT) if share else 0


class SourceSpec(
    Choice,
    noun="data source",
    # Lists of sources begin with those that are at hand.
    modules=(
        "nearfar.data.specs",
        "nearfar.data.font_specs",
        "nearfar.data.shard_specs",
        "nearfar.data.text_specs",
        "nearfar.data.dense_specs",
        "nearfar.data.published_specs",
        "nearfar.data.paired_specs",
    ),
):
    """A source of examples; these settings every source has.

    Attributes:
        summary: What the examples show and how many there are.
        classes: Number of classes, or None where the user's own data decide.
        size: Size of an example, in words.
        licence: Terms of the data as their makers state them.
        citation: The paper or report to cite, or None for the user's own data.
        home: The makers' page, or None for the user's own data.
        train_examples: How many the training part has, or None where the user's own data decide.
        modality: What the examples are.
        metric: What the set is published with: the share of right answers (top-1), its mean over
            classes, or the mean average precision of VOC 2007, over 11 points of recall.
        root_kind: What `root` is, a "place" being a file or a folder; "" where there is none, for
            the source is inside a package.
        root_needed: There is no other place to look for the files.
        name: Which source; `nearfar data` lists them.
    """

    room: ClassVar[str] = "data."
    summary: ClassVar[str]
    classes: ClassVar[int | None] = None
    size: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str | None] = None
    home: ClassVar[str | None] = None
    train_examples: ClassVar[int | None] = None
    modality: ClassVar[Modality] = "images"
    metric: ClassVar[Metric] = "top1"
    root_kind: ClassVar[Literal["", "folder", "file", "place"]] = ""
    root_needed: ClassVar[bool] = False

    held_out: HeldOut = 0.1
    """Share of the labelled training examples kept for the kNN check (at most 5000); 0 for none."""
    imbalance_factor: Annotated[float, Ge(1)] | None = None
    """Thins the training part to a long tail: its largest class in sizes of its smallest."""
    tail_order: TailOrder = "listed"
    """Which classes are large: the first ones as they are listed, or of an order that is drawn."""
    label_noise: Share = 0.0
    """Share of the labels that learning sees which are of another class."""
    seed: Annotated[int, Ge(0), Le(HIGHEST_SEED)] = 0
    """Chooses examples and order of a long tail and of label noise: the same in every run."""

    def check(self) -> None:
        """An order is that of a long tail; wrong labels are some that are learnt from."""
        if self.tail_order != "listed" and self.imbalance_factor is None:
            raise SettingError(
                f"data.tail_order is {self.tail_order}: it is the order of a long tail, which "
                "data.imbalance_factor makes; set both, or leave it out"
            )
        if self.label_noise and self.learns_from in ("unlabelled", "both"):
            raise SettingError(
                f"data.label_noise is {self.label_noise:g}: with data.train_part "
                f"{self.learns_from} nothing is learnt from labels; leave one of the two out"
            )

    @classmethod
    def no_such_setting(cls, name: str, value: Any = None) -> SettingError:
        """The error for a setting that this source does not have: whose it is, or what will do."""
        if name == "root":
            return SettingError(
                f"data.root: {cls.name} is inside a package; leave it out, or say what your own "
                "data are: --data folder (pictures), text-lines, npz, parquet or wav"
            )
        error = super().no_such_setting(name, value)
        if name == "image_size" and cls.modality == "images":
            return SettingError(f"{error}; views.size is the size of a view")
        return error

    @property
    def place(self) -> Path | None:
        """The folder or file that was named for the source."""
        return None

    def at(self, place: Path | None) -> "SourceSpec":  # noqa: ARG002  those with a root go there
        """The same source in another place."""
        return self

    @property
    def may_download(self) -> bool:
        """Whether files that are missing are fetched."""
        return False

    @property
    def learns_from(self) -> TrainPart | None:
        """The part that is learnt from; None: all that the method can learn from."""
        return "train"

    @property
    def readers(self) -> int:
        """Processes that read a streamed source; 0 reads in the main process."""
        return 0

    @property
    def has_partners(self) -> bool:
        """Whether a second view may be of another example, which the data put beside the first."""
        return False

    @property
    def second_modality(self) -> Modality | None:
        """What each example is paired with, of a kind of its own; None: nothing."""
        return None

    def require_root(self) -> None:
        """Refuse a place that is missing or of the wrong kind, before anything is read.

        Raises:
            SettingError: Saying what the source needs, or what is wrong with its root.
        """

    def most_to_learn_from(self) -> int | None:
        """How many examples there are at most to learn from; None where only the data can tell."""
        if self.train_examples is None or self.learns_from != "train":
            return None
        return self.train_examples - held_out_count(self.train_examples, self.held_out)

    def build(self) -> "Source":
        """The source as its files are: without a long tail (`load_source` makes it)."""
        return super().build()


class FilesSpec(SourceSpec):
    """What sources in files share."""

    root_kind, root_needed = "folder", True
    root: Path | None = None
    """Folder or file that holds the examples."""

    @property
    def place(self) -> Path | None:
        """`root`."""
        return self.root

    def at(self, place: Path | None) -> "FilesSpec":
        """The same source in another place."""
        return replace(self, root=place)

    def require_root(self) -> None:
        """Refuse a root that is missing or of the wrong kind."""
        if self.root is None:
            if self.root_needed:
                kind = "file or folder" if self.root_kind == "place" else self.root_kind
                raise SettingError(f"{self.name} needs --data.root, a {kind}: {self.summary}")
            return
        root = user_path(self.root)
        if self.root_kind == "file":
            if not root.is_file():
                raise SettingError(f"data.root={root}: no such file")
        elif self.root_kind == "place":
            if not root.exists():
                raise SettingError(f"data.root={root}: no such file or folder")
        elif root.exists() and not root.is_dir():
            raise SettingError(f"data.root={root}: a file, where {self.name} needs a folder")
        elif not root.exists() and not self.may_download:
            raise SettingError(f"data.root={root}: no such folder")


class PublicSpec(FilesSpec):
    """What public data sets share that can be fetched."""

    root_needed = False
    download: bool = False
    """Fetch the source over the network when it is not under `root`."""

    @property
    def may_download(self) -> bool:
        """`download`."""
        return self.download

    @property
    def folder(self) -> Path:
        """Where it is looked for and downloaded to: `root`, else a folder in the user's cache."""
        if self.root is not None:
            return self.root.expanduser()
        return user_cache() / self.name


class ImageFilesSpec(FilesSpec):
    """What sources in image files share."""

    image_size: Annotated[int, Ge(4), Le(4096)] | None = None
    """Side in pixels of the squares that data.fit brings images to."""
    fit: Fit = "crop"
    """To a square by its centre (crop), on a ground of its mean colour (pad), or squashed."""
    workers: Readers = 2
    """Processes that decode images which stream from disk; 0 decodes in the main process."""

    @property
    def readers(self) -> int:
        """`workers`."""
        return self.workers


class OwnDataSpec(FilesSpec):
    """What the user's own data share: what is not stated by others, and a split."""

    size = "any"
    licence = "your own data: their terms are yours to know"
    test_fraction: HeldOut = 0.2
    """Share held out for test where there is no test part."""
    in_memory_mib: InMemory = 2048
    """Largest decoded size that is held in memory."""


class PartlyLabelledSpec(OwnDataSpec):
    """What those of the user's own data share in which some examples may have no label."""

    train_part: TrainPart | None = None
    """Where some have no label: left out, labels are learnt from (train), or no labels (both)."""

    @property
    def learns_from(self) -> TrainPart | None:
        """`train_part`."""
        return self.train_part


class PicturesSpec(ImageFilesSpec, OwnDataSpec):
    """What pictures of one's own share, wherever they lie."""

    channels: Literal[1, 3] | None = None
    """1 turns images grey, 3 makes them RGB; left out, the images decide."""
    in_memory_mib: InMemory = 2048
    """Largest decoded size that is held in memory; larger folders and tables stream from disk."""
    max_corrupt: Share = 0.01
    """Largest share of unreadable images to skip before the run is refused."""
