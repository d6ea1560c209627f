"""Time and memory of CLIP's loss on a CPU: nearfar, open_clip, plain torch, and the floor."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tools.machine import processor, versions
from tools.markdown import table

from benchmarks._clip_contender import DIM
from benchmarks._process import answer, available_memory, seconds_of_others, start, take_turn
from benchmarks._times import FLOOR, NEARFAR, beside_ours

CONTENDERS = (NEARFAR, "nearfar, bfloat16 products", "plain torch", "open_clip")
ROUNDS = {1024: 15, 4096: 7, 16384: 3, 32768: 0}
"""Pairs of a batch, and how often each contender has a turn after its first call."""
BESIDE_A_BUSY_ONE = {1024: 15, 4096: 5}
MOST_MEMORY = 0.5
"""Share of the memory that is free which a contender may need: others work here too."""


@dataclass(frozen=True)
class Figure:
    """What one contender took: the median of its turns; None where it was not run."""

    seconds: float | None
    memory: int


@dataclass
class Noise:
    """How busy programs that are no part of the bench had the machine during turns.

    Attributes:
        wall: Seconds of all turns.
        others: Processor time of other programs during them.
    """

    wall: float = 0.0
    others: float = 0.0

    @property
    def cores(self) -> float:
        """How many cores they took, in the mean."""
        return self.others / self.wall


Figures = dict[tuple[str, int], Figure]


def main() -> str:
    noise, beside = Noise(), Noise()
    single = _figures(ROUNDS, noise, threads=1)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        double = _figures(BESIDE_A_BUSY_ONE, beside, threads=2)
    finally:
        busy.kill()
        busy.wait()
    section = "\n".join(
        [
            "## CLIP's loss on a CPU\n",
            f"Value and gradient of N pairs in {DIM} dimensions, float32, with respect to both "
            "kinds of embeddings and the scale; normalising them is part of it. One process for "
            "each contender; they take turns, and the figure is the median of the turns (15 at "
            "N=1024, 7 at 4096, 3 at 16384, and one call at 32768). In brackets: how many times as "
            "long as nearfar in the same turns. *Floor*: four products of all pairs (8·N²·d "
            "operations), which value and gradient need when the similarities are never held, at "
            "the rate of a 2048 × 2048 product measured in the same turns; in brackets, the share "
            "of that rate that nearfar reaches. *plain torch* makes the matrix of similarities "
            "once and holds it, and so needs three such products; open_clip makes it twice and "
            "needs six. *bfloat16 products* multiply in bfloat16 and add in float32. 'Needs n GB': "
            "not run, because by the size before it would take over half of the free memory. "
            f"{versions('torch', 'open_clip_torch')}; {processor()}.\n",
            f"Programs that are no part of the bench took {noise.cores:.2f} of the "
            f"{os.cpu_count()} cores during the turns of the first table, and {beside.cores:.2f} "
            "during those of the second, the busy one among them.\n",
            "### Pairs of a batch, one thread, process CPU time\n",
            _times(single, ROUNDS),
            "### Two threads beside one busy process, wall time\n",
            _times(double, BESIDE_A_BUSY_ONE),
            "### Extra memory of a batch of pairs\n",
            _memory(single, ROUNDS),
        ]
    )
    print(section)
    return section


def _figures(rounds: dict[int, int], noise: Noise, *, threads: int) -> Figures:
    found: Figures = {}
    before = 0
    for rows, turns in rounds.items():
        names = []
        for name in CONTENDERS:
            growth = 1 if name.startswith(NEARFAR) else 2
            needed = int(found[name, before].memory * (rows / before) ** growth) if before else 0
            if needed > MOST_MEMORY * available_memory():
                found[name, rows] = Figure(None, needed)
            else:
                names.append(name)
        found |= _in_turn([*names, FLOOR], rows, turns, threads, noise)
        before = rows
    return found


def _in_turn(names: Sequence[str], rows: int, turns: int, threads: int, noise: Noise) -> Figures:
    """All contenders of one size, each in its own process, one working at a time."""
    seconds: dict[str, list[float]] = {}
    memory: dict[str, int] = {}
    processes = {}
    try:
        for name in names:
            process = start("benchmarks._clip_contender", name, rows, threads=threads)
            processes[name] = process
            extra, first = (answer(process) or "0 nan").split()
            memory[name], seconds[name] = int(extra), [float(first)]
        for _ in range(turns):
            for name, process in processes.items():
                began, others = time.perf_counter(), seconds_of_others(processes.values())
                seconds[name].append(float(take_turn(process) or "nan"))
                noise.wall += time.perf_counter() - began
                noise.others += seconds_of_others(processes.values()) - others
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    figures = {}
    for name, taken in seconds.items():
        # The first call meets cold memory.
        median = statistics.median(taken[1:] or taken)
        print(f"clip {rows} on {threads}: {name} {median:.4f} s", file=sys.stderr)
        figures[name, rows] = Figure(median, memory[name])
    return figures


def _times(figures: Figures, sizes: Sequence[int] | dict[int, int]) -> str:
    lines = []
    for name in (*CONTENDERS, FLOOR):
        cells = []
        for rows in sizes:
            figure, ours = figures[name, rows], figures[NEARFAR, rows]
            assert ours.seconds is not None
            if figure.seconds is None:
                cells.append(f"needs {figure.memory / 1e9:.0f} GB")
            else:
                cells.append(beside_ours(name, figure.seconds, ours.seconds))
        lines.append([name, *cells])
    return table(["", *(f"N={rows}" for rows in sizes)], lines)


def _memory(figures: Figures, sizes: Sequence[int] | dict[int, int]) -> str:
    lines = []
    for name in CONTENDERS:
        cells = []
        for rows in sizes:
            figure, ours = figures[name, rows], figures[NEARFAR, rows]
            ratio = "" if name == NEARFAR else f" ({figure.memory / ours.memory:.1f}×)"
            ran = figure.seconds is not None
            cells.append(f"{figure.memory / 1e6:.0f}{ratio}" if ran else "–")
        lines.append([name, *cells])
    return table(["MB", *(f"N={rows}" for rows in sizes)], lines)


if __name__ == "__main__":
    main()
