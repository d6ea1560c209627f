"""What an estimate of mutual information found, and how to keep it in a file."""

import json
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from nearfar.errors import NearfarError, unknown_name
from nearfar.information.specs import CriticSpec
from nearfar.run_folder.manifest import read_beside_manifest, write_beside_manifest

Nats = Annotated[float, BeforeValidator(lambda value: nan if value is None else value)]
"""A number; one that is not finite is null in the file, for which JSON has no other word."""


@dataclass(frozen=True)
class BoundEstimate:
    """What one bound says, all in nats.

    Attributes:
        bound: Its name.
        title: Its name as papers write it.
        value: Mean over the batches of the test part.
        interval: Of 95 % (Student's t) for that mean, over batches like those, of this critic.
        sd: Standard deviation between the batches.
        batches: Number of batches of the test part.
        is_lower_bound: On average no more than the truth, whatever the critic.
        limited_by_batch: Cannot exceed log N.
        steps: Steps of training.
        best_step: The step that the critic is from.
        training_value: The same mean over as many batches of the training part.
        effective_samples: How many of the test samples the mean of exponentials rests on; None
            where the bound has none.
        curve: `(step, value on the validation part)` of every look.
        warnings: Why not to trust it, a sentence each.
    """

    bound: str
    title: str
    value: Nats
    interval: tuple[Nats, Nats]
    sd: Nats
    batches: int
    is_lower_bound: bool
    limited_by_batch: bool
    steps: int
    best_step: int
    training_value: Nats
    effective_samples: Nats | None
    curve: tuple[tuple[int, Nats], ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class PartSizes:
    """Samples of each part; no sample is in two."""

    training: int
    validation: int
    test: int


@dataclass(frozen=True)
class EstimationSettings:
    """Everything that decides an estimate besides the samples."""

    batch_size: int
    max_steps: int
    learning_rate: float
    seed: int
    critic: CriticSpec
    device: str


@dataclass(frozen=True)
class MutualInformation:
    """Estimates of the mutual information of x and z, in nats.

    `result["info_nce"]` is the estimate of that bound.

    Attributes:
        names: What x and z are called.
        estimates: One for each bound.
        ceiling: log N, which InfoNCE cannot exceed.
        ksg: By nearest neighbours, from all parts; None where the dimension is too high for it.
        label_entropy: H(Z) where z is a label, which nothing can exceed; else None.
        features: Columns of x.
        other_features: Columns of z; None where z is a label.
        classes: Number of labels; None where z is none.
        samples: Sizes of the parts.
        warnings: What holds for all estimates, a sentence each.
        settings: What decided them besides the samples.
        versions: Of what computed them.
        seconds: That it took.
        command: As typed, where it was.
    """

    names: tuple[str, str]
    estimates: tuple[BoundEstimate, ...]
    ceiling: float
    ksg: Nats | None
    label_entropy: float | None
    features: int
    other_features: int | None
    classes: int | None
    samples: PartSizes
    warnings: tuple[str, ...]
    settings: EstimationSettings
    versions: dict[str, str]
    seconds: float
    command: str | None = None

    def __getitem__(self, bound: str) -> BoundEstimate:
        """The estimate of a bound."""
        for estimate in self.estimates:
            if estimate.bound == bound:
                return estimate
        raise unknown_name("bound", bound, [estimate.bound for estimate in self.estimates])

    def as_json(self) -> dict[str, Any]:
        """Nested dictionaries and lists, as the file holds them."""
        return json.loads(_ADAPTER.dump_json(self))

    def save(self, path: Path) -> None:
        """Write a JSON file, whole or not at all, and name it in the manifest beside it."""
        content = _ADAPTER.dump_json(self, indent=2) + b"\n"
        write_beside_manifest(path.parent, {path.name: content})


def read_mutual_information(path: Path) -> MutualInformation:
    """What `MutualInformation.save` wrote.

    Raises:
        NearfarError: There is none, it is damaged, or not as the manifest beside it says.
    """
    try:
        return _ADAPTER.validate_json(read_beside_manifest(path.parent, path.name))
    except FileNotFoundError as error:
        raise NearfarError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise NearfarError(
            f"{path} is damaged ({place}: {first['msg']}): estimate anew with `nearfar mi`"
        ) from error


_ADAPTER = TypeAdapter(MutualInformation)
