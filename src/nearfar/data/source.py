"""A source of examples: named parts, each with examples, maybe labels, maybe file names."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Int8, Int64, Shaped
from torch import Tensor
from torch.utils.data import Dataset

from nearfar.data.file_faults import Faults
from nearfar.modality import Modality
from nearfar.table_features import TableFeature


class StreamedExamples(Dataset[Tensor]):
    """Examples read from disk when asked for, all of one shape; safe to use in worker processes.

    Attributes:
        shape: Of every example; `(channels, height, width)` of images.
        faults: Account of the files that could not be read, where others stand in for them; None
            where none does.
    """

    shape: tuple[int, ...]
    faults: Faults | None = None

    def __len__(self) -> int:
        """The number of examples."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> Tensor:
        """One example; an image is uint8, 0 to 255."""
        raise NotImplementedError

    def given(self, index: int) -> tuple[Tensor, int]:
        """What an index gives, and the index of the example that it is.

        They differ where another example stands in for one that cannot be read; −1: it is of no
        index of these.
        """
        return self[index], index

    def take(self, indices: Int64[Tensor, " m"]) -> "StreamedExamples":
        """The chosen examples, in the order of `indices`."""
        return _Chosen(self, indices)


class JoinedExamples(StreamedExamples):
    """Two sets of examples one after the other, each in memory or streamed.

    Args:
        first: Examples `0` to `len(first) - 1`.
        second: The examples after them, of the same shape.
    """

    def __init__(self, first: Tensor | StreamedExamples, second: Tensor | StreamedExamples) -> None:
        self.first = first
        self.second = second
        self.shape = _shape(first)
        # Both are of one source, which has one account.
        held = [each for each in (first, second) if isinstance(each, StreamedExamples)]
        self.faults = next((each.faults for each in held if each.faults is not None), None)

    def __len__(self) -> int:
        """The number of examples in both."""
        return len(self.first) + len(self.second)

    def __getitem__(self, index: int) -> Tensor:
        """One example."""
        if index < len(self.first):
            return self.first[index]
        return self.second[index - len(self.first)]

    def given(self, index: int) -> tuple[Tensor, int]:
        """One example, and the index that it is of."""
        before = 0 if index < len(self.first) else len(self.first)
        held = self.second if before else self.first
        if not isinstance(held, StreamedExamples):
            return self[index], index
        example, given = held.given(index - before)
        return example, given if given < 0 else given + before


Examples = Shaped[Tensor, "n *shape"] | StreamedExamples
"""All at once, or read when asked for."""

Targets = Shaped[Tensor, "n height width"] | StreamedExamples
"""Of each image what is known of its pixels, likewise."""


def _shape(examples: Examples) -> tuple[int, ...]:
    """Of every example."""
    return examples.shape if isinstance(examples, StreamedExamples) else tuple(examples.shape[1:])


