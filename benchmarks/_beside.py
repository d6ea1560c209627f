"""One contender of the bench of neighbours, in a process of its own.

    python -m benchmarks._beside nt_xent nearfar 16384 2

prints, for each line it reads, the wall seconds of a run, in the mean over as many as take a
second, once it has run on a small problem.
"""

import sys
import time
from collections.abc import Callable

import faiss
import torch
import torch.nn.functional as F
from lightly.utils.benchmarking import knn_predict

from benchmarks._contender import CLASSES, DIM, TEMPERATURE, contender
from nearfar.similarity.top_k import Bank

K, QUERIES, BLOCK = 20, 1024, 256
TURN_SECONDS = 1.0


def nt_xent(name: str, rows: int) -> Callable[[], object]:
    """Value and gradient of the loss of so many rows."""
    embeddings = torch.randn(rows, DIM, requires_grad=True)
    loss = contender("nt_xent", name, rows)
    return lambda: torch.autograd.grad(loss(embeddings), embeddings)


def nearest(name: str, rows: int) -> Callable[[], object]:
    """The nearest rows of a bank of so many; lightly also votes."""
    bank, queries = (F.normalize(torch.randn(n, DIM), dim=1) for n in (rows, QUERIES))
    if name == "nearfar":
        ours = Bank(bank)
        return lambda: ours.top_k(queries, K)
    if name == "faiss":
        index = faiss.IndexFlatIP(DIM)
        index.add(bank.numpy())
        return lambda: index.search(queries.numpy(), K)
    if name == "lightly":
        columns, labels = bank.T.contiguous(), torch.arange(rows) % CLASSES
        return lambda: [
            knn_predict(block, columns, labels, CLASSES, knn_k=K, knn_t=TEMPERATURE)
            for block in queries.split(BLOCK)
        ]
    return lambda: [(block @ bank.T).topk(K, dim=1) for block in queries.split(BLOCK)]


def main() -> None:
    problem, name, rows, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    torch.manual_seed(0)
    prepare = nt_xent if problem == "nt_xent" else nearest
    prepare(name, 2048)()
    run = prepare(name, rows)
    print("ready", flush=True)
    for _ in sys.stdin:
        start, runs = time.perf_counter(), 0
        while not runs or time.perf_counter() - start < TURN_SECONDS:
            run()
            runs += 1
        print((time.perf_counter() - start) / runs, flush=True)


if __name__ == "__main__":
    main()
