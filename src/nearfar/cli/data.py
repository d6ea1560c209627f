"""`nearfar data [NAME]`: the sources of examples, at a glance or one with licence and citation."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nearfar.cli.listing import Grid, Listing, ListingArguments, Story, run_listing
from nearfar.data.catalogue import SOURCES, SourceInfo
from nearfar.recipes.names import recipes_with


@dataclass(frozen=True)
class DataArguments(ListingArguments):
    """List the sources of examples that --data.name takes, or tell all of one."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar data` with the words after it."""
    run_listing(DataArguments, Data(), words)


class Data(Listing):
    """The sources of images, series and vectors."""

    command, noun = "data", "data source"
    foot = (
        ".\nWith labels, --data.imbalance-factor 100 thins the training part to a long\n"
        "tail, and --data.label-noise 0.2 mixes up a share of the labels learnt from."
    )

    def names(self) -> list[str]:
        """Every source."""
        return list(SOURCES)

    def tables(self) -> list[Grid]:
        """A line for each."""
        head = ("source", "holds", "to learn from", "classes", "needs (--data.root)")
        return [Grid(head, [_row(name, source) for name, source in SOURCES.items()])]

    def story(self, name: str) -> Story:
        """What it holds, whose it is, and where it comes from."""
        source, recipes = SOURCES[name], recipes_with(data=name)
        return Story(
            title=name,
            summary=f"{source.summary[0].upper()}{source.summary[1:]}.",
            command=f"nearfar train {recipes[0] if recipes else f'--data.name {name}'}"
            + _ROOTS[source.root],
            facts={
                "holds": source.modality,
                "size": source.size,
                "classes": _count(source.classes),
                "licence": source.licence,
                "cite": source.citation or "",
                "home": source.home or "",
                "recipes": ", ".join(recipes),
            },
        )

    def facts(self, name: str) -> dict[str, Any]:
        """The same for programs."""
        return {"name": name, **asdict(SOURCES[name]), "recipes": recipes_with(data=name)}


_ROOTS = {
    "none": "",
    "optional": " --data.root FOLDER",
    "folder": " --data.root FOLDER",
    "file": " --data.root FILE",
}
"""The option that says where a source is, by `SourceInfo.root`."""


def _row(name: str, source: SourceInfo) -> tuple[str, ...]:
    """One line of the table."""
    needs = {"none": "nothing", "file": "a file"}.get(source.root, "a folder")
    return (
        name,
        source.modality,
        _count(source.train_images),
        _count(source.classes),
        needs + (", or --data.download" if source.downloads else ""),
    )


def _count(number: int | None) -> str:
    """A number of examples or classes; the user's own data decide it where there is none."""
    return "yours" if number is None else f"{number:,}"
