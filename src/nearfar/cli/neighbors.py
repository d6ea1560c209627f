"""`nearfar neighbors ENCODER QUERY… --data DATA`: what lies nearest to each of some examples."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from nearfar.bounds import check_range
from nearfar.cli.arguments import parse
from nearfar.cli.given_data import GivenData, take_source
from nearfar.data.source_spec import Fit
from nearfar.errors import SettingError
from nearfar.paths import user_path
from nearfar.uses.file_names import check_page, check_table

if TYPE_CHECKING:
    from torch import Tensor

    from nearfar.cli.embedded import Embedder
    from nearfar.terminal import Terminal
    from nearfar.uses.features_file import Features

_PRINTED = 20
"""Queries whose neighbours are printed."""


@dataclass(frozen=True)
class NeighborsArguments:
    """List what lies nearest to each query, most similar first.

    With features that `nearfar embed` has written as --data, only the queries are embedded. Without
    a query, every example of the data asks for its nearest others.
    """

    encoder: Annotated[Positional[Path], arg(metavar="ENCODER")]
    """Run folder, or the encoder.safetensors in it; the second_encoder.json of a run of pairs."""
    data: Annotated[str, arg(metavar="DATA")]
    """What to look among: saved features, or what nearfar embed takes."""
    queries: Annotated[Positional[tuple[str, ...]], arg(metavar="[QUERY …]")] = ()
    """Images to look for, folders of them, saved features, or texts in quotes; an image that lies
    in the data is left out of its own answer."""
    across: bool = False
    """Of a run of pairs (clip): the queries are for its other encoder, such as texts that look for
    images. Both are compared in the space of both."""
    k: int = 8
    """How many to list of each; at least 1."""
    out: Annotated[Path | None, arg(metavar="FILE")] = None
    """NAME.csv or NAME.parquet: a line for each query and neighbour"""
    page: Annotated[Path | None, arg(metavar="FILE")] = None
    """NAME.html: pictures of queries and neighbours"""
    pictures: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Where the images of saved features lie now, if no longer where they were."""
    json: bool = False
    """Print a JSON list, for programs."""
    fit: Fit | None = None
    """Images that are not square: squash, pad or crop; left out, as the run learnt, but whole."""
    max_corrupt: float = 0.01
    """Largest share of unreadable images to skip before a folder is refused; 0 to 1."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, …"""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar neighbors` with the words after it."""
    given, source = take_source("neighbors", words)
    arguments = parse(NeighborsArguments, "neighbors", given)
    if arguments.k < 1:
        raise SettingError(f"--k is {arguments.k}: it must be 1 or more")
    check_range("--k", arguments.k, 1, 2**31 - 1)
    check_range("--max-corrupt", arguments.max_corrupt, 0, 1)
    check_table(arguments.out)
    check_page(arguments.page)

    from nearfar.terminal import Terminal
    from nearfar.uses.examples import recorded_folder
    from nearfar.uses.neighbor_answers import answers, columns, page_of
    from nearfar.uses.neighbors import Searchable
    from nearfar.uses.page import write_page
    from nearfar.uses.tables import write_table

    console = Terminal(goes_on=arguments.out is not None or arguments.page is not None)
    with console.status("embedding"):
        looked_at, asking = _embedders(arguments)
        queries, files = _queries(arguments.queries, asking, looked_at)
        data = GivenData(arguments.data, source)
        bank = looked_at.features(data)
        folder = data.folder or recorded_folder(bank)
    if not arguments.json:
        console.say("note", dict.fromkeys([*asking.notes, *looked_at.notes]))
    searchable = Searchable(bank.features)
    if queries is None:
        queries, found = bank, searchable.of_all(arguments.k)
    else:
        itself = None if arguments.across else _rows_of(queries, files, bank, folder)
        found = searchable.nearest(queries.features, arguments.k, itself=itself)
    if arguments.out is not None:
        write_table(arguments.out, columns(queries, bank, found))
    if arguments.page is not None:
        lie_in = arguments.pictures or folder
        command = shlex.join(["nearfar", "neighbors", *words])
        texts = asking.encoder.modality == "texts"
        page = page_of(queries, bank, found, files, lie_in, command, texts=texts)
        write_page(page, arguments.page)
    if arguments.json:
        console.out(json.dumps(answers(queries, bank, found), indent=2))
        return
    _show(answers(queries, bank, found, most=_PRINTED), console)
    _tell_files(arguments, len(queries), console)


def _embedders(arguments: NeighborsArguments) -> "tuple[Embedder, Embedder]":
    """Of what is looked among, and of the queries: one, or across kinds both of a run.

    Raises:
        SettingError: There is no query to ask across kinds, or the run has one encoder alone.
    """
    from nearfar.cli.embedded import Embedder
    from nearfar.encoders.saved import Output, has_second
    from nearfar.run_folder import names

    def embedder(path: Path, output: Output) -> Embedder:
        return Embedder(
            path,
            output=output,
            fit=arguments.fit,
            max_corrupt=arguments.max_corrupt,
            device=arguments.device,
        )

    given = arguments.encoder
    if not arguments.across:
        one = embedder(given, "features")
        return one, one
    if not arguments.queries:
        raise SettingError("--across looks for what queries of the other kind name: give some")
    tower = names.tower_of(given.name)
    folder = given if given.is_dir() else given.parent
    other = "first" if tower == "second" else "second"
    if not has_second(folder):
        raise SettingError(
            f"--across: {folder} holds one encoder alone: it takes a run of pairs, which "
            "--method clip makes"
        )
    return embedder(given, "embedding"), embedder(folder / names.TOWERS[other][1], "embedding")


def _queries(
    given: Sequence[str], embedder: "Embedder", looked_at: "Embedder"
) -> "tuple[Features | None, list[Path | None]]":
    """All queries and the file of each, where it is one; None where nothing was given.

    Args:
        given: On the command line.
        embedder: Of queries.
        looked_at: Of what they are looked for among; the same, but across kinds.
    """
    from nearfar.uses.features_file import holds_features, joined

    found: list[Features] = []
    files: list[Path | None] = []
    for word in given:
        path = _path_of(word, embedder)
        if path is None:
            found.append(embedder.text(word))
            files.append(None)
        elif holds_features(path):
            found.append(embedder.saved(path))
            files += [None] * len(found[-1])
        elif path.is_dir():
            found.append(embedder.features(GivenData(str(path), None)))
            images = embedder.encoder.modality == "images"
            files += [path / name if images else None for name in found[-1].names]
        elif embedder.encoder.modality != "images":
            found.append(embedder.features(GivenData(word, None)))
            files += [None] * len(found[-1])
        else:
            _require_image(path, embedder, looked_at)
            found.append(embedder.image(path))
            files.append(path)
    return (joined(found) if found else None), files


def _require_image(path: Path, embedder: "Embedder", looked_at: "Embedder") -> None:
    """Refuse a query that is no file; of a run of pairs it may have been meant for the other kind.

    Raises:
        SettingError: There is no such file.
    """
    from nearfar.encoders.saved import has_second

    if path.is_file():
        return
    advice = ""
    if embedder is looked_at and embedder.tower == "first" and has_second(embedder.folder):
        advice = " (where it is meant for the run's second encoder, add --across)"
    raise SettingError(f"no such image: {path}{advice}")


def _path_of(word: str, embedder: "Embedder") -> Path | None:
    """The file or folder that a query names; None where it is a text itself."""
    if embedder.encoder.modality != "texts":
        return user_path(word)
    try:
        path = user_path(word)
        return path if path.exists() else None
    except (SettingError, OSError):
        return None


def _rows_of(
    queries: "Features", files: "Sequence[Path | None]", bank: "Features", folder: Path | None
) -> "Tensor":
    """For each query the row of the bank that it is; −1 for none."""
    import torch

    folder = None if folder is None else folder.resolve()
    rows = {name: row for row, name in enumerate(bank.names)}
    both = [each.about for each in (queries, bank) if each.about is not None]
    same_data = len(both) == 2 and both[0].data == both[1].data
    found = []
    for name, file in zip(queries.names, files, strict=True):
        if file is None:
            found.append(rows.get(name, -1) if same_data else -1)
            continue
        place = file.resolve()
        if folder is None or not place.is_relative_to(folder):
            found.append(-1)
        else:
            found.append(rows.get(place.relative_to(folder).as_posix(), -1))
    return torch.tensor(found)


def _show(listed: list[dict], console: "Terminal") -> None:
    from rich.table import Table

    from nearfar.terminal import shown

    for each in listed:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("", justify="right")
        table.add_column("similarity", justify="right")
        texts = any("text" in near for near in each["neighbors"])
        table.add_column("file", overflow="fold")
        if texts:
            table.add_column("text", overflow="fold")
        for rank, near in enumerate(each["neighbors"], 1):
            words = [shown(near.get("text", ""))] if texts else []
            table.add_row(str(rank), f"{near['similarity']:.3f}", shown(near["name"]), *words)
        if len(listed) > 1:
            said = each.get("query_text")
            console.print(f"[bold]{shown(each['query'])}[/bold] {shown(said) if said else ''}")
        console.print(table)


def _tell_files(arguments: NeighborsArguments, count: int, console: "Terminal") -> None:
    from nearfar.terminal import shown

    if count > _PRINTED:
        console.print(f"[dim]{count - _PRINTED:,} more queries: --out FILE holds all[/dim]")
    for path in (arguments.out, arguments.page):
        if path is not None:
            console.print(f"written: {shown(path)}")