@dataclass(frozen=True)
class Partners:
    """What the data put beside each example of a part, so that it can be its second view.

    Attributes:
        rows: `(n, most)`, rows of `others` beside each example, −1 where there are fewer.
        others: What stands beside them, shaped as the examples; None: these examples themselves.
        modality: Where `others` are of a kind of their own, of any shape, what they are: each
            example then has one or more. None: they are what the examples are.
    """

    rows: Int64[Tensor, "n most"]
    others: Shaped[Tensor, " m *shape"] | None = None
    modality: Modality | None = None

    def chosen(self, indices: Int64[Tensor, " k"]) -> "Partners":
        """Those of some examples alone; of an example that is left out no other is a partner."""
        rows = self.rows[indices]
        if self.others is None:
            places = torch.full((len(self.rows),), -1)
            places[indices] = torch.arange(len(indices))
            rows = torch.where(rows < 0, rows, places[rows.clamp(min=0)])
        return replace(self, rows=rows)

    def and_those_of(self, following: "Partners") -> "Partners":
        """The same of more examples, which are beside others of the same ones."""
        assert self.others is not None
        assert self.others is following.others
        return replace(self, rows=torch.cat([self.rows, following.rows]))

    def used(self) -> "Partners":
        """The same without those of `others` that stand beside no example."""
        assert self.others is not None
        used, rows = self.rows.unique(return_inverse=True)
        lacking = int(bool(len(used)) and int(used[0]) < 0)
        return replace(self, rows=rows - lacking, others=self.others[used[lacking:]])

    def as_part(self) -> "Part":
        """What is of a kind of its own as a part, without labels."""
        assert self.others is not None
        assert self.modality is not None
        return Part(self.others, modality=self.modality)

    def drawn(
        self,
        examples: Examples,
        indices: Int64[Tensor, " batch"],
        generator: torch.Generator,
    ) -> Shaped[Tensor, " batch *other"]:
        """One partner of each of some examples; of one that has none, the example itself.

        Args:
            examples: Of the part; streamed ones where `others` are of a kind of their own alone.
            indices: Which of them, on the CPU.
            generator: Draws among several, each as likely.
        """
        rows = self.rows[indices]
        there = rows >= 0
        counts = there.sum(dim=1)
        place = torch.rand(len(indices), generator=generator, device=generator.device).cpu()
        place = (place * counts).long().minimum((counts - 1).clamp(min=0))
        # What there is stands first, in its order.
        order = (~there).long().argsort(dim=1, stable=True)
        drawn = rows.gather(1, order.gather(1, place[:, None]))[:, 0]
        lacking = counts == 0
        if self.others is not None and self.modality is not None:
            return self.others[drawn]
        assert isinstance(examples, Tensor)
        if self.others is None:
            return examples[torch.where(lacking, indices, drawn).to(examples.device)]
        found = self.others[drawn.clamp(min=0)].to(examples.device)
        found[lacking] = examples[indices[lacking].to(examples.device)]
        return found


@dataclass(frozen=True)
class Part:
    """One part of a source: train, test or unlabelled.

    Attributes:
        examples: All of them, in memory or streamed: images `(n, channels, height, width)` uint8;
            series `(n, channels, steps)` or vectors `(n, features)`, finite, float32 or, where they
            were given in a wider type, float64; texts `(n, bytes)` uint8, as `nearfar.text_bytes`.
        labels: Class of each example, `(n,)` int64 from 0, or None where there are none.
        names: File name of each example, or None where they are not files.
        modality: What the examples are; their shape does not tell.
        multi_labels: Where an example may be of several classes, and then has no label: of each
            example and class 1 where it is there, −1 where it is not, 0 where that is not judged.
        partners: What second views may be of, or what each example is paired with; None: second
            views are of the examples themselves.
        depths: Of images, `(n, height, width)` float32, how far each pixel is, in the source's
            unit; NaN where that is not known. In memory or streamed.
        masks: Of images, `(n, height, width)` int16, the class of each pixel; −1 where it is not
            judged. In memory or streamed.
    """

    examples: Examples
    labels: Int64[Tensor, " n"] | None = None
    names: Sequence[str] | None = None
    modality: Modality = "images"
    multi_labels: Int8[Tensor, "n classes"] | None = None
    partners: Partners | None = None
    depths: Targets | None = None
    masks: Targets | None = None

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.examples)

    def could_be_read(self) -> Bool[Tensor, " n"]:
        """Which examples are themselves, once all were read: for no other did another stand in."""
        faults = self.examples.faults if isinstance(self.examples, StreamedExamples) else None
        if faults is None or self.names is None:
            return torch.ones(len(self), dtype=torch.bool)
        lost = {name for name, _ in faults.all()}
        return torch.tensor([name not in lost for name in self.names], dtype=torch.bool)

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Of every example: `(channels, height, width)`, `(channels, steps)`, `(features,)`…"""
        return _shape(self.examples)


@dataclass(frozen=True)
class Search:
    """Two sets, of which one asks the other for examples of its class.

    Attributes:
        queries: What asks, with labels.
        gallery: What is searched, with labels. Their classes are numbered for the two together,
            and may be other ones than those of the training part.
        class_names: Name of each of these classes.
    """

    queries: Part
    gallery: Part
    class_names: tuple[str, ...]


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
        search: What retrieval is judged on, where the data say so; None where the test part is.
        mask_names: Name of each class of pixels, or None where there are no masks.
        columns: What each feature of vectors is of a table, or None where that is not known.
        order: Where the unlabelled examples stood among those of `train`, and no other was taken
            from these: the place of each of `train` and then of each unlabelled one among all.
    """

    name: str
    train: Part
    test: Part | None = None
    unlabelled: Part | None = None
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = field(default=())
    search: Search | None = None
    mask_names: tuple[str, ...] | None = None
    columns: tuple[TableFeature, ...] | None = None
    order: Int64[Tensor, " n"] | None = None

    @property
    def modality(self) -> Modality:
        """What the examples are."""
        return self.train.modality

    @property
    def second_modality(self) -> Modality | None:
        """What they are paired with, of a kind of its own; None: nothing."""
        return None if self.train.partners is None else self.train.partners.modality

    @property
    def parts(self) -> dict[str, Part]:
        """All its parts by name, each example once: what the gallery has of another part is not
        named again."""
        named = {"train": self.train, "test": self.test, "unlabelled": self.unlabelled}
        if self.search is not None:
            named |= {"query": self.search.queries, "gallery": self.search.gallery}
        parts: dict[str, Part] = {}
        for name, part in named.items():
            if part is not None and not any(part is other for other in parts.values()):
                parts[name] = part
        return parts

    @property
    def faults(self) -> Faults | None:
        """Account of the files that could not be read; None where all are read at the beginning."""
        streamed = (part.examples for part in self.parts.values())
        held = (each.faults for each in streamed if isinstance(each, StreamedExamples))
        return next((each for each in held if each is not None), None)

    @property
    def num_classes(self) -> int | None:
        """Number of classes, each with a name or an example; None without labels."""
        parts = [part.labels for part in (self.train, self.test) if part is not None]
        labels = [part for part in parts if part is not None and len(part)]
        if not labels:
            return None
        return max(len(self.class_names or ()), *(int(part.max()) + 1 for part in labels))


