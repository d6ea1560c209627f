"""`nearfar data [NAME]`: the sources of examples, at a glance or one with licence and citation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nearfar.cli.listing import Grid, Listing, ListingArguments, Story, run_listing
from nearfar.cli.setting_tables import setting_facts, settings_grid
from nearfar.data.specs import SourceSpec
from nearfar.recipes.names import recipes_with


@dataclass(frozen=True)
class DataArguments(ListingArguments):
    """List the sources of examples that --data takes, or tell all of one."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar data` with the words after it."""
    run_listing(DataArguments, Data(), words)


class Data(Listing):
    """The sources, those of plug-ins among them."""

    command, noun = "data", "data source"
    foot = (
        ".\nWith labels, --data.imbalance-factor 100 thins the training part to a long\n"
        "tail, and --data.label-noise 0.2 mixes up a share of the labels learnt from."
    )

    def names(self) -> list[str]:
        """Every source."""
        return list(SourceSpec.known())

    def tables(self) -> list[Grid]:
        """A line for each."""
        head = ("source", "holds", "to learn from", "classes", "needs (--data.root)")
        return [Grid(head, [_row(name, source) for name, source in SourceSpec.known().items()])]

    def story(self, name: str) -> Story:
        """What it holds, whose it is, where it comes from, and its settings."""
        source, recipes = SourceSpec.named(name), recipes_with(data=name)
        root = f" --data.root {source.root_kind.upper()}" if source.root_kind else ""
        return Story(
            title=name,
            summary=f"{source.summary[0].upper()}{source.summary[1:]}.",
            command=f"nearfar train {recipes[0] if recipes else f'--data {name}'}{root}",
            facts={
                "holds": source.modality,
                "size": source.size,
                "classes": _count(source.classes),
                "licence": source.licence,
                "cite": source.citation or "",
                "home": source.home or "",
                "recipes": ", ".join(recipes),
            },
            grids=settings_grid(source, f"Settings (--data.NAME VALUE, after --data {name})"),
        )

    def facts(self, name: str) -> dict[str, Any]:
        """The same for programs."""
        source = SourceSpec.named(name)
        stated = ("summary", "modality", "train_examples", "classes", "size", "licence")
        whose = ("citation", "home", "root_kind")
        return {
            "name": name,
            **{fact: getattr(source, fact) for fact in (*stated, *whose)},
            "settings": setting_facts(source),
            "recipes": recipes_with(data=name),
        }


def _row(name: str, source: type[SourceSpec]) -> tuple[str, ...]:
    """One line of the table."""
    needs = f"a {source.root_kind}" if source.root_kind else "nothing"
    downloads = name in SourceSpec.owners("download")
    return (
        name,
        source.modality,
        _count(source.train_examples),
        _count(source.classes),
        needs + (" or --data.download" if downloads else ""),
    )


def _count(number: int | None) -> str:
    """A number of examples or classes; the user's own data decide it where there is none."""
    return "yours" if number is None else f"{number:,}"
