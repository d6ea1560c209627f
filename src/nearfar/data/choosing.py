"""Some examples of a part, in memory or streamed."""

from jaxtyping import Int64
from torch import Tensor

from nearfar.data.source import Part, StreamedImages


class _Chosen(StreamedImages):
    """Some images of a streamed part."""

    def __init__(self, images: StreamedImages, indices: Int64[Tensor, " m"]) -> None:
        self.images = images
        self.indices = indices
        self.shape = images.shape

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[int(self.indices[index])]


def choose(part: Part, indices: Int64[Tensor, " m"]) -> Part:
    """The part that holds only these images, in this order.

    Args:
        part: In memory or streamed.
        indices: Images to keep.
    """
    images, names = part.images, part.names
    return Part(
        images=_Chosen(images, indices) if isinstance(images, StreamedImages) else images[indices],
        labels=None if part.labels is None else part.labels[indices],
        names=None if names is None else [names[int(i)] for i in indices],
    )
