"""The section of docs/results.md: tables and figure."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from nearfar.evaluation.accuracy_specs import FewLabelsSpec
from nearfar.evaluation.records import FeatureKind
from nearfar.recipes.recipe import Recipe
from nearfar.spec import settings_of
from tools.comparison.experiments import (
    CONTRASTIVE,
    LONG_TAIL_BASELINES,
    is_long_tailed,
    learns_from_labels,
)
from tools.comparison.scores import (
    FEW_LABELS,
    KNN,
    LINEAR_PROBE,
    THIRDS,
    Scores,
    classes_of_thirds,
)
from tools.machine import versions_in
from tools.markdown import mean_and_sd, table

PROTOCOLS = (KNN, FEW_LABELS, LINEAR_PROBE)
BASELINES: dict[str, FeatureKind] = {"raw pixels": "raw", "untrained encoder": "untrained"}
COMMAND = "python -m tools.comparison"


def section(
    scores: Scores,
    experiments: Mapping[str, Recipe],
    plain: Mapping[str, Recipe],
    *,
    seeds: Sequence[int],
    figure: str,
) -> str:
    """Everything between the section's two marks.

    Args:
        scores: Of the runs that are finished; there is at least one.
        experiments: Every run that there is to be.
        plain: Those of them that are recipes as they stand.
        seeds: That each experiment is to have.
        figure: Link to the picture.
    """
    parts = [_protocol(scores, experiments, seeds)]
    balanced = [name for name in plain if not is_long_tailed(experiments[name])]
    long_tailed = [name for name in plain if is_long_tailed(experiments[name])]
    parts.append(f"![Accuracy of every method and seed]({figure})\n")
    parts.append(_table(scores, experiments, balanced))
    if any(name in scores.runs for name in long_tailed):
        parts += ["### On a long tail\n", _long_tails(scores, experiments, long_tailed)]
    varied = [name for name in experiments if name not in plain and name in scores.runs]
    if varied:
        parts += ["### With one setting changed\n", _varied(scores, varied)]
    return "\n".join(parts)


def _protocol(
    scores: Scores,
    experiments: Mapping[str, Recipe],
    seeds: Sequence[int],
) -> str:
    """How it was done: command, data, seeds, what was judged, versions, hardware, time."""
    shared = next(iter(experiments.values()))
    tests = scores.test_images(next(iter(scores.runs)))
    draws = shared.evaluation.of(FewLabelsSpec).draws
    environments = [each for name in scores.runs for each in scores.environments(name)]
    hardware = sorted({each.hardware for each in environments})
    versions = sorted({versions_in(asdict(each)) for each in environments})
    minutes = [each.seconds / 60 for each in environments]
    return "\n".join(
        [
            f"`{COMMAND} --data-root FOLDER` trains the Fashion-MNIST recipes of one shared set-up "
            f"({shared.encoder.name} of width {settings_of(shared.encoder)['width']}, "
            f"{shared.training.epochs} epochs of {shared.training.batch_size}) with seeds "
            f"{', '.join(map(str, seeds))}: {len(experiments) * len(seeds)} runs."
            f"{_missing(scores, experiments, seeds)}",
            f"Each is judged once, at its last epoch, on the {tests} test images: top-1 accuracy "
            f"in %, mean ± sd over the seeds; 10 labels a class: a mean over {draws} draws each. "
            "Features are judged in the form that serves them best on training images "
            "([evaluation.md](evaluation.md)).",
            f"{'; '.join(hardware)}; a run trains for {statistics.median(minutes):.1f} min "
            f"(median; {min(minutes):.1f} to {max(minutes):.1f}), "
            f"{sum(minutes) / 60:.1f} hours in all.",
            f"{'; '.join(versions)}.",
            "",
        ]
    )


def _missing(scores: Scores, names: Iterable[str], seeds: Sequence[int]) -> str:
    """How many runs are not there, and which: "`a` 0, 1, 2; `b` 2"; nothing where all are there."""
    missing = {
        name: [seed for seed in seeds if seed not in scores.runs.get(name, {})] for name in names
    }
    if not (count := sum(map(len, missing.values()))):
        return ""
    names = [f"`{name}` {', '.join(map(str, each))}" for name, each in missing.items() if each]
    verb = "is" if count == 1 else "are"
    return f" **{count} of them {verb} still missing**: {'; '.join(names)}."


def _table(scores: Scores, experiments: Mapping[str, Recipe], names: Sequence[str]) -> str:
    """Every recipe beside raw pixels and untrained weights, the best kNN last."""
    rows = [
        [
            title,
            "",
            *(_percent(scores.top1(CONTRASTIVE, each, kind).values()) for each in PROTOCOLS),
            "",
        ]
        for title, kind in BASELINES.items()
    ]
    for name in names:
        own = [_percent(scores.top1(name, each, "untrained").values()) for each in PROTOCOLS]
        if any(own) and name != CONTRASTIVE:
            rows.append([f"untrained encoder of `{name}`", "", *own, ""])
    for name in in_order(scores, experiments, names):
        cells = [_percent(scores.top1(name, each).values()) for each in PROTOCOLS]
        labels = "yes" if learns_from_labels(experiments[name]) else "no"
        rows.append([f"`{name}`", labels, *cells, f"{scores.minutes(name):.1f}"])
    return table(["encoder", "labels", *(each.title for each in PROTOCOLS), "minutes"], rows)


def _percent(values: Iterable[float]) -> str:
    return mean_and_sd(values, ".1f")


def in_order(scores: Scores, experiments: Mapping[str, Recipe], names: Sequence[str]) -> list[str]:
    """What has run, methods without labels first, each group by its kNN accuracy."""

    def place(name: str) -> tuple[bool, float]:
        return learns_from_labels(experiments[name]), statistics.mean(
            scores.top1(name, KNN).values()
        )

    return sorted((name for name in names if scores.top1(name, KNN)), key=place)


def _long_tails(scores: Scores, experiments: Mapping[str, Recipe], names: Sequence[str]) -> str:
    """Accuracy by size of class, by each method's own decision and by kNN."""
    names = [name for name in names if name in scores.runs]
    counts = scores.class_counts(names[0])
    thirds = classes_of_thirds_in_words(counts)
    rows = []
    for name in names:
        for protocol in (scores.judged_by(name), KNN):
            rows.append(
                [
                    f"`{name}`",
                    protocol.title,
                    _percent(scores.top1(name, protocol).values()),
                    *(_percent(scores.of_third(name, protocol, each).values()) for each in THIRDS),
                ]
            )
    for title, kind in BASELINES.items():
        cells = _percent(scores.top1(LONG_TAIL_BASELINES, KNN, kind).values())
        rows.append([title, KNN.title, cells, "", "", ""])
    factor = experiments[names[0]].data.imbalance_factor
    head = ["encoder", "judged by", "all", *(f"{each} ({thirds[each]})" for each in THIRDS)]
    return (
        f"Trained on {sum(counts)} images of imbalance factor {factor:g}, judged on all test "
        "images. Classes are told apart in thirds by their training images: bounds of 100 and 20, "
        "which larger long-tailed sets have, would leave no few-shot class here.\n\n"
        + table(head, rows)
    )


def classes_of_thirds_in_words(counts: Sequence[int]) -> dict[str, str]:
    """Of each third, how many examples its classes have: "6000 to 2156"."""
    array = np.asarray(counts)
    return {
        third: f"{array[rows].max()} to {array[rows].min()}"
        for third, rows in classes_of_thirds(array).items()
    }


def _varied(scores: Scores, names: Sequence[str]) -> str:
    """Runs beside which nothing but one setting differs."""
    rows = [
        [
            f"`{name}`",
            *(_percent(scores.top1(name, each).values()) for each in PROTOCOLS),
            f"{scores.minutes(name):.1f}",
        ]
        for name in names
    ]
    return table(["encoder", *(each.title for each in PROTOCOLS), "minutes"], rows)
