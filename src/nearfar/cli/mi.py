"""`nearfar mi X Z`: how many nats two arrays share, and how far that can be trusted."""

import shlex
from collections.abc import Sequence
from dataclasses import field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from nearfar.bounds import check_range
from nearfar.cli.arguments import parse
from nearfar.information.specs import EstimationSpec

if TYPE_CHECKING:
    from nearfar.information.result import BoundEstimate, MutualInformation
    from nearfar.terminal import Terminal


class MiArguments(EstimationSpec):
    """Estimate the mutual information of two arrays from independent pairs, row by row.

    Critics learn from 60 % of the pairs, stop by 15 %, and the remaining 25 % give the values.
    """

    x: Annotated[Positional[str], arg(metavar="X")] = field(kw_only=True)
    """.npy, .npz or .parquet of n rows; FILE:NAME where a file holds several arrays."""
    z: Annotated[Positional[str], arg(metavar="Z")] = field(kw_only=True)
    """Likewise, row by row the partners of X; whole numbers or text of shape (n,) are labels."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, …"""
    in_memory_mib: int = 2048
    """Largest array to read."""
    out: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Writes mutual_information.json there, for `nearfar report FOLDER`; may be a run folder."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar mi` with the words after it."""
    arguments = parse(MiArguments, "mi", words)
    check_range("--in-memory-mib", arguments.in_memory_mib, 0, 2**31 - 1)

    from nearfar.data.array_file import read_array
    from nearfar.durable_files import check_writable, make_folder
    from nearfar.information.estimate import estimate_mi
    from nearfar.run_folder.folder import RunFolder
    from nearfar.terminal import Terminal, shown

    folder = arguments.out
    if folder is not None:
        make_folder(folder)  # before any work
        check_writable(RunFolder(folder).mutual_information)
    console = Terminal(goes_on=folder is not None, highlight=False)
    x, z = (
        read_array(
            word,
            limit_mib=arguments.in_memory_mib,
            setting="--in-memory-mib",
            note=lambda told: console.print(f"[yellow]note[/yellow]  {shown(told)}"),
        )
        for word in (arguments.x, arguments.z)
    )
    found = estimate_mi(
        x,
        z,
        **{each.name: getattr(arguments, each.name) for each in fields(EstimationSpec)},
        device=arguments.device,
        console=console,
    )
    found = replace(
        found, names=(arguments.x, arguments.z), command=shlex.join(["nearfar", "mi", *words])
    )
    if folder is not None:
        run_folder = RunFolder(folder)
        with run_folder.held("writing an estimate"):
            if not run_folder.manifest.exists():
                run_folder.manifest.begin()
            found.save(run_folder.mutual_information)
    _show(found, console)
    if folder is not None:
        console.print(
            f"[dim]nearfar report {shown(shlex.quote(str(folder)))}[/dim] shows it as a page"
        )


def _show(found: "MutualInformation", console: "Terminal") -> None:
    from rich.table import Table

    from nearfar.terminal import shown

    samples, last = found.samples, found.estimates[-1]
    console.print(
        f"[dim]learnt from {samples.training:,} pairs, stopped by {samples.validation:,}, "
        f"values from {last.batches} batches of {found.settings.batch_size} of the other "
        f"{samples.test:,}; {found.seconds:.0f} s[/dim]"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("")
    for title in ("nats", "95 % interval", "sd", "steps"):
        table.add_column(title, justify="right")
    table.add_column("")
    for estimate in found.estimates:
        table.add_row(
            shown(estimate.title),
            f"[bold]{estimate.value:.2f}[/bold]",
            f"{estimate.interval[0]:.2f} to {estimate.interval[1]:.2f}",
            f"{estimate.sd:.2f}",
            f"{estimate.steps:,}",
            _kind(estimate),
        )
    console.print(table)
    beside = [f"log N {found.ceiling:.2f}, which InfoNCE cannot exceed"]
    if found.label_entropy is not None:
        beside.append(f"H(Z) {found.label_entropy:.2f}, which nothing can exceed")
    if found.ksg is not None:
        beside.append(f"KSG {found.ksg:.2f}")
    console.print(" · ".join(beside))
    console.say("warning", found.warnings)
    for estimate in found.estimates:
        console.say("warning", (f"{estimate.title}: {each}" for each in estimate.warnings))


def _kind(estimate: "BoundEstimate") -> str:
    """Whether the value is a bound, and whether to mind a warning below."""
    kind = "lower bound" if estimate.is_lower_bound else "estimate"
    return f"{kind}, [yellow]see warning[/yellow]" if estimate.warnings else kind
