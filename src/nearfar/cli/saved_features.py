"""What commands on saved features share: how these are named, and where what is found goes."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from tyro.conf import Positional, arg

from nearfar.cli.arguments import parse
from nearfar.errors import SettingError
from nearfar.uses.file_names import FEATURES, check_page, check_table

if TYPE_CHECKING:
    from nearfar.terminal import Terminal
    from nearfar.uses.features_file import Features
    from nearfar.uses.page import Page


@dataclass(frozen=True)
class FeaturesArguments:
    """Commands on features that are saved inherit these."""

    features: Annotated[Positional[Path], arg(metavar="FEATURES")]
    """.parquet, .npz or .npy that nearfar embed has written, or features of another program."""
    out: Annotated[Path | None, arg(metavar="FILE")] = None
    """NAME.csv or NAME.parquet: all that is found"""
    page: Annotated[Path | None, arg(metavar="FILE")] = None
    """NAME.html: what is found, with pictures"""
    pictures: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Where the images lie now, if no longer where they were."""
    json: bool = False
    """Print what is found as JSON, for programs."""


AnyFeatures = TypeVar("AnyFeatures", bound=FeaturesArguments)


def read_words(kind: type[AnyFeatures], command: str, words: Sequence[str]) -> AnyFeatures:
    """The arguments of a command, and what is impossible refused before any work.

    Raises:
        SettingError: An option does not exist, or a name ends otherwise.
        NearfarError: A file cannot be written.
    """
    arguments = parse(kind, command, words)
    if arguments.features.suffix not in FEATURES:
        raise SettingError(
            f"{arguments.features}: features end in .parquet, .npz or .npy; nearfar embed writes "
            "them"
        )
    check_table(arguments.out)
    check_page(arguments.page)
    return arguments


@dataclass(frozen=True)
class Answer:
    """What a command has found.

    Attributes:
        lines: For a person, with rich's markup; text from outside has gone through `shown`.
        columns: The table.
        facts: For programs, in JSON's own types.
        page: Made where a page is asked for, from the command that made it.
    """

    lines: Sequence[str]
    columns: Mapping[str, Sequence[Any]]
    facts: Any
    page: "Callable[[str], Page]"


def give(
    arguments: FeaturesArguments,
    command: str,
    words: Sequence[str],
    answer: "Callable[[Features, Terminal], Answer]",
) -> None:
    """Read the features, find, and put the answer where it is wanted.

    Args:
        arguments: Of the command.
        command: Its name.
        words: After it.
        answer: From the features what is found.
    """
    from nearfar.terminal import Terminal, shown
    from nearfar.uses.features_file import load_features
    from nearfar.uses.page import write_page
    from nearfar.uses.tables import write_table

    writes = [path for path in (arguments.out, arguments.page) if path is not None]
    console = Terminal(goes_on=bool(writes), highlight=False)
    found = answer(load_features(arguments.features), console)
    if arguments.out is not None:
        write_table(arguments.out, found.columns)
    if arguments.page is not None:
        write_page(found.page(shlex.join(["nearfar", command, *words])), arguments.page)
    if arguments.json:
        console.out(json.dumps(found.facts, indent=2))
        return
    for line in found.lines:
        console.print(line)
    for path in writes:
        console.print(f"written: {shown(path)}")
    if not writes:
        console.print("[dim]--out FILE.csv holds all, --page FILE.html shows it[/dim]")
