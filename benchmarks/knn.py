"""Weighted kNN classification: nearfar against faiss, scikit-learn and lightly on one core."""

import statistics
import time
from collections.abc import Callable

import faiss
import torch
import torch.nn.functional as F
from lightly.utils.benchmarking import knn_predict
from sklearn.neighbors import NearestNeighbors
from tools.machine import processor, versions
from torch import Tensor

from nearfar.evaluation.knn import KNNBank
from nearfar.similarity import top_k
from nearfar.similarity.rounded_rows import FewBits

BANK, QUERIES, DIM, K, CLASSES, TEMPERATURE = 50_000, 1_024, 512, 200, 10, 0.1
ROUNDS = 5


def main() -> str:
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    lines = []
    for name, spread in (("random directions", None), ("loose clusters", 1.0), ("tight", 0.02)):
        lines.append(_rows(name, *_features(spread)))
    nothing = _contenders_of(torch.randn(64, 8), torch.randn(4, 8), torch.arange(64) % CLASSES)
    columns = " | ".join(nothing)
    section = (
        "## kNN classification\n\n"
        f"The {K} nearest of {BANK:,} bank features to {QUERIES:,} queries in {DIM} dimensions, "
        "float32 and exact, then the weighted vote (faiss and scikit-learn only search). "
        "Milliseconds of process CPU time a query on one thread, median of "
        f"{ROUNDS} interleaved rounds; in brackets, speed relative to faiss. The features are "
        f"drawn: in random directions; in {CLASSES} loose clusters (noise as long as the centres); "
        f"in {CLASSES} tight ones (noise of 2 %). nearfar takes a first look in bfloat16; in 8 "
        "bits where the processor is not fast at bfloat16; and none where it is fast at neither. "
        f"{versions('torch', 'faiss-cpu', 'scikit-learn', 'lightly')}; {processor()}.\n\n"
        f"| features | {columns} |\n|---|{'---:|' * 6}\n" + "\n".join(lines) + "\n"
    )
    print(section)
    return section


def _rows(name: str, bank: Tensor, queries: Tensor, labels: Tensor) -> str:
    contenders = _contenders_of(bank, queries, labels)
    seconds: dict[str, list[float]] = {contender: [] for contender in contenders}
    for _ in range(ROUNDS):
        for contender, run in contenders.items():
            start = time.process_time()
            run()
            seconds[contender].append(time.process_time() - start)
    medians = {c: statistics.median(times) / QUERIES * 1e3 for c, times in seconds.items()}
    cells = [f"{m:.2f} ({medians['faiss'] / m:.1f}×)" for m in medians.values()]
    return f"| {name} | {' | '.join(cells)} |"


def _contenders_of(
    bank: Tensor, queries: Tensor, labels: Tensor
) -> dict[str, Callable[[], object]]:
    """Everything that can be prepared once is prepared here: banks, indices, normalised rows."""
    ours = KNNBank(bank, labels, num_classes=CLASSES)
    unit_bank, unit_queries = F.normalize(bank, dim=1), F.normalize(queries, dim=1)
    index = faiss.IndexFlatIP(bank.shape[1])
    index.add(unit_bank.numpy())
    brute = NearestNeighbors(n_neighbors=min(K, len(bank)), algorithm="brute", metric="cosine")
    brute.fit(bank.numpy())
    k = min(K, len(bank))
    columns = unit_bank.T.contiguous()

    def with_numbers(numbers: FewBits | None) -> None:
        fast, top_k.fast_few_bits = top_k.fast_few_bits, lambda device: numbers  # noqa: ARG005
        try:
            ours.predict(queries, K, TEMPERATURE)
        finally:
            top_k.fast_few_bits = fast

    def lightly() -> None:
        for block in unit_queries.split(256):
            knn_predict(block, columns, labels, CLASSES, knn_k=k, knn_t=TEMPERATURE)

    return {
        "nearfar": lambda: ours.predict(queries, K, TEMPERATURE),
        "without bfloat16": lambda: with_numbers("int8"),
        "without int8 as well": lambda: with_numbers(None),
        "faiss": lambda: index.search(unit_queries.numpy(), k),
        "scikit-learn": lambda: brute.kneighbors(queries.numpy()),
        "lightly": lightly,
    }


def _features(spread: float | None) -> tuple[Tensor, Tensor, Tensor]:
    """Bank, queries and labels; clusters have noise of `spread` times the centres' length."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (BANK + QUERIES,), generator=generator)
    features = torch.randn(BANK + QUERIES, DIM, generator=generator)
    if spread is not None:
        features = torch.randn(CLASSES, DIM, generator=generator)[labels] + spread * features
    return features[:BANK], features[BANK:], labels[:BANK]


if __name__ == "__main__":
    main()
