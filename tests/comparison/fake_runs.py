"""Runs of made-up accuracies, as far as the comparison reads them, and their records."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from tools.comparison.records import record_of
from tools.comparison.scores import Scores

from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder

COUNTS = np.array([10, 60, 40, 6, 25, 90])
"""Examples of each class, not in order of size."""


def record(protocol: str, value: float, features: str = "encoder", metric="top1", **parameters):
    return {
        "protocol": protocol,
        "features": features,
        "metric": metric,
        "value": value,
        "sd": None,
        "n": 500,
        "parameters": parameters,
    }


def fake_run(folder: Path, knn: float, *, classifier: bool = False, baselines: bool = False):
    """A run whose 10-label probe is a tenth worse than kNN; class c is right c tenths of times."""
    run = RunFolder.create(folder)
    kinds = ("encoder", "untrained", "raw") if baselines else ("encoder",)
    records = []
    for lower, kind in enumerate(kinds):
        value = knn - 0.1 * lower
        records += [
            record("knn", 0.01, kind, k=200, temperature=0.1, transform="as is"),
            record("knn", 0.99, kind, metric="top5", k=20, temperature=0.07, transform="as is"),
            record("knn", value, kind, k=20, temperature=0.07, transform="whitened 1"),
            record("knn", 0.02, kind, k=20, temperature=0.07, transform="as is", shots="few"),
            record("few_labels", 0.9 * value, kind, labels_per_class=10, values=[0.1, 0.2]),
            record("linear_probe", value + 0.02, kind, l2=0.1),
        ]
    if classifier:
        records.append(record("classifier", value + 0.03))
    run.write_evaluation(records)
    accuracies = np.arange(6) / 10
    names = ["knn", "linear_probe", *(["classifier"] if classifier else [])]
    run.write_evaluation_arrays(
        {"class_counts": COUNTS, **{f"class_accuracy_{name}": accuracies for name in names}}
    )
    run.write_environment(
        {
            "command": "nearfar train",
            "started": "2026-11-29T12:00:00+00:00",
            "threads": 1,
            "seconds": 120.0 + 60 * int(folder.name[-1]),
            "hardware": "a machine",
            "python": "3.11.7",
            "versions": {"nearfar": "0.1.0", "torch": "2.15.0"},
        }
    )
    return folder


def fake_record(name: str, recipe: Recipe, folder: Path, knn: float, **options):
    """The record of such a run."""
    run = fake_run(folder / f"{name}-seed{recipe.seed}", knn, **options)
    return record_of(name, recipe, run)


def fake_scores(folder: Path, by_experiment: dict[str, tuple[float, ...]], **options) -> Scores:
    """Runs of seeds 0, 1… for each experiment, of these kNN accuracies."""
    return Scores(
        {
            name: {
                seed: fake_record(name, replace(Recipe(), seed=seed), folder, value, **options)
                for seed, value in enumerate(values)
            }
            for name, values in by_experiment.items()
        }
    )
