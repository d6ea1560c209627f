"""One run as what its part of the page shows: words, tables, pictures and charts."""

import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np

from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.modality import one
from nearfar.report import charts
from nearfar.report.advice import advice
from nearfar.report.dense_maps import dense_cards
from nearfar.report.information import information_section
from nearfar.report.map_section import (
    class_names,
    has_small_images,
    learnt_labels,
    map_section,
    modality_of,
    of_embedding,
)
from nearfar.report.pictures import picture, with_series_drawn
from nearfar.report.run_files import RunFiles, knn_title
from nearfar.report.score_tables import further_measures, score_table, shot_table
from nearfar.report.scores import score_rows
from nearfar.report.settings import setting_groups, typed_command
from nearfar.report.verdict import BASELINES, forms, percent, verdict
from nearfar.run_folder.names import KEPT_EPOCH

LARGEST_CONFUSION_TABLE = 20
"""Classes beyond which only the most confused pairs are listed."""
_MOST_CONFUSED_PAIRS = 6
NARROW_NAME = 4
"""Letters of a name that fits over a column of the confusion matrix; longer ones stand upright."""


def run_section(run: RunFiles, name: str, anchor: str) -> dict[str, Any]:
    """Everything the template needs for one run; a part that the run lacks is None.

    Args:
        run: The run's files.
        name: What the page calls it.
        anchor: Prefix of the ids on the page, unique to the run.
    """
    rows = score_rows(run.records)
    main = [row for row in rows if row.metric == "top1" or row.is_spoken_of]
    further = [row for row in rows if row not in main]
    arrays = with_series_drawn(run.arrays)
    modality = modality_of(run.config)
    behind_head = of_embedding(arrays)
    return {
        **map_section(run, arrays),
        "anchor": anchor,
        "name": name,
        "path": str(run.path),
        "title": title(run),
        "summary": summary(run),
        "collapses": [_collapse(line) for line in run.collapses],
        "unfinished": None if run.finished else _unfinished(run),
        "notes": [str(note) for note in run.arrays.get("notes", [])],
        "evaluated": bool(run.records or run.arrays),
        "accuracies_left_out": _accuracies_left_out(run.left_out),
        "shows_examples": bool(run.arrays),
        "verdict": [
            *verdict(rows),
            *advice(rows, run),
            *_nearness(run.arrays, one(modality), modality),
        ],
        "choices": run.choices,
        "forms": forms(rows),
        "score_table": score_table(main),
        "more_scores": score_table(further),
        "more_measures": further_measures(further, one(modality)),
        "baselines": any(row.scores.keys() & BASELINES.keys() for row in rows),
        "shot_table": shot_table(rows),
        "class_accuracy": charts.class_accuracy(run.arrays, class_names(run.arrays)),
        "accuracy_curves": charts.accuracy_curves(rows),
        "curves": _curves(run),
        "views": _views(arrays),
        "pairs": _pairs(arrays),
        "dense": dense_cards(arrays),
        "gallery": _gallery(arrays),
        "embedding_gallery": _gallery(behind_head),
        "distances": _distances(run.arrays),
        "confusion": _confusion(run.arrays),
        "start": run.start,
        "config": setting_groups(run.config),
        "environment": setting_groups(
            {key: value for key, value in run.environment.items() if key != "command"}
        ),
        "pixels": has_small_images(arrays),
        "command": typed_command(run.environment),
        "trained": run.is_run,
        "information": None
        if run.information is None
        else information_section(run.information, anchor),
    }


def _accuracies_left_out(protocols: frozenset[str]) -> str:
    """All protocols that judge baselines, in words, where none is left to compare them by."""
    judging = {name: each for name, each in ProtocolSpec.known().items() if each.judges_baselines()}
    if not protocols.issuperset(judging):
        return ""
    *most, last = (each.short() for each in judging.values())
    return f"{', '.join(most)} and {last}"


def title(run: RunFiles) -> str:
    """What was trained, in a few words."""
    if run.information is not None and not run.is_run:
        return "Mutual information"
    method = run.config.get("method", {}).get("name", "encoder")
    data = run.config.get("data", {}).get("name", "unknown data")
    known = MethodSpec.known()
    return f"{known[method].title if method in known else method} on {data}"


