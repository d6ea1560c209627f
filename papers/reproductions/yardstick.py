"""By which figure the arms of a reproduction are compared."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from nearfar.evaluation.accuracy import FEW_BELOW, MANY_ABOVE
from papers.measurements import groups, values, where

Shots = Literal["many", "medium", "few"]
"""Classes of more than 100 training examples, of 20 to 100, and of fewer, as sources have them."""


@dataclass(frozen=True)
class Yardstick:
    """One figure of every run.

    Attributes:
        title: In a table's head.
        measured_on: Test images after the last epoch, or the check on held-out training images.
        protocol: Name of its records.
        parameters: By which records of one protocol differ.
        epoch: Of the check; None stands for the last.
        features: What is judged.
        shots: The mean over classes of such a size, of runs on a long tail; None for all examples.
        metric: top1, top5, or the name of what is logged in nats.
    """

    title: str
    measured_on: str = "test"
    protocol: str = "knn"
    parameters: dict[str, Any] = field(default_factory=dict)
    epoch: int | None = None
    features: str = "encoder"
    shots: Shots | None = None
    metric: str = "top1"

    @property
    def scale(self) -> float:
        """Shares are told in points, nats as they are."""
        return 100.0 if self.metric.startswith("top") else 1.0

    @property
    def fixed(self) -> dict[str, Any]:
        """What must not change once runs exist, as JSON; top-1 of all goes without saying."""
        settings = {
            "measured_on": self.measured_on,
            "protocol": self.protocol,
            "parameters": self.parameters,
            "epoch": self.epoch,
            "features": self.features,
        }
        if self.metric != "top1":
            settings["metric"] = self.metric
        return settings if self.shots is None else {**settings, "shots": self.shots}

    def of(self, results: pd.DataFrame, arm: str) -> pd.Series:
        """The arm's figure, a share 0 to 1 or nats, by seed.

        Args:
            results: Raw results, a row a figure.
            arm: Its name.
        """
        if self.shots is not None:
            return self._of_classes(where(results, arm=arm), self.shots)
        rows = where(
            results,
            arm=arm,
            measured_on=self.measured_on,
            protocol=self.protocol,
            features=self.features,
            metric=self.metric,
        )
        fits = [_fits(text, self.parameters) for text in rows["parameters"]]
        rows = rows.assign(fits=fits)
        rows = where(rows, fits=True)
        if len(rows):
            rows = where(rows, epoch=rows["epoch"].max() if self.epoch is None else self.epoch)
        return pd.Series(values(rows, "value"), index=values(rows, "seed"))

    def _of_classes(self, results: pd.DataFrame, shots: Shots) -> pd.Series:
        """The mean accuracy of the classes of a size, by seed."""
        found = {}
        accuracies = where(results, metric="top1 of class", protocol=self.protocol)
        for seed, rows in groups(accuracies, "seed"):
            counts = where(results, metric="count", seed=seed).set_index("class")["value"]
            few, many = counts < FEW_BELOW, counts > MANY_ABOVE
            chosen = {"few": few, "many": many, "medium": ~few & ~many}[shots]
            found[seed] = rows.set_index("class")["value"][chosen].mean()
        return pd.Series(found, dtype=float)


def _fits(text: str, wanted: dict[str, Any]) -> bool:
    held = json.loads(text)
    return all(held.get(name) == value for name, value in wanted.items())


SOURCES_KNN = Yardstick("kNN, k=200, T=0.5", parameters={"k": 200, "temperature": 0.5})
"""The vote that the first source judges by."""
OUR_KNN = Yardstick("kNN, k=20, T=0.07", parameters={"k": 20, "temperature": 0.07})
HELD_OUT = Yardstick("kNN of held-out training images", measured_on="held out")
"""Last check of the training, with the vote that the recipe has it vote by."""
PROBE = Yardstick("linear probe", protocol="linear_probe")
"""On all labels, which the second and the fourth source judge by."""
PROBE_TOP5 = Yardstick("linear probe, top-5", protocol="linear_probe", metric="top5")
BOUND = Yardstick(
    "InfoNCE bound, nats",
    measured_on="training",
    protocol="mutual_information",
    features="embedding",
    metric="bound",
)
"""Mean over the last epoch, of views that are drawn anew, by the critic that was trained."""
