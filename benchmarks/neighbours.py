"""Time beside busy programs: nearfar, plain torch, lightly, faiss on one and two threads."""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tools.machine import processor, versions
from tools.markdown import table

from benchmarks._beside import QUERIES, K
from benchmarks._contender import DIM, TEMPERATURE
from benchmarks._process import (
    Contender,
    answer,
    begin_turn,
    seconds_of_others,
    start,
    take_turn,
)

THREADS, NEIGHBOURS, ROUNDS = (1, 2), (0, 1, 2), 3
PROBLEMS = {
    ("nt_xent", 512): ("nearfar", "plain torch", "lightly"),
    ("nt_xent", 4096): ("nearfar", "plain torch", "lightly"),
    ("nt_xent", 16384): ("nearfar", "plain torch", "lightly"),
    ("nearest", 50_000): ("nearfar", "plain torch", "lightly", "faiss"),
}
TITLES = {
    "nt_xent": "NT-Xent of {rows:,} rows, value and gradient",
    "nearest": "the " + str(K) + " nearest of {rows:,} rows",
}
OURS, LIMIT = "nearfar", ("two processes", 1)
# After a turn that took so long, a contender takes no other in the same place.
LONG_S = 5.0


@dataclass
class Turns:
    """What one contender took, by the number of neighbours; and how busy others had the machine.

    Attributes:
        seconds: Wall time of each turn.
        wall: Of all turns together.
        others: Processor time that programs outside of the bench took during them.
    """

    seconds: dict[int, list[float]] = field(default_factory=lambda: {n: [] for n in NEIGHBOURS})
    wall: float = 0.0
    others: float = 0.0


def main() -> str:
    parts = [
        "## Beside busy neighbours\n",
        "Wall time of a run, in the mean over a second, while 0, 1 or 2 other processes count as "
        "fast as they can. NT-Xent: "
        f"value and gradient, {DIM} dimensions, float32, T={TEMPERATURE}. Nearest rows: "
        f"{QUERIES:,} queries, {DIM} dimensions, exact (lightly also votes). One process for each "
        f"contender and number of threads; they take turns, median of {ROUNDS} rounds (one, where "
        f"a run takes over {LONG_S:.0f} s). In brackets: two threads as a multiple of the same "
        "contender's one thread beside as many neighbours. *Two processes*: nearfar on one thread "
        "in two processes at once, each with a problem of its own, as time a run: what the cores "
        "give to work that shares nothing, so no threads can be faster. "
        f"{versions('torch', 'lightly', 'faiss-cpu')}; {processor()}.\n",
    ]
    every: list[Turns] = []
    for (problem, rows), names in PROBLEMS.items():
        taken = _in_turn(problem, rows, names)
        every += taken.values()
        parts += [f"### {TITLES[problem].format(rows=rows)}\n", _table(taken, names)]
    cores = sum(turns.others for turns in every) / sum(turns.wall for turns in every)
    parts.insert(
        1,
        "Programs that are no part of the bench took "
        f"{cores:.2f} of the {os.cpu_count()} cores meanwhile.\n",
    )
    section = "\n".join(parts)
    print(section)
    return section


def _in_turn(problem: str, rows: int, names: Sequence[str]) -> dict[tuple[str, int], Turns]:
    """Every contender on every number of threads beside every number of neighbours."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    processes: dict[tuple[str, int], Contender] = {}
    taken = {(name, count): Turns() for name in names for count in THREADS}
    second: Contender | None = None
    try:
        for neighbour in busy:
            neighbour.send_signal(signal.SIGSTOP)
        for name, count in (*taken, LIMIT):
            ours = OURS if (name, count) == LIMIT else name
            processes[name, count] = start("benchmarks._beside", problem, ours, rows, threads=count)
            _alive(answer(processes[name, count]))
        second = processes.pop(LIMIT)
        taken[LIMIT] = Turns()
        for _ in range(ROUNDS):
            taken[LIMIT].seconds[0].append(_both_at_once(processes[OURS, 1], second))
            for count in NEIGHBOURS:
                for key, process in processes.items():
                    before = taken[key].seconds[count]
                    if before and before[0] > LONG_S:
                        continue
                    turns = taken[key]
                    began, others = time.perf_counter(), seconds_of_others(busy, processes.values())
                    for neighbour in busy[:count]:
                        neighbour.send_signal(signal.SIGCONT)
                    before.append(float(_alive(take_turn(process))))
                    for neighbour in busy[:count]:
                        neighbour.send_signal(signal.SIGSTOP)
                    turns.wall += time.perf_counter() - began
                    turns.others += seconds_of_others(busy, processes.values()) - others
                    print(
                        f"{problem} {rows} {key} beside {count}: {before[-1]:.3f} s",
                        file=sys.stderr,
                    )
    finally:
        for process in (*busy, *processes.values(), *filter(None, [second])):
            process.kill()
            process.wait()
    return taken


def _both_at_once(*processes: Contender) -> float:
    """Seconds a run while all of them run at once."""
    for process in processes:
        begin_turn(process)
    return 1 / sum(1 / float(_alive(answer(process))) for process in processes)


def _alive(line: str | None) -> str:
    if line is None:
        raise RuntimeError("a contender died: is there memory for all of them?")
    return line


def _table(taken: dict[tuple[str, int], Turns], names: Sequence[str]) -> str:
    """Seconds, a line for a contender and its threads and a column for the neighbours."""
    lines = []
    for name in names:
        for threads in THREADS:
            cells = []
            for count in NEIGHBOURS:
                seconds = statistics.median(taken[name, threads].seconds[count])
                alone = statistics.median(taken[name, 1].seconds[count])
                ratio = "" if threads == 1 else f" ({seconds / alone:.2f}×)"
                cells.append(f"{seconds:.3g} s{ratio}")
            lines.append([f"{name}, {threads} thread{'s' * (threads > 1)}", *cells])
        if name == OURS:
            both = statistics.median(taken[LIMIT].seconds[0])
            ratio = both / statistics.median(taken[OURS, 1].seconds[0])
            lines.append(["nearfar, two processes", f"{both:.3g} s ({ratio:.2f}×)", "–", "–"])
    return table(["", *(f"beside {count}" for count in NEIGHBOURS)], lines)


if __name__ == "__main__":
    main()
