"""Estimate from finite samples, beside the peer, and put both on the page of the bench.

python -m papers.bounds_bench.compare --peer-python /tmp/peer/bin/python

makes what is not there yet; without --peer-python ours alone. The peer needs an environment of its
own: `uv venv /tmp/peer --python 3.11` and
`uv pip install --python /tmp/peer/bin/python benchmark-mi "jax<0.4.31" "jaxlib<0.4.31"`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from rich.console import Console
from tools.command import run_command

from nearfar.errors import require_known
from papers.bounds_bench.__main__ import PAGE, ROOT
from papers.bounds_bench.finite_samples import PEER, SampleSet, asked, estimate_missing, kept
from papers.bounds_bench.page import SAMPLES, page
from papers.bounds_bench.tasks import TASKS


@dataclass(frozen=True)
class Arguments:
    """Estimate from finite samples, beside the peer, and put both on the page of the bench."""

    peer_python: Path | None = None
    """Interpreter of an environment that has benchmark-mi."""
    tasks: tuple[str, ...] = ()
    """Tasks; left out, all of them."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of each."""
    out: Path = ROOT / "runs" / "bounds_bench"
    """Folder of the estimates."""
    write_only: bool = False
    """Estimate nothing: write from what is there."""


def main(words: Sequence[str] | None = None) -> int:
    """Estimate what is missing and rewrite the page; the exit code."""
    return run_command(
        "papers.bounds_bench.compare", Arguments, lambda each: compare(each, PAGE, Console()), words
    )


def compare(arguments: Arguments, page_path: Path, console: Console) -> None:
    """Estimate what is asked for, then write if ours and the peer's are all there.

    Args:
        arguments: What is asked for.
        page_path: The page; the estimates go into the folder of its name beside it.
        console: Where a person watches.

    Raises:
        NearfarError: A task has no such name, the peer fails, or a kept file is not of its name.
    """
    require_known("task", arguments.tasks, TASKS)
    torch.set_num_threads(1)
    if not arguments.write_only:
        wanted = sample_sets(arguments.tasks or tuple(TASKS), arguments.seeds)
        estimate_missing(wanted, arguments.out, arguments.peer_python, console)
    rows, missing = [], 0
    for who in ("nearfar", PEER):
        for samples in sample_sets(tuple(TASKS), arguments.seeds):
            if not asked(samples, who):
                continue
            found = kept(samples, arguments.out, who)
            missing += found is None
            shared = {"task": samples.task, "who": who, "seed": samples.seed}
            rows += [shared | row for row in found or []]
    if missing:
        console.print(f"not written: {missing} estimates are missing", highlight=False)
        return
    folder = page_path.with_suffix("")
    folder.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / SAMPLES, index=False, float_format="%.5g")
    page_path.write_text(page(folder))
    console.print(f"written: {page_path}", highlight=False)


def sample_sets(tasks: Sequence[str], seeds: Sequence[int]) -> list[SampleSet]:
    """Every set of samples, all tasks of a seed before the next seed."""
    return [SampleSet(task, seed) for seed in sorted(set(seeds)) for task in tasks]


if __name__ == "__main__":
    sys.exit(main())
