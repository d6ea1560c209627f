"""A run folder with real numbers in it: scikit-learn's digits under PCA, as a run leaves it."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from nearfar.run_folder.folder import RunFolder

TEST = 500
SHOWN = 240


def shift(images, rng):
    """A view: the image moved by up to one pixel either way, and a little noise."""
    moved = [
        np.roll(image, rng.integers(-1, 2, size=2), axis=(0, 1)) for image in images[:, :, :, 0]
    ]
    noisy = np.stack(moved)[..., None] + rng.normal(0, 12, images.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def unit(features):
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)


def write_digits_run(path: Path, *, components: int = 24, epochs: int = 40, seed: int = 0) -> Path:
    """Writes a whole run folder and returns its path."""
    rng = np.random.default_rng(seed)
    data = load_digits()
    images = (data.images * 15.9375).astype(np.uint8)[..., None]
    labels = data.target
    order = np.random.default_rng(7).permutation(len(images))
    images, labels = images[order], labels[order]
    bank, test = images[TEST:], images[:TEST]
    bank_labels, test_labels = labels[TEST:], labels[:TEST]

    pca = PCA(components, whiten=True, random_state=0).fit(bank.reshape(len(bank), -1))
    projection = rng.normal(size=(64, 16))
    encoders = {
        "encoder": lambda x: unit(pca.transform(x.reshape(len(x), -1))),
        "untrained": lambda x: unit(np.maximum(x.reshape(len(x), -1) @ projection, 0)),
        "raw": lambda x: unit(x.reshape(len(x), -1).astype(float)),
    }
    features = {name: (encode(bank), encode(test)) for name, encode in encoders.items()}

    folder = RunFolder.create(path)
    folder.write_config(_config(components, epochs, seed))
    folder.write_environment(_environment(path))
    for record in _metrics(epochs, rng):
        folder.append_metrics(record)
    folder.write_evaluation(_records(features, bank_labels, test_labels, rng))
    folder.write_evaluation_arrays(
        _arrays(encoders, features, bank, test, bank_labels, test_labels, rng)
    )
    folder.encoder_weights.write_bytes(b"")
    return path


def _config(components, epochs, seed):
    return {
        "recipe": "simclr-digits",
        "seed": seed,
        "data": {"name": "digits", "root": None, "train_part": "train"},
        "views": {"preset": "digits", "implementation": "fused", "crop_scale": [0.6, 1.0]},
        "encoder": {"name": "small-resnet", "stem": "standard", "width": components},
        "method": {
            "name": "simclr",
            "objective": {"name": "nt_xent", "temperature": 0.5},
            "projection_dim": 128,
        },
        "training": {"epochs": epochs, "batch_size": 256, "learning_rate": 0.002},
        "evaluation": {"draws": 5, "baselines": True},
    }


def _environment(path):
    return {
        "command": f"nearfar train simclr-digits --out {path.name} --overwrite",
        "started": "2026-11-22T04:15:35Z",
        "seconds": 47.3,
        "hardware": "2 CPU cores",
        "threads": 2,
        "versions": {"python": "3.11.2", "torch": "2.15.0", "nearfar": "0.1.0"},
    }


def _metrics(epochs, rng):
    for step in range(epochs * 5):
        progress = step / (epochs * 5)
        yield {
            "kind": "step",
            "step": step + 1,
            "mutual_information_bound": 4.8 - 4.8 / (1 + step / 20),
            "mutual_information_ceiling": 4.852,
            "epoch": (step + 1) / 5,
            "loss": 4.6 + 1.6 * np.exp(-5 * progress) + rng.normal(0, 0.03),
            "learning_rate": 0.002 * min(1, progress * 10) * (1 + np.cos(np.pi * progress)) / 2,
            "examples_per_second": 3000.0,
        }
        if step % 25 == 24:
            top1 = 0.98 - 0.12 * np.exp(-4 * progress) + rng.normal(0, 0.002)
            yield {
                "kind": "knn",
                "step": step + 1,
                "epoch": (step + 1) / 5,
                "top1": top1,
                "top5": 0.999,
            }


def _records(features, bank_labels, test_labels, rng):
    records = []

    def add(protocol, name, metric, value, parameters, sd=None):
        records.append(
            {
                "protocol": protocol,
                "features": name,
                "metric": metric,
                "value": float(value),
                "sd": sd,
                "n": len(test_labels),
                "parameters": parameters,
            }
        )

    for name, (bank, test) in features.items():
        for k, temperature in ((200, 0.1), (20, 0.07)):
            scores = KNeighborsClassifier(
                k, weights=lambda d, t=temperature: np.exp(-(d**2) / 2 / t)
            ).fit(bank, bank_labels)
            ranked = np.argsort(-scores.predict_proba(test), axis=1)
            for metric, depth in (("top1", 1), ("top5", 5)):
                right = (ranked[:, :depth] == test_labels[:, None]).any(axis=1).mean()
                add("knn", name, metric, right, {"k": k, "temperature": temperature})
        probe = LogisticRegression(C=10, max_iter=300).fit(bank, bank_labels)
        add("linear_probe", name, "top1", probe.score(test, test_labels), {"l2": 0.1})
        for count in (1, 5, 10, 50):
            drawn = []
            for draw in range(5):
                pick = np.random.default_rng(draw)
                rows = np.concatenate(
                    [pick.permutation(np.flatnonzero(bank_labels == c))[:count] for c in range(10)]
                )
                probe = LogisticRegression(C=10, max_iter=200).fit(bank[rows], bank_labels[rows])
                drawn.append(probe.score(test, test_labels))
            add(
                "few_labels",
                name,
                "top1",
                np.mean(drawn),
                {"labels_per_class": count, "draws": 5, "values": drawn},
                sd=float(np.std(drawn, ddof=1)),
            )
        if name != "raw":
            add("alignment", name, "mean", 0.31 if name == "encoder" else 0.12, {"alpha": 2})
            add("uniformity", name, "mean", -3.4 if name == "encoder" else -0.9, {"t": 2})
    return records


def _arrays(encoders, features, bank, test, bank_labels, test_labels, rng):
    bank_features, test_features = features["encoder"]
    nearest = NearestNeighbors(n_neighbors=8).fit(bank_features)
    distances, indices = nearest.kneighbors(test_features[:SHOWN])
    predictions = KNeighborsClassifier(20).fit(bank_features, bank_labels).predict(test_features)
    wrong = np.flatnonzero(predictions[:SHOWN] != test_labels[:SHOWN])
    queries = np.unique(np.concatenate([wrong[:4], np.arange(8)]))
    used = np.unique(indices[queries])
    first, second = shift(bank[:400], rng), shift(bank[:400], rng)
    arrays = {
        "shown_images": test[:SHOWN],
        "shown_labels": test_labels[:SHOWN],
        "shown_predictions": predictions[:SHOWN],
        "shown_map": TSNE(2, init="pca", random_state=0, max_iter=400)
        .fit_transform(test_features[:SHOWN])
        .astype(np.float32),
        "neighbor_indices": indices,
        "neighbor_similarities": (1 - distances**2 / 2).astype(np.float32),
        "neighbor_labels": bank_labels[indices],
        "gallery_images": bank[used],
        "gallery_bank_indices": used,
        "gallery_queries": queries,
        "confusion_cells": cells_of(confusion_matrix(test_labels, predictions)),
        "view_originals": bank[:6],
        "view_samples": np.stack([shift(bank[:6], rng) for _ in range(6)], axis=1),
        "judged_on": np.array("digits, 500 of them held out"),
        "class_names": np.array(["zero", "one", "two", "three", "four", *"56789"]),
    }
    for prefix, name in (("", "encoder"), ("untrained_", "untrained")):
        one, two = encoders[name](first), encoders[name](second)
        arrays[f"{prefix}positive_distances"] = np.linalg.norm(one - two, axis=1).astype("f4")
        other = np.roll(two, 1, axis=0)
        arrays[f"{prefix}random_distances"] = np.linalg.norm(one - other, axis=1).astype("f4")
    return arrays


def cells_of(confusion):
    """A confusion matrix as `evaluation.npz` holds it: true class, answered class, count."""
    true, answered = np.nonzero(confusion)
    return np.stack((true, answered, confusion[true, answered]), axis=1)
