"""The whole evaluation of a frozen encoder beside its baselines: records and arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nearfar.data.fingerprint import source_fingerprint
from nearfar.data.source import Source
from nearfar.errors import SettingError
from nearfar.evaluation.accuracy import class_accuracies
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.finished_work import FinishedWork
from nearfar.evaluation.judged import Judged, Say, Towers, silent
from nearfar.evaluation.pictures import view_arrays
from nearfar.evaluation.records import FeatureKind, Record
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
    spec: EvaluationSpec,
    *,
    classifier: nn.Linear | None = None,
    embedding: nn.Module | None = None,
    views: Views | None = None,
    untrained: nn.Module | None = None,
    start: nn.Module | None = None,
    towers: Mapping[FeatureKind, Towers] | None = None,
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
        spec: Which protocols.
        classifier: What the method classifies with, on the encoder's features, on the CPU; None
            where it has none, or the data are other ones than it learned from.
        embedding: The encoder with its projection head, on `device`; None where it has none.
        views: The views of the training; None leaves alignment, uniformity and views out.
        untrained: The same encoder at random weights; None leaves this baseline out.
        start: The same encoder with the weights that its training began with, where those were not
            random: a baseline wherever the untrained one is.
        towers: Of a method of pairs both encoders behind their heads, on `device`, by what is
            judged; None leaves what is asked of pairs out.
        run_folder: Where to write `evaluation.json` and `evaluation.npz`; None writes nothing.
        first: What a reader must know before the notes, such as whose encoder this is.
        device: Where the encoders are.
        batch_size: Examples in a batch.
        workers: Processes that decode streamed images.
        threads: Chooses the thread count while features are taken; None leaves it.
        say: Told what is under way, and how far it has come.

    Raises:
        SettingError: If embeddings are asked for, and there are none.
        NearfarError: If features are not finite, or too many files of the source cannot be read.
    """
    device = torch.device(device)
    if spec.embeddings and embedding is None:
        raise SettingError(
            "evaluation.embeddings is True: the encoder lies here without a projection head, so it "
            "has no embedding: leave the setting out"
        )
    encoders: dict[FeatureKind, nn.Module | None] = {"encoder": encoder}
    encoders |= {} if embedding is None else {"embedding": embedding}
    if spec.baselines:
        encoders |= {} if start is None else {"start": start}
        encoders |= {} if untrained is None else {"untrained": untrained}
        encoders["raw"] = None
    without_accuracies = _why_no_accuracy(source)
    notes = [*first, *without_accuracies]
    if spec.leave_out:
        notes.append(f"left out by evaluation.leave_out: {', '.join(spec.leave_out)}")
    records: list[Record] = []
    arrays: dict[str, np.ndarray] = {}
    finished = FinishedWork(None if run_folder is None else run_folder.finished_work)
    for kind, each in encoders.items():
        judged = Judged(
            kind,
            each,
            source,
            seed=spec.seed,
            towers=(towers or {}).get(kind),
            views=views,
            classifier=classifier,
            device=device,
            batch_size=batch_size,
            workers=workers,
            threads=threads,
            say=say,
            finished=finished,
        )
        for protocol in spec.by_kind(_baseline(kind)):
            across_sets = protocol.asks_gallery and source.search is not None
            if protocol.needs_labels and without_accuracies and not across_sets:
                continue
            if protocol.needs_pairs and (judged.towers is None or source.second_modality is None):
                continue
            if protocol.targets and getattr(source.train, protocol.targets) is None:
                if protocol.name in spec.also:
                    notes.append(
                        f"{protocol.name} left out: the examples have no {protocol.targets}"
                    )
                continue
            found = protocol.run(judged)
            records += found.records
            arrays |= found.arrays
            notes += found.notes
            if found.answers is not None and kind == "encoder":
                arrays |= _class_arrays(protocol.name, found.answers, judged)
            if found.answers is not None and "shown_predictions" in protocol.arrays:
                judged.answers = found.answers
        if source.faults is not None:
            source.faults.refuse_too_many()
        if kind == "encoder" and views is not None:
            say("pictures of views")
            arrays |= view_arrays(judged.shown, views, device)
    if source.class_names is not None:
        arrays["class_names"] = np.array(source.class_names, dtype=np.str_)
    arrays["evaluation_settings"] = np.array(spec.as_text())
    arrays["judged_on"] = np.array(source_fingerprint(source))
    notes += [] if source.faults is None else source.faults.notes()
    notes = list(dict.fromkeys(notes))  # what several protocols or kinds of features note
    arrays["notes"] = np.array(notes, dtype=np.str_)
    evaluation = Evaluation(tuple(records), arrays, tuple(notes))
    if run_folder is not None:
        evaluation.write(run_folder)
        finished.forget()
    return evaluation


def _baseline(kind: FeatureKind) -> FeatureKind:
    """What a protocol says that it judges: the start is judged as the untrained encoder is."""
    return "untrained" if kind == "start" else kind


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


def _class_arrays(protocol: str, answers: Tensor, judged: Judged) -> dict[str, np.ndarray]:
    """Training examples of each class and its accuracy, where classes differ in size."""
    data = judged.labelled
    if not data.groups:
        return {}
    counts = torch.bincount(data.train_labels, minlength=data.num_classes)
    accuracies = class_accuracies(answers, data.test_labels, data.num_classes)
    return {"class_counts": counts.numpy(), f"class_accuracy_{protocol}": accuracies.numpy()}
