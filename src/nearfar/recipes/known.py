"""What is known of a recipe beside its settings: figures to expect, time, data, hardware. Light."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import wraps
from inspect import cleandoc

from nearfar.evaluation.evaluation_spec import measure_of
from nearfar.plugins import require_free
from nearfar.recipes.recipe import Recipe


@dataclass(frozen=True)
class Figure:
    """An accuracy, another share or a correlation to expect of the encoder, times 100.

    Attributes:
        protocol: As in a record of `evaluation.json`.
        top1: Of the trained encoder; of a protocol without accuracies its share.
        sd: Over the seeds; of one seed alone, over draws of the labels. None where not told.
        untrained: Of the encoder before training.
        raw: Of the data as they are.
        of: What it is the figure of, where not of all classes or not of the recipe as it stands.
        parameters: Of the protocol, as in a record of `evaluation.json`.
    """

    protocol: str
    top1: float
    sd: float | None = None
    untrained: float | None = None
    raw: float | None = None
    of: str = ""
    parameters: dict[str, int | float | str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The protocol in words."""
        return measure_of(self.protocol).alone(self.parameters)

    @property
    def value(self) -> str:
        """The accuracy with its spread: "98.3 ± 0.3"."""
        return f"{self.top1}" if self.sd is None else f"{self.top1} ± {self.sd}"


def knn(
    k: int,
    temperature: float,
    top1: float,
    sd: float | None = None,
    *,
    untrained: float | None = None,
    raw: float | None = None,
    of: str = "",
) -> Figure:
    """The figure of a weighted vote of k neighbours."""
    return Figure("knn", top1, sd, untrained, raw, of, {"k": k, "temperature": temperature})


def few_labels(
    labels_per_class: int,
    top1: float,
    sd: float | None = None,
    *,
    untrained: float | None = None,
    raw: float | None = None,
    of: str = "",
) -> Figure:
    """The figure of a probe that gets few labels a class, a mean over draws of them."""
    parameters: dict[str, int | float | str] = {"labels_per_class": labels_per_class}
    return Figure("few_labels", top1, sd, untrained, raw, of, parameters)


@dataclass(frozen=True)
class Figures:
    """What to expect of a recipe; the first figure stands for it in a list.

    Attributes:
        rows: The figures.
        seeds: They were measured with, here; empty where the source has published them and they
            are not reproduced here.
        examples: Test examples that they are of; None where not told.
        page: Which of this project's pages holds them.
    """

    rows: tuple[Figure, ...] = ()
    seeds: tuple[int, ...] = ()
    examples: int | None = None
    page: str = ""

    @property
    def origin(self) -> str:
        """Whose figures they are, in words; empty where there are none."""
        if not self.rows:
            return ""
        if not self.seeds:
            return "published by the source, not reproduced here"
        *most, last = map(str, self.seeds)
        seeds = f"seeds {', '.join(most)} and {last}, mean ± sd" if most else f"seed {last} alone"
        page = f" ({self.page})" if self.page else ""
        return f"{seeds}, on {self.examples:,} test examples{page}"


def measured(
    *rows: Figure, examples: int, seeds: tuple[int, ...] = (0,), page: str = ""
) -> Figures:
    """Figures that were measured here."""
    return Figures(rows, seeds, examples, page)


def published(*rows: Figure) -> Figures:
    """Figures that the source has published, and that are not reproduced here."""
    return Figures(rows)


@dataclass(frozen=True)
class Duration:
    """How long a training took.

    Attributes:
        seconds: Of one run.
        on: What it ran on.
        note: What else is known of the time.
    """

    seconds: float
    on: str
    note: str = ""

    @property
    def short(self) -> str:
        """The time with its unit: "44 s", "4.1 min"."""
        if self.seconds < 120:
            return f"{self.seconds:g} s"
        return f"{round(self.seconds / 60, 1):g} min"


@dataclass(frozen=True)
class Family:
    """What recipes share that learn from the same data.

    Attributes:
        title: What they are listed under.
        data: Where the data come from.
        command: What to type; `{name}` stands for the recipe's name.
        hardware: What they are meant for; empty where that depends on the data.
        setup: Settings that they share, in words.
    """

    title: str
    data: str
    command: str = "nearfar train {name}"
    hardware: str = ""
    setup: str = ""


@dataclass(frozen=True)
class KnownRecipe:
    """A recipe and all that is known of it; called, it gives the `Recipe`."""

    name: str
    family: Family
    figures: Figures
    training: Duration | None
    make: Callable[[], Recipe]

    def __call__(self) -> Recipe:
        """All settings."""
        return self.make()

    @property
    def summary(self) -> str:
        """What it is, in one line."""
        return self._paragraphs[0]

    @property
    def story(self) -> list[str]:
        """Paragraphs: whose settings these are, and what differs from the source."""
        return self._paragraphs[1:]

    @property
    def command(self) -> str:
        """What to type."""
        return self.family.command.format(name=self.name)

    @property
    def _paragraphs(self) -> list[str]:
        text = cleandoc(self.make.__doc__ or "")
        return [" ".join(each.split()) for each in text.split("\n\n")]


RECIPES: dict[str, KnownRecipe] = {}
"""Every recipe that was declared so far; `nearfar.recipes.names` declares all of them."""


def recipe(
    family: Family, figures: Figures, training: Duration | None = None
) -> Callable[[Callable[[], Recipe]], Callable[[], Recipe]]:
    """Declares a function a recipe: its name is the function's, with hyphens.

    Args:
        family: What it shares with others.
        figures: What to expect of it.
        training: How long it took; None where it was not measured.

    Returns:
        A decorator. The function's docstring tells what the recipe is in its first line, and below
        whose settings these are and what differs from the source. It gets no name by itself: the
        decorator writes it into the `Recipe`.
    """

    def declare(make: Callable[[], Recipe]) -> Callable[[], Recipe]:
        name = make.__name__.replace("_", "-")

        @wraps(make)
        def named() -> Recipe:
            return replace(make(), recipe=name)

        holder = RECIPES.get(name)
        require_free("recipe", name, make, holder and holder.make)
        RECIPES[name] = KnownRecipe(name, family, figures, training, named)
        return named

    return declare