class _Chosen(StreamedExamples):
    """Some examples of a streamed part."""

    def __init__(self, examples: StreamedExamples, indices: Int64[Tensor, " m"]) -> None:
        self.examples = examples
        self.indices = indices
        self.shape = examples.shape
        self.faults = examples.faults

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Tensor:
        return self.examples[int(self.indices[index])]

    def given(self, index: int) -> tuple[Tensor, int]:
        example, given = self.examples.given(int(self.indices[index]))
        if given == self.indices[index]:
            return example, index
        places = (self.indices == given).nonzero()
        return example, int(places[0]) if len(places) else -1


def choose(part: Part, indices: Int64[Tensor, " m"]) -> Part:
    """The part that holds only these examples, in this order.

    Args:
        part: In memory or streamed.
        indices: Examples to keep.
    """
    names = part.names
    return replace(
        part,
        examples=examples_at(part.examples, indices),
        labels=None if part.labels is None else part.labels[indices],
        names=None if names is None else [names[place] for place in indices.tolist()],
        multi_labels=None if part.multi_labels is None else part.multi_labels[indices],
        partners=None if part.partners is None else part.partners.chosen(indices),
        depths=None if part.depths is None else examples_at(part.depths, indices),
        masks=None if part.masks is None else examples_at(part.masks, indices),
    )


def joined(first: Part, second: Part) -> Part:
    """The examples of two parts one after the other, without labels.

    Args:
        first: In memory or streamed.
        second: Of the same modality, and with partners among the same examples where `first` has.
    """
    names = None
    if first.names is not None and second.names is not None:
        names = [*first.names, *second.names]
    partners = None
    if first.partners is not None and second.partners is not None:
        partners = first.partners.and_those_of(second.partners)
    ours, theirs = first.examples, second.examples
    if isinstance(ours, StreamedExamples) or isinstance(theirs, StreamedExamples):
        together: Examples = JoinedExamples(ours, theirs)
    else:
        together = torch.cat([ours, theirs])
    return Part(together, names=names, modality=first.modality, partners=partners)


def examples_at(examples: Examples, indices: Int64[Tensor, " m"]) -> "Tensor | StreamedExamples":
    """Some of the examples, in this order; those that are streamed stay so."""
    if isinstance(examples, StreamedExamples):
        return examples.take(indices)
    return examples[indices]
