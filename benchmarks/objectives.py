"""Time and memory of NT-Xent and SupCon on a CPU: nearfar, its peers, and the floor."""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tools.machine import processor, versions
from tools.markdown import table

from benchmarks._contender import CLASSES, DIM, TEMPERATURE
from benchmarks._process import answer, available_memory, start, take_turn
from benchmarks._times import FLOOR, NEARFAR, beside_ours

ROWS = (512, 2048, 8192, 16384, 32768, 65536, 131072)
ROWS_ON_TWO_THREADS = (512, 2048, 16384)
# From so many rows on a pass takes minutes: one is enough, and only these are worth it.
LARGE = 65536
LARGEST = ("nearfar",)
CONTENDERS = {
    "nt_xent": (
        NEARFAR,
        "nearfar, bfloat16 products",
        "torch fused",
        "torch.compile",
        "plain torch",
        "lightly",
        "pytorch-metric-learning",
    ),
    "supcon": (
        NEARFAR,
        "nearfar, bfloat16 products",
        "torch.compile",
        "plain torch",
        "pytorch-metric-learning",
    ),
}
# Memory of everything but nearfar and the fused loss grows with the square of the rows, and of
# pytorch-metric-learning's NTXentLoss with their cube.
GROWTH = {("nt_xent", "pytorch-metric-learning"): 3, ("nt_xent", "torch fused"): 1}


@dataclass(frozen=True)
class Figure:
    """What one contender took; None where it was not run."""

    seconds: float | None
    memory: int

    @property
    def ran(self) -> bool:
        """Whether it fitted into memory."""
        return self.seconds is not None


def main() -> str:
    parts = [
        "## Objectives on a CPU\n",
        "Value and gradient with respect to the embeddings of a batch of M rows (two views of M/2 "
        f"examples) in {DIM} dimensions, float32, T={TEMPERATURE}; for SupCon {CLASSES} classes. "
        "One process for each contender; they take turns, round by round (15 rounds up to M=2048, "
        "3 up to 32768 and of what takes over a second, one beyond). On one thread: process CPU "
        "time, median; on two: wall time, the best of the rounds, because other programs only ever "
        "add to it; a turn is as many calls as take a fifth of a second. In brackets: how many "
        "times as long as nearfar. *Extra memory* is the most that one value and gradient adds to "
        "the process. *Floor*: 4·M²·d operations, the products that value and gradient of a "
        "symmetric matrix need when it is never held, at the rate of a 2048 × 2048 product "
        "measured in the same rounds; in brackets, the share of that rate that nearfar reaches. "
        "*torch fused* is `linear_cross_entropy` over all rows as classes: as much work, though it "
        "cannot leave out a row itself, so it is not quite NT-Xent. *bfloat16 products* multiply "
        "in bfloat16 and add in float32. 'Needs n GB': not run, because by the size before it "
        "would not fit into this machine's memory; '–': not run. "
        f"{versions('torch', 'lightly', 'pytorch-metric-learning')}; {processor()}.\n",
    ]
    for objective, title in (("nt_xent", "NT-Xent"), ("supcon", "SupCon")):
        single = _figures(objective, ROWS, threads=1)
        double = _figures(objective, ROWS_ON_TWO_THREADS, threads=2)
        parts += [f"### {title}, one thread\n", _times(single, ROWS)]
        parts += [f"### {title}, two threads\n", _times(double, ROWS_ON_TWO_THREADS)]
        parts += [f"### {title}, extra memory\n", _memory(single, ROWS)]
    section = "\n".join(parts)
    print(section)
    return section


Figures = dict[tuple[str, int], Figure]


def _figures(objective: str, sizes: Sequence[int], *, threads: int) -> Figures:
    found: Figures = {}
    for number, rows in enumerate(sizes):
        names = []
        for name in CONTENDERS[objective]:
            if rows > LARGE and name not in LARGEST:
                found[name, rows] = Figure(None, 0)
                continue
            if number:
                before = found[name, sizes[number - 1]]
                growth = 1 if name.startswith(NEARFAR) else GROWTH.get((objective, name), 2)
                needed = int(before.memory * (rows / sizes[number - 1]) ** growth)
                if not before.ran or needed > 0.8 * available_memory():
                    found[name, rows] = Figure(None, needed)
                    continue
            names.append(name)
        figures = _round_robin(objective, [*names, FLOOR], rows, threads)
        found |= {(name, rows): figure for name, figure in figures.items()}
    return found


def _round_robin(
    objective: str, names: Sequence[str], rows: int, threads: int
) -> dict[str, Figure]:
    """All contenders of one size in turn, each in its own process."""
    rounds = 15 if rows <= 2048 else (3 if rows < LARGE else 0)
    processes = {
        name: start("benchmarks._contender", objective, name, rows, threads=threads, quiet=True)
        for name in names
    }
    seconds: dict[str, list[float]] = {}
    memory: dict[str, int] = {}
    try:
        for name, process in list(processes.items()):
            begun = answer(process)
            if begun is None:
                print(f"{objective} {rows} {threads}: {name} died", file=sys.stderr)
                processes.pop(name).wait()
                continue
            extra, first = begun.split()
            memory[name], seconds[name] = int(extra), [float(first)]
        for number in range(rounds):
            for name, process in processes.items():
                if number >= 3 and seconds[name][0] > 1:
                    continue
                seconds[name].append(float(take_turn(process) or "nan"))
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    if rounds:
        # The first pass meets cold memory.
        seconds = {name: taken[1:] for name, taken in seconds.items()}
    best = statistics.median if threads == 1 else min
    for name, taken in seconds.items():
        print(f"{objective} {rows} {threads}: {name} {best(taken):.4f} s", file=sys.stderr)
    return {
        name: Figure(best(seconds[name]), memory[name]) if name in seconds else Figure(None, 0)
        for name in names
    }


def _times(figures: Figures, sizes: Sequence[int]) -> str:
    """The table of times, a column a size."""
    lines = []
    for name in _names(figures):
        cells = []
        for rows in sizes:
            figure, ours = figures[name, rows], figures[NEARFAR, rows]
            if figure.seconds is None or ours.seconds is None:
                needed = f"needs {figure.memory / 1e9:.0f} GB"
                cells.append(needed if figure.memory else "–")
            else:
                cells.append(beside_ours(name, figure.seconds, ours.seconds))
        lines.append([name, *cells])
    return table(["", *(f"M={rows}" for rows in sizes)], lines)


def _memory(figures: Figures, sizes: Sequence[int]) -> str:
    """The table of extra memory, in MB."""
    lines = []
    for name in _names(figures):
        if name == FLOOR:
            continue
        cells = []
        for rows in sizes:
            figure, ours = figures[name, rows], figures[NEARFAR, rows]
            ratio = "" if name == NEARFAR else f" ({figure.memory / ours.memory:.1f}×)"
            cells.append(f"{figure.memory / 1e6:.0f}{ratio}" if figure.ran else "–")
        lines.append([name, *cells])
    return table(["MB", *(f"M={rows}" for rows in sizes)], lines)


def _names(figures: Figures) -> list[str]:
    return list(dict.fromkeys(name for name, _ in figures))


if __name__ == "__main__":
    main()
