"""`nearfar objectives [NAME]`: the losses, at a glance or one with formula, settings and source."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nearfar.cli.docstrings import FunctionText, exported, function_text
from nearfar.cli.listing import Grid, Listing, ListingArguments, Story, run_listing
from nearfar.cli.setting_tables import setting_facts, settings_grid
from nearfar.methods.objective_specs import ObjectiveSpec

_PACKAGE = "nearfar.objectives"


@dataclass(frozen=True)
class ObjectivesArguments(ListingArguments):
    """List the objectives of `nearfar.objectives`, or tell all of one."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar objectives` with the words after it."""
    run_listing(ObjectivesArguments, Objectives(), words)


class Objectives(Listing):
    """The objectives, read off their sources: their package would import torch."""

    command, noun = "objectives", "objective"

    def names(self) -> list[str]:
        """Ours, and those that plug-ins let views be compared by."""
        return sorted({**exported(_PACKAGE), **ObjectiveSpec.known()})

    def tables(self) -> list[Grid]:
        """A line for each, without a head: all of them fill a screen."""
        return [Grid((), [(name, _of(name).summary.partition(" (")[0]) for name in self.names()])]

    def story(self, name: str) -> Story:
        """What its docstring says, and its settings in a run."""
        text, spec = _of(name), ObjectiveSpec.known().get(name)
        arguments = Grid((), list(text.arguments.items()), title="Arguments")
        settings = (
            f"Settings in a run (--method.objective.NAME VALUE, after --method.objective {name})"
        )
        return Story(
            title=text.call,
            summary=text.summary,
            paragraphs=text.paragraphs,
            facts={
                "returns": text.sections.get("Returns", ""),
                "source": text.sections.get("Source", ""),
                "trains": f"nearfar train --method simclr --method.objective {name}"
                if spec
                else "",
            },
            grids=[arguments, *(settings_grid(spec, settings) if spec else ())],
        )

    def facts(self, name: str) -> dict[str, Any]:
        """The same for programs."""
        text, spec = _of(name), ObjectiveSpec.known().get(name)
        return {
            "name": name,
            "call": text.call,
            "summary": text.summary,
            "description": "\n\n".join(text.paragraphs),
            "arguments": text.arguments,
            "returns": text.sections.get("Returns", ""),
            "raises": text.sections.get("Raises", ""),
            "source": text.sections.get("Source", ""),
            "compares_views": spec is not None,
            "settings": setting_facts(spec) if spec else [],
        }


def _of(name: str) -> FunctionText:
    """What the source of an objective says; of a plug-in's without source, what its spec says."""
    ours = exported(_PACKAGE)
    if name in ours:
        module, function = ours[name], name
    else:
        module, _, function = ObjectiveSpec.named(name).function.partition(":")
    if text := function_text(module, function):
        return text
    summary = (ObjectiveSpec.named(name).__doc__ or "").partition("\n")[0]
    return FunctionText(function, summary, [], {}, {})
