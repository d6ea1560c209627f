"""The exact nearest rows of a million: nearfar beside faiss's flat index, in time and memory.

    python -m benchmarks.uses.large_top_k [--rows 1000000] [--dim 512] [--queries 256] [--rounds 3]

One process for each contender; both hold their own copy of the same rows, drawn from one seed, and
take turns. Prints a section for docs/uses_results.md.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import torch
from tools.machine import processor, versions
from tools.markdown import table

from benchmarks._contender import status
from benchmarks._process import Contender, answer, start, take_turn

K = 10
CLUSTERS = 1000
NAMES = ("nearfar", "faiss")


def rows_of(count: int, dim: int, seed: int = 0) -> torch.Tensor:
    """Unit rows around a thousand centres, as features lie; filled block by block."""
    random = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLUSTERS, dim, generator=random)
    rows = torch.empty(count, dim)
    for first in range(0, count, 65536):
        block = rows[first : first + 65536]
        block.normal_(generator=random)
        block.add_(centres[torch.randint(0, CLUSTERS, (len(block),), generator=random)])
        block.div_(block.norm(dim=1, keepdim=True))
    return rows


def contender(name: str, rows: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """What finds the rows nearest to some queries; it holds the rows."""
    if name == "nearfar":
        from nearfar.similarity.top_k import Bank

        bank = Bank(rows)
        return lambda queries: bank.top_k(queries, K)[1]
    import faiss

    index = faiss.IndexFlatIP(rows.shape[1])
    for block in rows.split(65536):
        index.add(block.numpy())  # pyright: ignore[reportCallIssue]
    return lambda queries: torch.from_numpy(index.search(queries.numpy(), K)[1])  # pyright: ignore[reportCallIssue]


def in_process() -> None:
    """One contender: prints its memory and the sum of what it found, then a time for each line."""
    name, count, dim, asked, threads = sys.argv[1], *map(int, sys.argv[2:])
    torch.set_num_threads(threads)
    rows = rows_of(count, dim)
    queries = rows_of(asked, dim, seed=1)
    before = status("VmRSS")
    search = contender(name, rows)
    search(queries[:1])
    found = search(queries)
    # faiss copies the rows, and its caller may drop its own: memory is what the search holds.
    held = status("VmHWM") - before + (count * dim * 4 if name == "nearfar" else 0)
    print(held, int(found.sum()), flush=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        search(queries)
        print(time.perf_counter() - begun, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    lines, seconds, facts = [], {name: [] for name in NAMES}, {}
    processes: dict[str, Contender] = {}
    try:
        for name in NAMES:
            words = (name, given.rows, given.dim, given.queries)
            processes[name] = start("benchmarks.uses.large_top_k", *words, threads=given.threads)
            facts[name] = (answer(processes[name]) or "0 died").split()
        for _ in range(given.rounds):
            for name, process in processes.items():
                seconds[name].append(float(take_turn(process) or "nan"))
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    best = statistics.median(seconds["faiss"])
    for name in NAMES:
        took = statistics.median(seconds[name])
        lines.append(
            [
                name,
                f"{took:.2f} s ({min(seconds[name]):.2f} to {max(seconds[name]):.2f})",
                f"{1000 * took / given.queries:.1f} ms",
                f"{took / best:.2f}×",
                f"{int(facts[name][0]) / 2**20:,.0f} MiB",
            ]
        )
    same = (
        "the same rows" if facts["nearfar"][1] == facts["faiss"][1] else "rows that differ in ties"
    )
    print(
        f"The {K} nearest of {given.rows:,} rows of {given.dim} float32 features for "
        f"{given.queries:,} queries, {given.threads} thread{'s' * (given.threads > 1)}, median of "
        f"{given.rounds} turns (least to most); both found {same}. The rows alone take "
        f"{given.rows * given.dim * 4 / 2**20:,.0f} MiB. {versions('torch', 'faiss-cpu')}; "
        f"{processor()}, load {os.getloadavg()[0]:.1f}.\n"
    )
    print(table(["", "all queries", "a query", "of faiss", "memory"], lines))


if __name__ == "__main__":
    in_process() if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else main()
