"""The whole evaluation of a frozen encoder beside its baselines: records and arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from nearfar.analysis.embedding_map import MAX_POINTS
from nearfar.data.choosing import choose
from nearfar.data.fingerprint import source_fingerprint
from nearfar.data.source import Part, Source
from nearfar.evaluation.accuracy import (
    LabelledFeatures,
    accuracy_records,
    classifier_records,
    notes_after,
    notes_on,
    notes_on_forms,
)
from nearfar.evaluation.check import check_evaluation
from nearfar.evaluation.config import BASELINED, EvaluationConfig
from nearfar.evaluation.features import extract_features, raw_features
from nearfar.evaluation.pictures import picture_arrays, view_arrays
from nearfar.evaluation.progress import Say, silent
from nearfar.evaluation.records import FeatureKind, Protocol, Record
from nearfar.evaluation.shots import class_accuracies, shot_groups
from nearfar.evaluation.view_geometry import distance_arrays, geometry_records, view_geometry
from nearfar.run_folder.folder import RunFolder
from nearfar.training.thread_choice import ThreadChoice
from nearfar.views.views import Views


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        records: One figure each, as in `evaluation.json`.
        arrays: By name, as in `evaluation.npz`.
        notes: What could not be done as asked, one sentence each; also among the arrays.
    """

    records: tuple[Record, ...]
    arrays: dict[str, np.ndarray]
    notes: tuple[str, ...]

    def write(self, run_folder: RunFolder) -> None:
        """Write `evaluation.npz` and then `evaluation.json`.

        Args:
            run_folder: Where.
        """
        run_folder.write_evaluation_arrays(self.arrays)
        run_folder.write_evaluation([record.as_json() for record in self.records])


def evaluate(
    encoder: nn.Module,
    source: Source,
    config: EvaluationConfig,
    *,
    classifier: nn.Linear | None = None,
    views: Views | None = None,
    untrained: nn.Module | None = None,
    run_folder: RunFolder | None = None,
    first: Sequence[str] = (),
    device: torch.device | str = "cpu",
    batch_size: int = 512,
    workers: int = 0,
    threads: ThreadChoice | None = None,
    say: Say = silent,
) -> Evaluation:
    """Judge a frozen encoder by every protocol that the source allows, beside its baselines.

    Without labels or without a test part there are no accuracies; without a test part, what is
    shown and the views' geometry come from the training part. `notes` tells both.

    Args:
        encoder: Takes examples as they are, returns features: a `SavedEncoder`, on `device`.
        source: Its training part is the bank and what probes learn from; its test part only judges.
        config: Which protocols.
        classifier: What the method classifies with, on the encoder's features, on the CPU; None
            where it has none, or the data are other ones than it learned from.
        views: The views of the training; None leaves alignment, uniformity and views out.
        untrained: The same encoder with its first weights; None leaves this baseline out.
        run_folder: Where to write `evaluation.json` and `evaluation.npz`; None writes nothing.
        first: What a reader must know before the notes, such as whose encoder this is.
        device: Where the encoders are.
        batch_size: Examples in a batch.
        workers: Processes that decode streamed images.
        threads: Chooses the thread count while features are taken; None leaves it.
        say: Told what is under way, and how far it has come.

    Raises:
        SettingError: If a setting is impossible.
        NearfarError: If features are not finite.
    """
    check_evaluation(config)
    device = torch.device(device)
    encoders: dict[FeatureKind, nn.Module] = {"encoder": encoder}
    if config.baselines and untrained is not None:
        encoders["untrained"] = untrained

    def features(kind: FeatureKind, part: Part) -> Tensor:
        say(f"features of {len(part)} {part.modality}: {kind}")
        if kind == "raw":
            return raw_features(part, source.train, workers=workers)
        return extract_features(
            encoders[kind],
            part,
            device=device,
            batch_size=batch_size,
            workers=workers,
            threads=threads,
        )

    # Taken once, and only where a protocol needs them.
    @cache
    def train() -> Tensor:
        return features("encoder", source.train)

    @cache
    def judged() -> Tensor:
        return train() if source.test is None else features("encoder", source.test)

    notes = _why_no_accuracy(source)
    with_baselines = any(map(config.runs, BASELINED))
    by_classifier = classifier is not None and config.runs("classifier")
    with_accuracies = not notes and (with_baselines or by_classifier)
    if config.leave_out:
        notes.append(f"left out by evaluation.leave_out: {', '.join(config.leave_out)}")
    records: list[Record] = []
    arrays: dict[str, np.ndarray] = {}
    predictions: Tensor | None = None

    if with_accuracies:
        labels = _Labels.of(source)
        notes += notes_on(labels.train, config)
        data = LabelledFeatures(
            "encoder",
            train(),
            labels.train,
            judged(),
            labels.test,
            labels.num_classes,
            shot_groups(labels.counts, labels.test),
        )
        records, by_protocol = accuracy_records(data, config, say)
        notes += notes_on_forms(data) if with_baselines else []
        if classifier is None or not by_classifier:
            pass
        elif classifier.out_features != labels.num_classes:
            notes.append(
                f"classifier left out: it tells {classifier.out_features} classes apart, and the "
                f"data have {labels.num_classes}"
            )
        else:
            say("the method's own classifier")
            classified, by_protocol["classifier"] = classifier_records(data, classifier)
            records += classified
        if (predictions := by_protocol.get("knn")) is not None:
            arrays["confusion_cells"] = confusion_cells(labels.test, predictions)
        if data.groups and by_protocol:
            arrays |= _class_arrays(by_protocol, labels)
        baselines: tuple[FeatureKind, ...] = (*list(encoders)[1:], "raw")
        for kind in baselines if config.baselines and with_baselines else ():
            assert source.test is not None
            baseline = replace(
                data,
                kind=kind,
                train=features(kind, source.train),
                test=features(kind, source.test),
            )
            records += accuracy_records(baseline, config, say)[0]
            notes += notes_on_forms(baseline)
        notes += notes_after(records)

    part = source.train if source.test is None else source.test
    shown_rows = _rows_on_show(len(part), config.seed)
    shown = choose(part, shown_rows)
    if config.runs("map") or config.runs("gallery"):
        arrays |= picture_arrays(
            source.train,
            train() if config.runs("gallery") else None,
            shown,
            judged()[shown_rows],
            None if predictions is None else predictions[shown_rows],
            rows_in_bank=shown_rows if source.test is None else None,
            with_map=config.runs("map"),
            seed=config.seed,
            workers=workers,
            say=say,
        )
    if views is not None:
        say("pictures of views")
        arrays |= view_arrays(shown, views, device)
    if views is not None and config.runs("geometry") and len(shown) > 1:
        say("views: alignment, uniformity, distances")
        for kind, judged_encoder in encoders.items():
            found = view_geometry(
                judged_encoder,
                shown,
                views,
                seed=config.seed,
                device=device,
                batch_size=batch_size,
                workers=workers,
            )
            records += geometry_records(found, kind)
            arrays |= distance_arrays(found, kind)
    if source.class_names is not None:
        arrays["class_names"] = np.array(source.class_names, dtype=np.str_)
    arrays["evaluation_settings"] = np.array(config.as_text())
    arrays["judged_on"] = np.array(source_fingerprint(source))
    notes = [*first, *notes]
    arrays["notes"] = np.array(notes, dtype=np.str_)
    evaluation = Evaluation(tuple(records), arrays, tuple(notes))
    if run_folder is not None:
        evaluation.write(run_folder)
    return evaluation


