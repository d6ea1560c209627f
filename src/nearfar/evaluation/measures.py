"""What the figures of a protocol are, and how people are told of them. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

_OF_ANY_RECORD = frozenset(
    {"transform", "converged", "draws", "values", "shots", "classes", "standard_error"}
)
"""Parameters of a record that say nothing of what was asked."""


@dataclass(frozen=True)
class Curve:
    """A chart of the accuracies of one measure against a parameter that is above 0.

    Attributes:
        parameter: Of the records.
        title: Above the chart.
        axis: Below it.
    """

    parameter: str
    title: str
    axis: str


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a protocol's records of one name are, and how people are told of them.

    Attributes:
        name: Their `protocol`.
        words: Its title; the name in words where left out.
        short: In sentences, and where there is little room; the title in small letters where left
            out.
        heading: In tables of documents, where it stands alone; a format of the parameters.
        parameters: Those that tell its records apart, each with its type.
        optional: Further ones, which records may be without.
        letters: By which such parameters are called, where not by their names.
        explained: What the figures say, where they are no accuracies; `{one}` stands for what an
            example is called.
        better: Which of two figures is the better one, where they are no accuracies and can be
            compared: the lower, or the higher. Accuracies need not say.
        judge: What a sentence of the verdict says behind "under".
        place: Among the accuracies that the verdict speaks of, one for each place; None for a
            measure that it leaves to the table.
        rank: Among those for one place: the first of the lowest is spoken of.
        curve: A chart of its own.
    """

    name: str
    words: str = ""
    short: str = ""
    heading: str = ""
    parameters: Mapping[str, type] = field(default_factory=dict)
    optional: Mapping[str, type] = field(default_factory=dict)
    letters: Mapping[str, str] = field(default_factory=dict)
    explained: str = ""
    better: Literal["", "lower", "higher"] = ""
    judge: str = ""
    place: int | None = None
    rank: float = 0.0
    curve: Curve | None = None

    def __post_init__(self) -> None:
        words = self.words or self.name.replace("_", " ").capitalize()
        short = self.short or words[0].lower() + words[1:]
        given = {"words": words, "short": short, "judge": self.judge or short}
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def identity(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """What of a record's parameters tells it from others of this measure."""
        telling = {**self.parameters, **self.optional}
        return {name: value for name, value in parameters.items() if name in telling}

    def title(self, parameters: Mapping[str, Any]) -> str:  # noqa: ARG002  others need them
        """What stands before a record's figures."""
        return self.words

    def detail(self, parameters: Mapping[str, Any]) -> str:
        """What tells a record from others of the same title."""
        named = self.identity(parameters).items()
        return ", ".join(f"{self.letters.get(key, key)} = {_told(value)}" for key, value in named)

    def alone(self, parameters: Mapping[str, Any]) -> str:
        """Title and detail where a table has one cell for both."""
        return (self.heading or self.short).format_map(parameters)

    def clause(self, parameters: Mapping[str, Any], draws: int) -> str:  # noqa: ARG002  others do
        """How a sentence of the verdict names it.

        Args:
            parameters: Of the record.
            draws: Random draws that its figure is a mean of.
        """
        detail = self.detail(parameters)
        return f"under {self.judge}" + (f" ({detail})" if detail else "")

    def priority(self, parameters: Mapping[str, Any]) -> float:  # noqa: ARG002  others need them
        """Its rank; one that depends on the parameters is for a subclass to say."""
        return self.rank


class UnknownMeasure(Measure):
    """Of a protocol that is not installed here."""

    def identity(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that may tell records apart: rather a row too many than a figure lost."""
        kinds = (str, int, float)
        return {
            name: value
            for name, value in parameters.items()
            if isinstance(value, kinds) and name not in _OF_ANY_RECORD
        }


class FewLabelsMeasure(Measure):
    """Accuracies with a number of labels a class."""

    def title(self, parameters: Mapping[str, Any]) -> str:
        """The number of labels."""
        return f"{self._labels(parameters)} per class"

    def detail(self, parameters: Mapping[str, Any]) -> str:  # noqa: ARG002  the title has it
        """Nothing more."""
        return ""

    def alone(self, parameters: Mapping[str, Any]) -> str:
        """The number of labels, and that a probe was fitted."""
        return f"{self._labels(parameters)} a class, probe"

    def clause(self, parameters: Mapping[str, Any], draws: int) -> str:
        """The number of labels, and whether they were drawn only once."""
        once = ", drawn once" if draws == 1 else ""
        return f"with {self.title(parameters)}{once}"

    def priority(self, parameters: Mapping[str, Any]) -> float:
        """The number nearest to ten."""
        return float(abs(parameters["labels_per_class"] - 10))

    @staticmethod
    def _labels(parameters: Mapping[str, Any]) -> str:
        count = parameters["labels_per_class"]
        return f"{count} label{'' if count == 1 else 's'}"


class LinearProbeMeasure(Measure):
    """Accuracies of a probe that may weigh classes alike."""

    def detail(self, parameters: Mapping[str, Any]) -> str:
        """Whether it does."""
        return "every class weighs the same" if parameters.get("balanced") else ""

    def alone(self, parameters: Mapping[str, Any]) -> str:
        """The title, and whether it does."""
        detail = self.detail(parameters)
        return super().alone(parameters) + (f", {detail}" if detail else "")


class FineTuningMeasure(Measure):
    """Accuracies after training on with some labels."""

    def detail(self, parameters: Mapping[str, Any]) -> str:
        """With how many labels, and what was not trained."""
        told = _labels_in_words(parameters["labels"])
        if "layer_decay" in parameters:
            told += f", rates ×{parameters['layer_decay']:g} a layer down"
        if "head_rate" in parameters:
            told += f", the classifier's ×{parameters['head_rate']:g}"
        frozen = parameters["frozen"]
        if frozen == "nothing":
            return told
        what = "the backbone" if frozen == "backbone" else f"the first {frozen} stages"
        return f"{told}, {what} frozen"

    def alone(self, parameters: Mapping[str, Any]) -> str:
        """The labels, and that all was trained."""
        return f"fine-tuning, {self.detail(parameters)}"

    def clause(self, parameters: Mapping[str, Any], draws: int) -> str:
        """The same behind a verb."""
        once = ", drawn once" if draws == 1 else ""
        return f"after fine-tuning with {self.detail(parameters)}{once}"

    def priority(self, parameters: Mapping[str, Any]) -> float:
        """The fewest labels tell most of where it started."""
        return float(parameters["labelled"])


def _labels_in_words(asked: str) -> str:
    if asked == "100%":
        return "all labels"
    return f"{asked} of the labels" if asked.endswith("%") else f"{asked} labels per class"


class RetrievalMeasure(Measure):
    """Means over queries, which may be some of those that there are."""

    def detail(self, parameters: Mapping[str, Any]) -> str:
        """What is asked of what; where not all ask, how many of how many."""
        whole = {name: value for name, value in parameters.items() if name not in ("queries", "of")}
        told = super().detail(whole)
        if "of" in parameters:
            told += f", {parameters['queries']:,} of {parameters['of']:,} queries"
        return told


class CentredMeasure(Measure):
    """Figures of features as they are, and of features less their mean."""

    def detail(self, parameters: Mapping[str, Any]) -> str:
        """Whether the mean was taken off."""
        return "less the mean" if parameters["centred"] else ""


def _told(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
