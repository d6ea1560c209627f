"""Some examples of a part, in memory or streamed."""

from dataclasses import replace

from jaxtyping import Int64
from torch import Tensor

from nearfar.data.source import Part, StreamedExamples


class _Chosen(StreamedExamples):
    """Some examples of a streamed part."""

    def __init__(self, examples: StreamedExamples, indices: Int64[Tensor, " m"]) -> None:
        self.examples = examples
        self.indices = indices
        self.shape = examples.shape

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Tensor:
        return self.examples[int(self.indices[index])]


def choose(part: Part, indices: Int64[Tensor, " m"]) -> Part:
    """The part that holds only these examples, in this order.

    Args:
        part: In memory or streamed.
        indices: Examples to keep.
    """
    examples, names = part.examples, part.names
    streamed = isinstance(examples, StreamedExamples)
    return replace(
        part,
        examples=_Chosen(examples, indices) if streamed else examples[indices],
        labels=None if part.labels is None else part.labels[indices],
        names=None if names is None else [names[int(i)] for i in indices],
    )
