"""What a run folder holds, read once; what the run has not come to yet is empty."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from nearfar.errors import NearfarError
from nearfar.evaluation.evaluation_spec import measure_of
from nearfar.information.result import MutualInformation, read_mutual_information
from nearfar.run_folder.folder import RunFolder
from nearfar.run_folder.records import Config, Environment, Evaluation, Start, check, check_line
from nearfar.training.config_format import read_config


@dataclass(frozen=True)
class RunFiles:
    """The files of one run that the report shows.

    Attributes:
        path: The run folder.
        config: Nested settings of the run.
        environment: Versions, hardware, command and times; empty before training.
        steps: Records of single training steps, oldest first.
        knn: Records of the kNN checks during training, oldest first.
        collapses: Records that say that the run collapsed, or has recovered, oldest first.
        records: Flat records of the evaluation; empty where it has not run.
        arrays: Arrays of the evaluation by name; empty where it has not run.
        finished: Whether training came to its end: it left an encoder, or one was judged.
        information: What `nearfar mi` found; None where it has not run.
        choices: What `nearfar train PATH` chose for the data, and why.
        start: What the encoder began with and how it fitted, a sentence each; empty where it began
            with random weights.
    """

    path: Path
    config: dict[str, Any]
    environment: dict[str, Any]
    steps: list[dict[str, Any]]
    knn: list[dict[str, Any]]
    records: list[dict[str, Any]]
    arrays: dict[str, np.ndarray]
    finished: bool
    information: MutualInformation | None = None
    collapses: tuple[dict[str, Any], ...] = ()
    choices: tuple[dict[str, str], ...] = ()
    start: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.resolve().name

    @property
    def judged_on(self) -> str | None:
        """Fingerprint of the data that the encoder was judged on; None where none was kept."""
        return str(self.arrays["judged_on"]) if "judged_on" in self.arrays else None

    @property
    def left_out(self) -> frozenset[str]:
        """What of the evaluation was left out, by the settings that it keeps."""
        if "evaluation_settings" not in self.arrays:
            return frozenset()
        return frozenset(json.loads(str(self.arrays["evaluation_settings"]))["leave_out"])

    @property
    def is_run(self) -> bool:
        """Whether an encoder was, or is to be, trained there."""
        return bool(self.config)


def knn_title(runs: Iterable[RunFiles], many: str) -> str:
    """What the kNN checks during training were made on, as the title of their chart.

    Args:
        runs: Whose checks are shown together.
        many: What their examples are, in the plural.
    """
    # A check that does not say so is of a version that held nothing out.
    asked = {run.knn[-1].get("asked", "trained on") for run in runs if run.knn}
    if asked == {"held out"}:
        return f"kNN on held-out training {many}"
    if "held out" not in asked:
        return f"kNN on training {many} that were trained on"
    return f"kNN on training {many}, held out in some runs and trained on in others"


def read_run(path: Path) -> RunFiles:
    """Reads a run folder as far as the run has come, or a folder of mutual information alone.

    Args:
        path: The folder.

    Raises:
        NearfarError: The folder is no run folder and holds no mutual information, or a file in it
            is damaged.
    """
    folder = RunFolder(path)
    information = None
    if folder.mutual_information.is_file():
        information = read_mutual_information(folder.mutual_information)
        if not folder.config.is_file():
            return RunFiles(path, {}, {}, [], [], [], {}, True, information)
    folder = RunFolder.open(path)
    metrics = folder.read_metrics() if folder.metrics.is_file() else []
    config = read_config(folder)
    environment = folder.read_environment() if folder.environment.is_file() else {}
    records = folder.read_evaluation() if folder.evaluation.is_file() else []
    check(Config, config, folder.config)
    check(Environment, environment, folder.environment)
    check(Evaluation, records, folder.evaluation)
    for record in records:
        _check_identity(record, folder.evaluation)
    for line in metrics:
        check_line(line, folder.metrics)
    return RunFiles(
        path=path,
        config=config,
        environment=environment,
        steps=[line for line in metrics if line.get("kind") == "step"],
        knn=[line for line in metrics if line.get("kind") == "knn"],
        records=records,
        arrays=folder.read_evaluation_arrays() if folder.evaluation_arrays.is_file() else {},
        finished=folder.encoder_weights.is_file() or folder.evaluation.is_file(),
        information=information,
        collapses=tuple(line for line in metrics if line.get("kind") in ("collapsed", "recovered")),
        choices=tuple(folder.read_choices()) if folder.choices.is_file() else (),
        start=_start(folder),
    )


def _start(folder: RunFolder) -> tuple[str, ...]:
    """What the encoder began with, as the page says it."""
    told: list[str] = []
    for tower, first in (("first", ""), ("second", "the second one: ")):
        start = folder.read_start(tower)
        if start:
            check(Start, start, folder.start_of(tower))
            told += [f"{first}{start['title']}", *start.get("lines", [])]
    return tuple(told)


def _check_identity(record: dict[str, Any], path: Path) -> None:
    """Refuse a record that cannot be told from others: a parameter is missing or of another type.

    Raises:
        NearfarError: Naming the parameter.
    """
    given = record.get("parameters") or {}
    measure = measure_of(record["protocol"])
    held = {name: kind for name, kind in measure.optional.items() if name in given}
    for name, kind in {**measure.parameters, **held}.items():
        value = given.get(name)
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or (isinstance(value, float) and not isfinite(value)):
            raise NearfarError(f"{path} is damaged: {record['protocol']}: its {name} is {value!r}")
