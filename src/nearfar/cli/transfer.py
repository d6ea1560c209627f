"""`nearfar transfer RUN… --sets SET…`: encoders on sets that they did not learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le
from tyro.conf import Positional, arg

from nearfar.bounds import HIGHEST_SEED, check_range
from nearfar.cli.arguments import parse
from nearfar.errors import SettingError
from nearfar.recipes.transfer_sets import sets_named


@dataclass(frozen=True)
class TransferArguments:
    """Judge the encoders of runs on other sets, beside random and supervised starts.

    Every figure is kept in the folder when it is found: the same command goes on after a kill.
    """

    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN [RUN…]")]
    """Run folders; runs of one recipe that differ by their seed alone share a row."""
    sets: Annotated[tuple[str, ...], arg(metavar="SET [SET…]")] = ()
    """Sources, as NAME or NAME=ROOT; `images` and `series` are those that need no network."""
    out: Annotated[Path, arg(metavar="DIR")] = Path("transfer")
    """Folder for the figures, the table and the page."""
    supervised: bool = False
    """Train a start by cross-entropy on the first run's data, where no run learnt with labels."""
    draws: Annotated[int, Ge(1), Le(1000)] = 5
    """Random draws of few labels; 2 or more give a spread."""
    train_examples: Annotated[int | None, Ge(20)] = None
    """Examples of a set to learn from at most, always the same ones."""
    test_examples: Annotated[int | None, Ge(1)] = None
    """Examples of a set to judge by at most."""
    leave_out: Annotated[tuple[str, ...], arg(metavar="PROTOCOL [PROTOCOL…]")] = ()
    """Protocols that are not run: linear, few, fine_tuned (which takes by far the longest)."""
    layer_decay: Annotated[float, Gt(0), Le(1)] = 1.0
    """Of fine-tuning: rate of each layer of the network, in those of the layer above it."""
    head_rate: Annotated[float, Gt(0), Le(1000)] = 1.0
    """Of fine-tuning: rate of the classifier, in those of the network."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar transfer` with the words after it."""
    arguments = parse(TransferArguments, "transfer", words)
    if not arguments.runs:
        raise SettingError("transfer needs at least one run folder, such as runs/simclr-digits")
    check_range("draws", arguments.draws, 1, 1000)
    for name, least in (("train_examples", 20), ("test_examples", 1)):
        if (count := getattr(arguments, name)) is not None:
            check_range(name, count, least, HIGHEST_SEED)
    check_range("layer_decay", arguments.layer_decay, 1e-6, 1)
    check_range("head_rate", arguments.head_rate, 1e-6, 1000)
    sets = sets_named(arguments.sets)

    from nearfar.recipes.transfer import transfer
    from nearfar.terminal import Terminal, shown

    table = transfer(
        arguments.runs,
        sets,
        arguments.out,
        supervised=arguments.supervised,
        draws=arguments.draws,
        train_examples=arguments.train_examples,
        test_examples=arguments.test_examples,
        leave_out=arguments.leave_out,
        layer_decay=arguments.layer_decay,
        head_rate=arguments.head_rate,
    )
    terminal = Terminal(goes_on=True)
    terminal.print(table.for_console())
    terminal.say("note", table.notes)
    for name in ("transfer.html", "transfer.csv", "transfer.json"):
        terminal.print(f"{shown(arguments.out / name)}", soft_wrap=True)