@dataclass(frozen=True)
class _Labels:
    """Labels of both parts of a source that has them."""

    train: Int64[Tensor, " n"]
    test: Int64[Tensor, " m"]
    num_classes: int

    @classmethod
    def of(cls, source: Source) -> "_Labels":
        assert source.train.labels is not None
        assert source.test is not None
        assert source.test.labels is not None
        assert source.num_classes is not None
        return cls(source.train.labels.cpu(), source.test.labels.cpu(), source.num_classes)

    @property
    def counts(self) -> Int64[Tensor, " classes"]:
        return torch.bincount(self.train, minlength=self.num_classes)


def _why_no_accuracy(source: Source) -> list[str]:
    """What stands in the way of accuracies, empty if nothing."""
    if source.train.labels is None:
        return ["no accuracies: the training examples have no labels"]
    if source.test is None or len(source.test) == 0:
        return [
            "no accuracies: the source has no test part; what is shown is from the training part"
        ]
    if source.test.labels is None:
        return ["no accuracies: the test examples have no labels"]
    if len(torch.unique(source.train.labels)) < 2:
        return ["no accuracies: the training examples are all of one class"]
    return []


def _rows_on_show(count: int, seed: int) -> Int64[Tensor, " s"]:
    """At most `MAX_POINTS` images, drawn: the first ones of a folder would be of few classes."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return order[:MAX_POINTS].sort().values


def confusion_cells(
    labels: Int64[Tensor, " m"], predictions: Int64[Tensor, " m"]
) -> Int64[np.ndarray, "cells 3"]:
    """The confusion matrix by the cells that are not 0: never more than there are examples.

    Args:
        labels: True class of every test example.
        predictions: Its predicted class.

    Returns:
        True class, predicted class and count of each cell, in order of the classes.
    """
    pairs = torch.stack((labels, predictions), dim=1)
    cells, counts = torch.unique(pairs, dim=0, return_counts=True)
    return torch.cat((cells, counts[:, None]), dim=1).numpy()


def _class_arrays(
    by_protocol: Mapping[Protocol, Int64[Tensor, " m"]], labels: _Labels
) -> dict[str, np.ndarray]:
    """Training examples of each class, and its accuracy under each protocol."""
    arrays = {"class_counts": labels.counts.numpy()}
    for protocol, predictions in by_protocol.items():
        found = class_accuracies(predictions, labels.test, labels.num_classes)
        arrays[f"class_accuracy_{protocol}"] = found.numpy()
    return arrays
