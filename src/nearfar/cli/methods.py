"""`nearfar methods [NAME]`: what an encoder can be trained with, at a glance or one in full."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nearfar.cli.listing import Grid, Listing, ListingArguments, Story, run_listing
from nearfar.cli.setting_tables import setting_facts, settings_grid
from nearfar.methods.method_spec import MethodSpec
from nearfar.recipes.names import recipes_with
from nearfar.spec import Choice, default_of


@dataclass(frozen=True)
class MethodsArguments(ListingArguments):
    """List the methods that an encoder can be trained with, or tell all of one."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar methods` with the words after it."""
    run_listing(MethodsArguments, Methods(), words)


class Methods(Listing):
    """The methods, those of plug-ins among them."""

    command, noun = "methods", "method"
    foot = ", [bold]nearfar train --method NAME[/bold] trains with it"

    def names(self) -> list[str]:
        """Every method."""
        return list(MethodSpec.known())

    def tables(self) -> list[Grid]:
        """A line or two for each."""
        rows = [(name, _needs(spec), spec.summary) for name, spec in MethodSpec.known().items()]
        return [Grid(("method", "needs", "what it does"), rows)]

    def story(self, name: str) -> Story:
        """What it does and needs, its settings, and recipes."""
        spec = MethodSpec.named(name)
        used = recipes_with(method=name)
        alone = " ".join(filter(None, (f"nearfar train --method {name}", spec.must_be_told)))
        return Story(
            title=f"{name}: {spec.title}",
            summary=_sentence(spec.summary),
            command=f"nearfar train {used[0]}" if used else alone,
            facts={
                "needs": _needs(spec),
                "source": spec.source,
                "recipes": ", ".join(used),
            },
            grids=[
                *settings_grid(spec, f"Settings (--method.NAME VALUE, after --method {name})"),
                *_objectives(spec),
            ],
        )

    def facts(self, name: str) -> dict[str, Any]:
        """The same for programs."""
        spec = MethodSpec.named(name)
        return {
            "name": name,
            "title": spec.title,
            "summary": spec.summary,
            "source": spec.source,
            "needs_labels": spec.needs_labels,
            "needs_steps": spec.needs_steps,
            "views": [spec.least_views, spec.most_views],
            "settings": setting_facts(spec),
            "objectives": list(_objectives_of(spec)),
            "recipes": recipes_with(method=name),
        }


def _needs(spec: type[MethodSpec]) -> str:
    least, most = spec.least_views, spec.most_views
    views = f"{least}{'' if least == most else '+'} view{'s' if least > 1 else ''}"
    labels = ", labels" if spec.needs_labels else ""
    pairs = ", pairs" if spec().second_side is not None else ""
    return f"{views}{labels}{pairs}{', steps' if spec.needs_steps else ''}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _objectives_of(spec: type[MethodSpec]) -> dict[str, type[Choice]]:
    """What the method's setting `objective` chooses from, by name; nothing where it has none."""
    setting = spec.__dataclass_fields__.get("objective")
    default = None if setting is None else default_of(setting)
    return default.known() if isinstance(default, Choice) else {}


def _objectives(spec: type[MethodSpec]) -> list[Grid]:
    rows = [
        (name, (each.__doc__ or "").split("\n")[0]) for name, each in _objectives_of(spec).items()
    ]
    if not rows:
        return []
    below = "nearfar objectives NAME tells what each computes and has for settings."
    return [Grid((), rows, title="Objectives (--method.objective NAME)", below=below)]