def summary(run: RunFiles) -> str:
    """What was trained, and on what, in a few sentences."""
    config = run.config
    encoder, training = config.get("encoder", {}), config.get("training", {})
    learning = "with" if learnt_labels(config) else "without"
    parts = [f"Backbone {encoder.get('name', 'unknown')}, trained {learning} labels"]
    if "epochs" in training:
        epochs = training["epochs"]
        parts.append(f"for {epochs} epoch{'s' * (epochs != 1)}")
        parts.append(f"in batches of {training.get('batch_size')}")
    seconds = run.environment.get("seconds")
    if seconds:  # 0 until training has ended, or was stopped
        parts.append(f"in {duration(seconds)}")
    hardware = run.environment.get("hardware")
    if isinstance(hardware, str):
        parts.append(f"on {hardware}")
    sentences = [" ".join(parts)]
    if learnt_from := run.environment.get("learnt_from"):
        sentences.append(f"Learnt from {learnt_from}")
    sentences.append(f"Recipe {config.get('recipe', 'custom')}, seed {config.get('seed')}")
    return ". ".join(sentences) + "."


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _unfinished(run: RunFiles) -> str:
    epochs = run.config.get("training", {}).get("epochs", "?")
    reached = run.steps[-1]["epoch"] if run.steps else 0
    return (
        f"Training stands at epoch {reached:.1f} of {epochs}. "
        f"Go on with: nearfar train --resume {shlex.quote(str(run.path))}"
    )


def _collapse(line: Mapping[str, Any]) -> str:
    """When a run collapsed or recovered, and how."""
    told = str(line["told"])
    return f"Epoch {line['epoch']:.1f}: {told}"


def _curves(run: RunFiles) -> dict[str, Any] | None:
    losses = [line["loss"] for line in run.steps if line.get("loss") is not None]
    if not losses:
        return None
    runs = {run.name: run}
    last = run.knn[-1] if run.knn else None
    kept = run.environment.get(KEPT_EPOCH)
    return {
        "loss": charts.loss_curve(runs, charts.chance_loss(run.config)),
        "loss_text": f"from {losses[0]:.2f} to {losses[-1]:.2f}",
        "rate": charts.learning_rate_curve(runs),
        "rate_text": f"at most {max(line['learning_rate'] for line in run.steps):.3g}",
        "knn": charts.knn_curve(runs) if last else None,
        "knn_title": knn_title([run], modality_of(run.config)),
        "knn_text": (f"{percent(last['top1'])} % at the last check" if last else "")
        + (f", {percent(kept['top1'])} % at epoch {kept['epoch']}, which is kept" if kept else ""),
        "rank": charts.rank_curve(run),
        "shared": charts.bound_curve(runs),
        "next_step": charts.bound_curve(runs, "bound_1"),
    }


def _views(arrays: Mapping[str, np.ndarray]) -> list[dict[str, Any]] | None:
    if not {"view_originals", "view_samples"} <= arrays.keys():
        return None
    pairs = zip(arrays["view_originals"], arrays["view_samples"], strict=True)
    return [
        {"original": _sight(original), "samples": [_sight(view) for view in views]}
        for original, views in pairs
    ]


def _sight(example: np.ndarray | str | None) -> dict[str, str | None]:
    """What is shown of an example: a picture, or a text in its words."""
    if example is None:
        return {"uri": None, "words": None}
    if isinstance(example, str):
        return {"uri": None, "words": str(example)}
    return {"uri": picture(example), "words": None}


def _gallery(arrays: Mapping[str, np.ndarray]) -> list[dict[str, Any]] | None:
    needed = {"gallery_queries", "gallery_bank_indices", "neighbor_indices"}
    if not needed <= arrays.keys():
        return None
    place = {int(index): at for at, index in enumerate(arrays["gallery_bank_indices"])}
    labels, bank_labels = arrays.get("shown_labels"), arrays.get("neighbor_labels")
    names = class_names(arrays)
    banked, shown = arrays.get("gallery_images"), arrays.get("shown_images")
    rows = []
    for query in arrays["gallery_queries"]:
        truth = None if labels is None else int(labels[query])
        neighbors = []
        for rank, index in enumerate(arrays["neighbor_indices"][query]):
            if int(index) not in place:
                continue
            label = None if bank_labels is None else int(bank_labels[query, rank])
            neighbors.append(
                {
                    **_sight(None if banked is None else banked[place[int(index)]]),
                    "rank": rank + 1,
                    "name": None if label is None else names[label],
                    "right": None if truth is None or label is None else label == truth,
                    "similarity": f"{arrays['neighbor_similarities'][query, rank]:.2f}",
                }
            )
        rows.append(
            {
                **_sight(None if shown is None else shown[query]),
                "name": None if truth is None else names[truth],
                "neighbors": neighbors,
            }
        )
    return rows


