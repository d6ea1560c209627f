"""The classifier that a method trained together with its encoder, judged as it stands."""

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from nearfar.evaluation.accuracy import LabelledFeatures, score_records
from nearfar.evaluation.accuracy_specs import ClassifierSpec
from nearfar.evaluation.judged import Found, Judged
from nearfar.evaluation.records import Record


def judge(_: ClassifierSpec, judged: Judged) -> Found:
    """Its accuracies; nothing where there is none."""
    classifier, classes = judged.classifier, judged.source.num_classes
    if classifier is None:
        return Found()
    if classifier.out_features != classes:
        return Found(
            notes=[
                f"classifier left out: it tells {classifier.out_features} classes apart, and the "
                f"data have {classes}"
            ]
        )
    data = judged.labelled
    judged.say("the method's own classifier")
    records, answers = classifier_records(data, classifier)
    return Found(records, answers=answers)


def classifier_records(
    data: LabelledFeatures, classifier: nn.Linear
) -> tuple[list[Record], Int64[Tensor, " m"]]:
    """Accuracies of a classifier on the CPU, and the predicted class of every test image."""
    with torch.no_grad():
        logits = classifier(data.test).double()
    # Ranks alone count; a class that can be predicted has a score above 0.
    scores = logits - logits.amin(dim=1, keepdim=True) + 1
    return score_records("classifier", data, scores, {}), scores.argmax(dim=1)
