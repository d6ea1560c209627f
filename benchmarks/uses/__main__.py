"""What the uses of features find where the truth is known: copies, wrong labels, few labels.

    python -m benchmarks.uses noise RUN… --data FOLDER      Fashion-MNIST and runs of simclr-fashion
    python -m benchmarks.uses selection RUN… --data FOLDER
    python -m benchmarks.uses copies RUN --data FOLDER      any folder of pictures and a run of it

Each prints a table for docs/uses_results.md.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from tools.markdown import table
from torch import Tensor

from benchmarks.uses.planted_copies import (
    CHANGES,
    pairs_by_hash,
    perceptual_hashes,
    planted,
    scores,
)
from nearfar.data.image_files import UnreadableImageError, pillow_quiet, read_header, read_image
from nearfar.data.source import Part
from nearfar.data.sources import load_source
from nearfar.data.specs import FashionMNISTSpec
from nearfar.data.tolerant_files import all_images
from nearfar.encoders.saved import load_encoder
from nearfar.evaluation.features import extract_features
from nearfar.uses.duplicates import Duplicates, find_duplicates
from nearfar.uses.selection import CHOICES, select
from nearfar.uses.suspects import find_suspects

POOL = 10_000
NOISE = (("symmetric", 0.1), ("symmetric", 0.3), ("asymmetric", 0.1), ("asymmetric", 0.3))
LABELS = (10, 20, 50, 100, 200)
PICTURES, SIDE, COPIED = 2000, 96, 100
LARGEST_SIDE = 1200
PRECISION = 0.9


def fashion(root: Path, runs: Sequence[Path]) -> tuple[list[tuple[Tensor, Tensor]], Tensor, Tensor]:
    """Features of the pool and of the test part by each run, and the labels of both."""
    source = load_source(FashionMNISTSpec(root=root))
    assert source.test is not None
    assert source.train.labels is not None
    assert source.test.labels is not None
    assert isinstance(source.train.examples, Tensor)
    pool = Part(source.train.examples[:POOL])
    found = []
    for run in runs:
        encoder = load_encoder(run)
        found.append((extract_features(encoder, pool), extract_features(encoder, source.test)))
    return found, source.train.labels[:POOL], source.test.labels


def with_noise(labels: Tensor, kind: str, share: float, seed: int) -> Tensor:
    """Labels of which a share is of another class: any, or always the next one."""
    random = torch.Generator().manual_seed(seed)
    classes = int(labels.max()) + 1
    wrong = torch.rand(len(labels), generator=random) < share
    far = torch.randint(1, classes, (len(labels),), generator=random)
    step = far if kind == "symmetric" else torch.ones_like(far)
    return torch.where(wrong, (labels + step) % classes, labels)


def noise(root: Path, runs: Sequence[Path]) -> str:
    features, labels, _ = fashion(root, runs)
    lines = []
    for kind, share in NOISE:
        figures: dict[str, list[float]] = {}
        for seed, (pool, _) in enumerate(features):
            noisy = with_noise(labels, kind, share, seed)
            wrong = noisy != labels
            found = find_suspects(pool, noisy)
            listed = torch.zeros(len(labels), dtype=torch.bool)
            listed[found.rows] = True
            against = found.probabilities.argmax(dim=1) != noisy
            top = torch.zeros(len(labels), dtype=torch.bool)
            top[found.rows[: len(found.rows) // 2]] = True
            for name, chosen in (("suspects", listed), ("surest half", top), ("vote", against)):
                right = float((chosen & wrong).sum())
                figures.setdefault(f"{name} precision", []).append(right / float(chosen.sum()))
                figures.setdefault(f"{name} recall", []).append(right / float(wrong.sum()))
            figures.setdefault("count", []).append(found.estimated / float(wrong.sum()))
        lines.append([f"{kind}, {share:.0%}", *(spread(held) for held in figures.values())])
    heads = [
        "",
        *(
            f"{name} {what}"
            for name in ("suspects:", "surest half:", "any vote:")
            for what in ("precision", "recall")
        ),
    ]
    return table([*heads, "counted / wrong"], lines)


def selection(root: Path, runs: Sequence[Path]) -> str:
    features, labels, test_labels = fashion(root, runs)
    lines = []
    for count in LABELS:
        figures: dict[str, list[float]] = {}
        for seed, (pool, test) in enumerate(features):
            random = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))
            chosen = {"random": random[:count]}
            chosen |= {by: select(pool, count, by=by, seed=seed) for by in CHOICES}
            for by, rows in chosen.items():
                figures.setdefault(by, []).append(probe(pool, test, labels, test_labels, rows))
        lines.append([str(count), *(spread(figures[by]) for by in ("random", *CHOICES))])
    return table(["labels", "random", *CHOICES], lines)


def probe(pool: Tensor, test: Tensor, labels: Tensor, truth: Tensor, rows: Tensor) -> float:
    """Accuracy of logistic regression on the chosen rows; of one class alone, its share."""
    if len(torch.unique(labels[rows])) == 1:
        return float((truth == labels[rows[0]]).float().mean())
    mean, deviation = pool.mean(0), pool.std(0) + 1e-6
    fitted = LogisticRegression(C=1.0, max_iter=2000)
    fitted.fit(((pool[rows] - mean) / deviation).numpy(), labels[rows].numpy())
    return float(fitted.score(((test - mean) / deviation).numpy(), truth.numpy()))


def pictures(folder: Path) -> Tensor:
    """Different pictures of a folder, squares of 96 px, in an order drawn once."""
    _, files, _ = all_images(folder, (3, SIDE, SIDE), "pad")
    order = np.random.default_rng(0).permutation(len(files))
    held: dict[bytes, np.ndarray] = {}
    with pillow_quiet():
        for place in order:
            try:
                header = read_header(files[place])
                if max(header.height, header.width) > LARGEST_SIDE:
                    continue
                image = read_image(files[place], (3, SIDE, SIDE), "pad")
            except UnreadableImageError:
                continue
            held.setdefault(image.tobytes(), image)
            if len(held) == PICTURES:
                break
    return torch.from_numpy(np.stack(list(held.values())))


def copies(folder: Path, runs: Sequence[Path], seeds: Sequence[int] = (0, 1, 2)) -> str:
    encoder = load_encoder(runs[0])
    if (folder / "train-images-idx3-ubyte.gz").exists():
        source = load_source(FashionMNISTSpec(root=folder))
        assert source.test is not None
        assert isinstance(source.test.examples, Tensor)
        base = source.test.examples[: 3 * PICTURES]
    else:
        base = pictures(folder)
    shown = [*CHANGES, "all", "precision"]
    figures: dict[str, list[dict[str, float]]] = {}
    thresholds: list[float] = []
    for seed in seeds:
        images, originals, changes = planted(base, COPIED, seed)
        features = extract_features(encoder, Part(images))
        hashes = perceptual_hashes(images)
        truth = originals.tolist(), changes, len(base)
        suggested = find_duplicates(features)
        thresholds.append(suggested.threshold)
        figures.setdefault("features, suggested threshold", []).append(
            scores(pairs_of(suggested), *truth)
        )
        tried = []
        for threshold in np.geomspace(1e-5, 0.1, 17):
            found = find_duplicates(features, threshold=float(threshold))
            tried.append(scores(pairs_of(found), *truth))
            if found.superfluous > len(originals) and tried[-1]["precision"] < PRECISION / 2:
                break  # wider ones only find more that are none
        by_bits = {bits: scores(pairs_by_hash(hashes, bits), *truth) for bits in range(0, 13, 2)}
        figures.setdefault(f"features, precision {PRECISION:.0%}", []).append(best_of(tried))
        figures.setdefault(f"pHash, precision {PRECISION:.0%}", []).append(
            best_of(list(by_bits.values()))
        )
        figures.setdefault("pHash, 4 bits or fewer differ", []).append(by_bits[4])
        figures.setdefault("pHash, 10 bits or fewer differ", []).append(by_bits[10])
    lines = [
        [name, *(spread([each[column] for each in held]) for column in shown)]
        for name, held in figures.items()
    ]
    said = ", ".join(f"{threshold:.2g}" for threshold in thresholds)
    return f"{len(base):,} pictures; suggested thresholds {said}.\n\n" + table(["", *shown], lines)


def pairs_of(found: Duplicates) -> set[tuple[int, int]]:
    """Each copy with the first of its group."""
    return {
        (min(group.rows[0], other), max(group.rows[0], other))
        for group in found.groups
        for other in group.rows[1:]
    }


def best_of(tried: Sequence[dict[str, float]]) -> dict[str, float]:
    """The highest recall at the wanted precision; zeros where no threshold reaches it."""
    good = [each for each in tried if each["precision"] >= PRECISION]
    nothing = dict.fromkeys([*CHANGES, "all", "precision"], 0.0)
    return max(good, key=lambda each: each["all"], default=nothing)


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation in percent."""
    mean = 100 * statistics.mean(values)
    return (
        f"{mean:.1f} ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else f"{mean:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("noise", "selection", "copies"))
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    print(
        {"noise": noise, "selection": selection, "copies": copies}[given.what](
            given.data, given.runs
        )
    )


if __name__ == "__main__":
    main()
