"""A source of examples: named parts, each with examples, maybe labels, maybe file names."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from nearfar.modality import Modality, modality_of


class StreamedImages(Dataset[UInt8[Tensor, "channels height width"]]):
    """Images decoded from disk when asked for, all of one shape; safe to use in worker processes.

    Attributes:
        shape: `(channels, height, width)` of every image.
    """

    shape: tuple[int, int, int]

    def __len__(self) -> int:
        """The number of images."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> UInt8[Tensor, "channels height width"]:
        """One decoded image, 0 to 255."""
        raise NotImplementedError


class JoinedImages(StreamedImages):
    """Two sets of images one after the other, each in memory or streamed.

    Args:
        first: Images `0` to `len(first) - 1`.
        second: The images after them, of the same shape.
    """

    def __init__(
        self,
        first: UInt8[Tensor, "n channels height width"] | StreamedImages,
        second: UInt8[Tensor, "m channels height width"] | StreamedImages,
    ) -> None:
        self.first = first
        self.second = second
        channels, height, width = first[0].shape
        self.shape = (channels, height, width)

    def __len__(self) -> int:
        """The number of images in both."""
        return len(self.first) + len(self.second)

    def __getitem__(self, index: int) -> UInt8[Tensor, "channels height width"]:
        """One image, 0 to 255."""
        if index < len(self.first):
            return self.first[index]
        return self.second[index - len(self.first)]


Examples = (
    UInt8[Tensor, "n channels height width"]
    | Float[Tensor, "n channels steps"]
    | Float[Tensor, "n features"]
    | StreamedImages
)
"""Images of 0 to 255, series or vectors, all at once, or images decoded when asked for."""


@dataclass(frozen=True)
class Part:
    """One part of a source: train, test or unlabelled.

    Attributes:
        images: All examples, most often images `(n, channels, height, width)` uint8 or a
            `StreamedImages`; else series `(n, channels, steps)` or vectors `(n, features)`, finite,
            float32 or, where they were given in a wider type, float64.
        labels: Class of each example, `(n,)` int64 from 0, or None where there are none.
        names: File name of each example, or None where they are not files.
    """

    images: Examples
    labels: Int64[Tensor, " n"] | None = None
    names: Sequence[str] | None = None

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.images)

    @property
    def example_shape(self) -> tuple[int, ...]:
        """`(channels, height, width)`, `(channels, steps)` or `(features,)` of every example."""
        if isinstance(self.images, StreamedImages):
            return self.images.shape
        return tuple(self.images.shape[1:])

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(channels, height, width)` of every image."""
        channels, height, width = self.example_shape
        return channels, height, width

    @property
    def modality(self) -> Modality:
        """What the examples are: images, series or vectors."""
        return modality_of(self.example_shape)


@dataclass(frozen=True)
class Source:
    """Everything a run needs to know of its data.

    Attributes:
        name: Name of the source.
        train: What the encoder learns from (without labels) and the bank of the evaluation.
        test: What is only ever used to judge, or None.
        unlabelled: Examples without labels beside `train`, or None.
        class_names: Name of each class, or None where there are no labels.
        notes: What a person should know of this load: skipped files, a made split.
    """

    name: str
    train: Part
    test: Part | None = None
    unlabelled: Part | None = None
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def num_classes(self) -> int | None:
        """Number of classes, each with a name or an example; None without labels."""
        parts = [part.labels for part in (self.train, self.test) if part is not None]
        labels = [part for part in parts if part is not None and len(part)]
        if not labels:
            return None
        return max(len(self.class_names or ()), *(int(part.max()) + 1 for part in labels))
