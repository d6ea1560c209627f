"""Protocols that train on: fine-tuning, and the linear probe by SGD. Imports no torch."""

from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from nearfar.errors import SettingError
from nearfar.evaluation.measures import Curve, FineTuningMeasure, Measure
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.spec import Count

_Rate = Annotated[float, Gt(0), Le(1000)]

_Decay = Annotated[float, Ge(0), Le(1000)]


class FineTuningSpec(ProtocolSpec):
    """The encoder trained on with labels, beside the same network from its first weights."""

    target = "nearfar.evaluation.fine_tuning:judge"
    name = "fine_tuning"
    judges = ("encoder", "untrained")
    needs_labels = True
    by_default = False
    measures = (
        FineTuningMeasure(
            name="fine_tuning",
            words="Fine-tuning",
            parameters={"labels": str, "labelled": int, "frozen": str},
            optional={"layer_decay": float, "head_rate": float},
            place=3,
            curve=Curve("labelled", "Fine-tuned: accuracy by number of labels", "labels"),
        ),
    )

    labels: tuple[str, ...] = ("1%", "10%", "100%")
    """Labels to learn from: a share of all, such as 10%, or a number a class, such as 5."""
    draws: Annotated[int, Ge(1), Le(1000)] = 3
    """Random draws of those labels; 2 or more give a spread."""
    freeze: Literal["backbone"] | Annotated[int, Ge(1)] | None = None
    """What is not trained: the backbone, or its first n stages; left out, all is."""
    augment: bool = True
    """Learn from random crops, flips and rotations, the run's; off, from examples as they are."""
    learning_rates: tuple[_Rate, ...] = (0.01, 0.03, 0.1)
    """Highest rates of SGD that are tried on a part of the training data."""
    weight_decays: tuple[_Decay, ...] = (1e-4,)
    """Decays of weights that are tried there with the best rate."""
    layer_decay: Annotated[float, Gt(0), Le(1)] = field(default=1.0, kw_only=True)
    """Rate of each of the encoder's layers, in those of the layer above it."""
    head_rate: _Rate = field(default=1.0, kw_only=True)
    """Rate of the classifier, in learning rates."""
    epochs: Count = 30
    """Passes over the labelled examples."""
    least_steps: Count = 100
    """Steps at least, where these passes have fewer."""
    batch_size: Annotated[int, Ge(2)] = 64
    """Labelled examples in a step."""

    def check(self) -> None:
        """There is something to learn from and to try."""
        for name in ("labels", "learning_rates", "weight_decays"):
            if not getattr(self, name):
                raise SettingError(f"{self.room}{name} is empty: give at least one")
        for asked in self.labels:
            of_labels(asked)
        if self.freeze == "backbone" and self.layer_decay != 1:
            raise SettingError(
                f"{self.room}layer_decay is {self.layer_decay:g}: with the backbone frozen it "
                "would change nothing: leave one of the two out"
            )


class SGDProbeSpec(ProtocolSpec):
    """A linear classifier by SGD on views, through the frozen encoder, as papers have it."""

    target = "nearfar.evaluation.sgd_probe:judge"
    name = "sgd_probe"
    judges = ("encoder", "untrained")
    needs_labels = True
    by_default = False
    measures = (
        Measure(
            name="sgd_probe",
            words="Linear probe by SGD, augmented",
            short="linear probe by SGD",
            heading="all labels, linear probe by SGD on augmented images",
            judge="a linear probe by SGD on augmented images",
        ),
    )

    epochs: Count = 30
    """Passes over the training part; papers take 90 or 100."""
    batch_size: Annotated[int, Ge(2)] = 256
    """Examples in a step."""
    learning_rates: tuple[_Rate, ...] = (0.1, 1.0, 10.0)
    """Rates, for a batch of 256, that are tried on a part of the training data."""
    weight_decay: _Decay = 0.0
    """Decay of the weights."""
    augment: bool = True
    """Learn from random crops, flips and rotations, the run's; off, from examples as they are."""

    def check(self) -> None:
        """There is a rate."""
        if not self.learning_rates:
            raise SettingError(f"{self.room}learning_rates is empty: give at least one")


def of_labels(asked: str) -> tuple[float | None, int | None]:
    """A share of all labels, 0 to 1, or a number of labels a class.

    Args:
        asked: Such as "10%" or "5".

    Raises:
        SettingError: It is neither.
    """
    number = asked.removesuffix("%").strip()
    try:
        if asked.strip().endswith("%"):
            share = float(number) / 100
            if 0 < share <= 1:
                return share, None
        elif int(number) > 0:
            return None, int(number)
    except ValueError:
        pass
    raise SettingError(
        f"evaluation.fine_tuning.labels has {asked!r}: give a share of all labels, above 0% up to "
        "100%, or a number a class, such as 5"
    )
