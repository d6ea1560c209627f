"""Time beside busy programs: nearfar, plain torch, lightly, faiss on one and two threads."""

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from tools.machine import processor, versions

from benchmarks._beside import QUERIES, K
from benchmarks._contender import DIM, TEMPERATURE

THREADS, NEIGHBOURS, ROUNDS = (1, 2), (0, 1, 2), 3
PROBLEMS = {
    ("nt_xent", 4096): ("nearfar", "plain torch", "lightly"),
    ("nt_xent", 16384): ("nearfar", "plain torch", "lightly"),
    ("nearest", 50_000): ("nearfar", "plain torch", "lightly", "faiss"),
}
TITLES = {
    "nt_xent": "NT-Xent of {rows:,} rows, value and gradient",
    "nearest": "the " + str(K) + " nearest of {rows:,} rows",
}
# After a turn that took so long, a contender takes no other in the same place.
LONG_S = 20.0


@dataclass
class Turns:
    """What one contender took, by the number of neighbours; and who else was on the machine."""

    seconds: dict[int, list[float]] = field(default_factory=lambda: {n: [] for n in NEIGHBOURS})
    others: list[float] = field(default_factory=list)


def main() -> str:
    parts = [
        "## Beside busy neighbours\n",
        f"Wall time of one run while 0, 1 or 2 other processes count as fast as they can. NT-Xent: "
        f"value and gradient, {DIM} dimensions, float32, T={TEMPERATURE}. Nearest rows: "
        f"{QUERIES:,} queries, {DIM} dimensions, exact (lightly also votes). One process for each "
        f"contender and number of threads; they take turns, median of {ROUNDS} rounds (one, where "
        f"a run takes over {LONG_S:.0f} s). In brackets: two threads as a multiple of the same "
        "contender's one thread beside as many neighbours. "
        f"{versions('torch', 'lightly', 'faiss-cpu')}; {processor()}, {os.cpu_count()} cores.\n",
    ]
    others: list[float] = []
    for (problem, rows), names in PROBLEMS.items():
        taken = _in_turn(problem, rows, names)
        others += [each for turns in taken.values() for each in turns.others]
        parts += [f"### {TITLES[problem].format(rows=rows)}\n", _table(taken, names)]
    low, high = min(others), max(others)
    parts.insert(
        2,
        "What else ran on the machine and was not part of the bench: "
        f"{statistics.median(others):.0f} processes at work before a turn (median; {low:.0f} to "
        f"{high:.0f}). Where that is above 0 the columns hold for so many neighbours more.\n",
    )
    section = "\n".join(parts)
    print(section)
    return section


def _in_turn(problem: str, rows: int, names: Sequence[str]) -> dict[tuple[str, int], Turns]:
    """Every contender on every number of threads beside every number of neighbours."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    processes = {
        (name, count): _start(problem, name, rows, count) for name in names for count in THREADS
    }
    taken = {key: Turns() for key in processes}
    try:
        for neighbour in busy:
            neighbour.send_signal(signal.SIGSTOP)
        for process in processes.values():
            _answer(process)
        for _ in range(ROUNDS):
            for count in NEIGHBOURS:
                for key, process in processes.items():
                    before = taken[key].seconds[count]
                    if before and before[0] > LONG_S:
                        continue
                    taken[key].others.append(_at_work())
                    for neighbour in busy[:count]:
                        neighbour.send_signal(signal.SIGCONT)
                    assert process.stdin is not None
                    process.stdin.write("again\n")
                    process.stdin.flush()
                    before.append(float(_answer(process)))
                    for neighbour in busy[:count]:
                        neighbour.send_signal(signal.SIGSTOP)
                    print(
                        f"{problem} {rows} {key} beside {count}: {before[-1]:.3f} s",
                        file=sys.stderr,
                    )
    finally:
        for process in (*busy, *processes.values()):
            process.kill()
            process.wait()
    return taken


def _start(problem: str, name: str, rows: int, threads: int) -> "subprocess.Popen[str]":
    """One contender, which waits for its turn."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = (sys.executable, "-m", "benchmarks._beside", problem, name, str(rows), str(threads))
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def _answer(process: "subprocess.Popen[str]") -> str:
    """The next line that a contender prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a contender died: is there memory for all of them?")
    return line


def _at_work() -> float:
    """How many processes of others want a core now, besides this one that asks."""
    with open("/proc/loadavg") as load:
        return float(load.read().split()[3].split("/")[0]) - 1


def _table(taken: dict[tuple[str, int], Turns], names: Sequence[str]) -> str:
    """Seconds, a line for a contender and its threads and a column for the neighbours."""
    lines = [
        "| | " + " | ".join(f"beside {count}" for count in NEIGHBOURS) + " |",
        "|---|" + "---:|" * len(NEIGHBOURS),
    ]
    for name in names:
        for threads in THREADS:
            cells = []
            for count in NEIGHBOURS:
                seconds = statistics.median(taken[name, threads].seconds[count])
                alone = statistics.median(taken[name, 1].seconds[count])
                ratio = "" if threads == 1 else f" ({seconds / alone:.2f}×)"
                cells.append(f"{seconds:.3g} s{ratio}")
            lines.append(f"| {name}, {threads} thread{'s' * (threads > 1)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