def _pairs(arrays: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Images with a text of their own and the nearest texts; none where pairs are not judged."""
    if "pair_images" not in arrays:
        return []
    return [
        {
            "uri": picture(image),
            "text": str(text),
            "found": [
                {"text": str(each), "right": bool(right)}
                for each, right in zip(found, of_own, strict=True)
            ],
        }
        for image, text, found, of_own in zip(
            arrays["pair_images"],
            arrays["pair_texts"],
            arrays["pair_found"],
            arrays["pair_found_right"],
            strict=True,
        )
    ]


def _pair_distances(
    arrays: Mapping[str, np.ndarray],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Distances of positive and of random pairs, for the encoders that they were measured on."""
    pairs = {
        "Trained": ("positive_distances", "random_distances"),
        "Behind the projection head": (
            "embedding_positive_distances",
            "embedding_random_distances",
        ),
        "Start": ("start_positive_distances", "start_random_distances"),
        "Untrained": ("untrained_positive_distances", "untrained_random_distances"),
    }
    return {
        name: (arrays[first], arrays[second])
        for name, (first, second) in pairs.items()
        if first in arrays and second in arrays
    }


def _nearness(arrays: Mapping[str, np.ndarray], one: str, many: str) -> list[str]:
    """What the verdict says of distances, which needs no labels."""
    shares = {name: _share_nearer(*pair) for name, pair in _pair_distances(arrays).items()}
    if "Trained" not in shares:
        return []
    first = next((name for name in ("Start", "Untrained") if name in shares), None)
    before = "" if first is None else f", {percent(shares[first])} % before training"
    return [
        f"Two views of one {one} lie nearer than views of two {many} in "
        f"{percent(shares['Trained'])} % of choices{before}."
    ]


def _distances(arrays: Mapping[str, np.ndarray]) -> list[dict[str, Any]] | None:
    held = _pair_distances(arrays)
    if not held:
        return None
    farthest = max(float(values.max()) for pair in held.values() for values in pair)
    top = min(2.0, np.ceil(10 * farthest + 1e-9) / 10)
    return [
        {
            "name": name,
            "figure": charts.distance_histograms(positive, random, top=top),
            "positive": f"{positive.mean():.2f}",
            "random": f"{random.mean():.2f}",
            "nearer": percent(_share_nearer(positive, random)),
        }
        for name, (positive, random) in held.items()
    ]


def _share_nearer(positive: np.ndarray, random: np.ndarray) -> float:
    """Share of (positive, random) choices in which the positive pair is nearer; ties count half."""
    ordered = np.sort(random)
    farther = len(ordered) - np.searchsorted(ordered, positive, side="right")
    farther_or_level = len(ordered) - np.searchsorted(ordered, positive, side="left")
    return float((farther + farther_or_level).mean() / 2 / len(ordered))


def _confusion(arrays: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    if "confusion_cells" not in arrays:
        return None
    cells, names = arrays["confusion_cells"], class_names(arrays)
    is_right = cells[:, 0] == cells[:, 1]
    wrong = cells[~is_right]
    worst = wrong[np.argsort(-wrong[:, 2], kind="stable")[:_MOST_CONFUSED_PAIRS]]
    return {
        "names": names,
        "narrow": max(map(len, names)) <= NARROW_NAME,
        "pairs": [
            {"true": names[true], "answer": names[answer], "count": count}
            for true, answer, count in worst.tolist()
        ],
        "total": int(cells[:, 2].sum()),
        "right": int(cells[is_right, 2].sum()),
        "table": None if len(names) > LARGEST_CONFUSION_TABLE else _confusion_table(cells, names),
    }


def _confusion_table(cells: np.ndarray, names: list[str]) -> list[dict[str, Any]]:
    """The confusion matrix row by row."""
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    counts[cells[:, 0], cells[:, 1]] = cells[:, 2]
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    return [
        {
            "name": name,
            "cells": [
                {"count": int(count), "share": round(float(share), 4), "right": row == column}
                for column, (count, share) in enumerate(zip(counts[row], shares[row], strict=True))
            ],
        }
        for row, name in enumerate(names)
    ]
