"""`nearfar protocols [NAME]`: how an encoder can be judged, at a glance or one in full."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nearfar.cli.listing import Grid, Listing, ListingArguments, Story, run_listing
from nearfar.cli.setting_tables import setting_facts, settings_grid
from nearfar.evaluation.protocol_spec import ProtocolSpec


@dataclass(frozen=True)
class ProtocolsArguments(ListingArguments):
    """List the protocols by which an encoder is judged, or tell all of one."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar protocols` with the words after it."""
    run_listing(ProtocolsArguments, Protocols(), words)


class Protocols(Listing):
    """The protocols, those of plug-ins among them."""

    command, noun = "protocols", "protocol"
    foot = ", [bold]--evaluation.leave-out NAME[/bold] leaves it out"

    def names(self) -> list[str]:
        """Every protocol, in the order in which they run."""
        return list(ProtocolSpec.known())

    def tables(self) -> list[Grid]:
        """A line for each."""
        run = [(name, each) for name, each in _known() if each.by_default]
        dense = [_row(name, each) for name, each in run if each.targets]
        pairs = [_row(name, each) for name, each in run if each.needs_pairs]
        usual = [_row(name, each) for name, each in run if not (each.targets or each.needs_pairs)]
        longer = [_row(name, each) for name, each in _known() if not each.by_default]
        heads = ("protocol", "baselines", "what it does")
        return [
            Grid(heads, usual, "Run on every encoder"),
            Grid(heads, dense, "Run where images have depths or masks"),
            Grid(heads, pairs, "Run where examples are paired with others of another kind"),
            Grid(heads, longer, "These take long: --evaluation.also NAME runs one"),
        ]

    def story(self, name: str) -> Story:
        """What it does and gives, and its settings."""
        spec = ProtocolSpec.named(name)
        option = f"--evaluation.{name.replace('_', '-')}.NAME VALUE"
        return Story(
            title=name,
            summary=spec.summary(),
            facts={
                "judges": _judges(spec),
                "needs": _needs(spec),
                "figures": ", ".join(measure.words for measure in spec.measures),
                "run by": "" if spec.by_default else f"--evaluation.also {name}",
                "left out by": f"--evaluation.leave-out {name}" if spec.by_default else "",
            },
            grids=settings_grid(spec, f"Settings ({option})"),
        )

    def facts(self, name: str) -> dict[str, Any]:
        """The same for programs."""
        spec = ProtocolSpec.named(name)
        return {
            "name": name,
            "summary": spec.summary(),
            "judges": list(spec.judges),
            "needs_labels": spec.needs_labels,
            "targets": spec.targets,
            "needs_pairs": spec.needs_pairs,
            "by_default": spec.by_default,
            "records": [measure.name for measure in spec.measures],
            "arrays": list(spec.arrays),
            "settings": setting_facts(spec),
        }


def _known() -> list[tuple[str, type[ProtocolSpec]]]:
    return list(ProtocolSpec.known().items())


def _needs(spec: type[ProtocolSpec]) -> str:
    """What the data must have, in words."""
    if spec.targets:
        return f"{spec.targets} of the images, and a test part"
    labels = "labels, and a test part" if spec.needs_labels else ""
    return ", ".join(filter(None, ("pairs of two kinds" if spec.needs_pairs else "", labels)))


def _judges(spec: type[ProtocolSpec]) -> str:
    """Which features, in words, the embedding among them."""
    asked = "" if spec.judges_every_embedding else " where evaluation.embeddings asks for it"
    return _kinds(spec) + (f", and the embedding{asked}" if "embedding" in spec.judges else "")


def _row(name: str, spec: type[ProtocolSpec]) -> tuple[str, str, str]:
    """A line of the table; the encoder is judged by all."""
    return name, _kinds(spec).removeprefix("encoder").removeprefix(", "), spec.summary()


def _kinds(spec: type[ProtocolSpec]) -> str:
    """The features in any case, and their baselines."""
    words = {"encoder": "encoder", "untrained": "untrained", "raw": "raw data"}
    return ", ".join(words[kind] for kind in spec.judges if kind in words)
