"""Weighted k-nearest-neighbour classification on frozen features, in bounded memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.evaluation.accuracy import (
    LabelledFeatures,
    notes_on_forms,
    score_records,
    top_accuracy,
)
from nearfar.evaluation.accuracy_specs import KNNSpec, Vote
from nearfar.evaluation.choice_split import choice_split
from nearfar.evaluation.features import check_finite
from nearfar.evaluation.forms import AS_IS, Transform
from nearfar.evaluation.judged import Found, Judged
from nearfar.evaluation.records import Record
from nearfar.objectives.precision import unit_rows
from nearfar.similarity.top_k import Bank

CHOICE_LIMIT = 5_000
"""Training images that the choice of a transform uses at most."""


class KNNBank:
    """Labelled features that vote on the class of their neighbours (Wu et al. 2018, InstDisc).

    Similarity is the cosine; the k most similar bank images vote for their class with weight
    `exp(similarity / temperature)`.

    Args:
        features: One row a bank image, any scale; rows are L2-normalised here.
        labels: Class of each bank image, from 0; None where only neighbours are wanted.
        num_classes: Number of classes; one more than the highest label where left out.

    Raises:
        NearfarError: If a feature is not finite.
        SettingError: If the bank is empty or its labels do not fit.
    """

    def __init__(
        self,
        features: Float[Tensor, "n dim"],
        labels: Int64[Tensor, " n"] | None = None,
        *,
        num_classes: int | None = None,
    ) -> None:
        if len(features) == 0:
            raise SettingError("the kNN bank is empty: give it at least one image")
        if labels is not None and int(labels.min()) < 0:
            raise SettingError("the kNN bank has labels below 0: leave unlabelled images out")
        self.features = unit_rows(check_finite(features, "the bank's features")).float()
        self._bank = Bank(self.features)
        self.labels = labels
        self.num_classes = num_classes
        if num_classes is None and labels is not None:
            self.num_classes = int(labels.max()) + 1

    def __len__(self) -> int:
        """The number of bank images."""
        return len(self.features)

    def neighbors(
        self, queries: Float[Tensor, "m dim"], k: int
    ) -> tuple[Float[Tensor, "m k"], Int64[Tensor, "m k"]]:
        """The k most similar bank images of every query, most similar first; exact.

        Args:
            queries: Features in any scale, on the bank's device.
            k: Neighbours wanted; clipped to the size of the bank.

        Returns:
            Cosine similarities and rows of the bank, `min(k, len(bank))` columns each.

        Raises:
            SettingError: If k is below 1.
        """
        if k < 1:
            raise SettingError(f"kNN with k={k}: k must be 1 or more")
        queries = unit_rows(check_finite(queries, "the queries' features")).float()
        return self._bank.top_k(queries, k)

    def predict(
        self, queries: Float[Tensor, "m dim"], k: int, temperature: float
    ) -> Float[Tensor, "m classes"]:
        """Each class's share of the neighbours' weighted vote; rows sum to 1.

        Args:
            queries: Features in any scale.
            k: Neighbours that vote; clipped to the size of the bank.
            temperature: Divides the similarities inside the exponent; above 0.

        Raises:
            SettingError: If k or the temperature is impossible, or the bank has no labels.
        """
        if self.labels is None or self.num_classes is None:
            raise SettingError("this kNN bank has no labels to vote with: give it labels")
        similarities, indices = self.neighbors(queries, k)
        return vote(similarities, self.labels[indices], temperature, self.num_classes)


def vote(
    similarities: Float[Tensor, "m k"],
    labels: Int64[Tensor, "m k"],
    temperature: float,
    num_classes: int,
) -> Float[Tensor, "m classes"]:
    """Weighted vote: `Σ exp(similarity / T)` over the neighbours of each class, as shares.

    Args:
        similarities: Cosine similarity of each neighbour.
        labels: Class of each neighbour.
        temperature: T above; above 0.
        num_classes: Number of classes.

    Raises:
        SettingError: If the temperature is not above 0.
    """
    if not temperature > 0:
        raise SettingError(f"kNN with temperature {temperature}: it must be above 0")
    # The softmax is the vote divided by its sum, and cannot overflow at small temperatures.
    weights = torch.softmax(similarities.double() / temperature, dim=1)
    scores = weights.new_zeros(len(similarities), num_classes)
    return scores.scatter_add_(1, labels, weights).float()


def judge(spec: KNNSpec, judged: Judged) -> Found:
    """Accuracies of every vote; of the encoder also what is mistaken for what."""
    data = judged.labelled
    judged.say(f"kNN on {len(data.train)} examples: {data.kind}")
    records, answers = knn_records(data, spec, judged.seed)
    few = [
        f"kNN with k={k}: the bank holds {len(data.train)} examples, all vote"
        for k, _ in spec.votes
        if k > len(data.train)
    ]
    cells = {"confusion_cells": confusion_cells(data.test_labels, answers)}
    forms = notes_on_forms(data) if spec.form == "best" else []
    return Found(records, cells if judged.kind == "encoder" else {}, [*few, *forms], answers)


def knn_records(
    data: LabelledFeatures, spec: KNNSpec, seed: int = 0
) -> tuple[list[Record], Int64[Tensor, " m"]]:
    """Accuracies of every vote, each in the form that is asked for, and the answers.

    Returns:
        The records, and the first vote's predicted class of every test image.
    """
    votes = spec.votes
    if spec.form == "best":
        chosen = choose_transforms(
            data.train,
            data.train_labels,
            votes,
            data.transforms,
            num_classes=data.num_classes,
            seed=seed,
        )
    else:
        chosen = [AS_IS] * len(votes)
    scores: dict[int, Float[Tensor, "m classes"]] = {}
    # One search for all votes that share a transform.
    for transform in dict.fromkeys(chosen):
        places = [place for place, each in enumerate(chosen) if each is transform]
        bank = KNNBank(transform(data.train), data.train_labels, num_classes=data.num_classes)
        most = max(votes[place][0] for place in places)
        similarities, indices = bank.neighbors(transform(data.test), most)
        labels = data.train_labels[indices]
        for place in places:
            k, temperature = votes[place]
            scores[place] = vote(similarities[:, :k], labels[:, :k], temperature, data.num_classes)
    records = []
    for place, (k, temperature) in enumerate(votes):
        parameters: dict[str, Any] = {"k": k, "temperature": temperature}
        if k > len(data.train):
            parameters["k_used"] = len(data.train)
        parameters["transform"] = chosen[place].name
        records += score_records("knn", data, scores[place], parameters)
    return records, scores[0].argmax(dim=1)


def choose_transforms(
    features: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"],
    votes: Sequence[Vote],
    offered: Sequence[Transform],
    *,
    num_classes: int,
    seed: int,
) -> list[Transform]:
    """For each vote, the transform with which a fifth of some training images errs least.

    The others of these images are the bank; `k` is the same share of it as of the whole. Of equal
    transforms the first wins. Test features have no business here.
    """
    fitting, choosing = choice_split(features, labels, limit=CHOICE_LIMIT, seed=seed)
    if not len(choosing):
        return [offered[0]] * len(votes)
    share = len(fitting) / len(features)
    scaled = [(max(1, round(k * share)), temperature) for k, temperature in votes]
    scores: list[list[float]] = []
    for transform in offered:
        bank = KNNBank(transform(features[fitting]), labels[fitting], num_classes=num_classes)
        asked = transform(features[choosing])
        similarities, indices = bank.neighbors(asked, max(k for k, _ in scaled))
        own = labels[fitting][indices]
        scores.append(
            [
                top_accuracy(
                    vote(similarities[:, :k], own[:, :k], temperature, num_classes),
                    labels[choosing],
                    1,
                )
                for k, temperature in scaled
            ]
        )
    return [
        offered[max(range(len(offered)), key=lambda at: scores[at][place])]
        for place in range(len(votes))
    ]


def confusion_cells(
    labels: Int64[Tensor, " m"], predictions: Int64[Tensor, " m"]
) -> Int64[np.ndarray, "cells 3"]:
    """The confusion matrix by the cells that are not 0: never more than there are examples.

    Returns:
        True class, predicted class and count of each cell, in order of the classes.
    """
    pairs = torch.stack((labels, predictions), dim=1)
    cells, counts = torch.unique(pairs, dim=0, return_counts=True)
    return torch.cat((cells, counts[:, None]), dim=1).numpy()
