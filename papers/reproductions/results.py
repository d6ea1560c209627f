"""Raw results of a reproduction, a row a figure: one Parquet file, committed.

Anyone can draw figures and tables again from it without training anything.
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from tools.machine import versions_in
from tools.many_runs import Job

from nearfar.durable_files import write_durably
from nearfar.errors import NearfarError
from nearfar.run_folder.folder import RunFolder
from papers.measurements import where

_KEYS = ["arm", "seed"]
_COLUMNS = [
    *_KEYS,
    "measured_on",
    "epoch",
    "protocol",
    "features",
    "metric",
    "parameters",
    "value",
    "n",
    "class",
    "study",
    "seconds",
    "started",
    "hardware",
    "versions",
]
_LEFT_OUT = ("values", "confusion")
"""Parameters of records that are long and that no figure here reads."""


class Results:
    """The file of one study. Making the object touches nothing on disk.

    Args:
        path: Of the file.
        protocol: Of the study: results that were made under another count for nothing.
    """

    def __init__(self, path: Path, protocol: str) -> None:
        self.path = path
        self._protocol = protocol

    def read(self) -> pd.DataFrame:
        """All rows of this protocol; without rows where nothing has been measured.

        Raises:
            NearfarError: The file is damaged.
        """
        return where(self._read(), study=self._protocol).reset_index(drop=True)

    @property
    def outdated(self) -> int:
        """Runs that were made under another protocol, which count for nothing."""
        return len(_runs(self._read())) - len(_runs(self.read()))

    def finished(self, jobs: Iterable[Job]) -> set[Job]:
        """Those of which there are results: the protocol names the very settings of every arm."""
        held = _runs(self.read())
        return {job for job in jobs if (job.experiment, job.recipe.seed) in held}

    def keep(self, jobs: Iterable[Job]) -> None:
        """Add what judged runs found; what was held of another protocol is dropped.

        Raises:
            NearfarError: A file of a run is missing or damaged, or the disk refuses.
        """
        rows = self.read()
        for job in jobs:
            of_job = (rows["arm"] == job.experiment) & (rows["seed"] == job.recipe.seed)
            new = pd.DataFrame(self._rows_of(job), columns=pd.Index(_COLUMNS))
            rows = _appended(rows.drop(rows.index[of_job]), new)
        self._write(rows)

    def take_over(self, rows: pd.DataFrame, job: Job) -> None:
        """Add what another study holds of a run of the very same settings.

        Args:
            rows: Of that run, in this file's columns.
            job: What the run is called here.
        """
        here = {"arm": job.experiment, "seed": job.recipe.seed, "study": self._protocol}
        self._write(_appended(self.read(), rows.assign(**here)))

    def _write(self, rows: pd.DataFrame) -> None:
        content = io.BytesIO()
        rows = rows.sort_values([*_KEYS, "measured_on", "epoch"], kind="stable")
        rows.to_parquet(content, index=False, compression="zstd")
        write_durably(self.path, content.getvalue())

    def _read(self) -> pd.DataFrame:
        if not self.path.exists():
            return pd.DataFrame(columns=pd.Index(_COLUMNS))
        try:
            rows = pd.read_parquet(self.path)
        except Exception as error:  # pyarrow's are many
            raise NearfarError(f"{self.path} is damaged: {error}") from error
        if list(rows.columns) != _COLUMNS:
            raise NearfarError(f"{self.path} has other columns than raw results have")
        return rows

    def _rows_of(self, job: Job) -> list[dict[str, Any]]:
        folder = RunFolder(job.folder)
        environment = folder.read_environment()
        of_run = {
            "arm": job.experiment,
            "seed": job.recipe.seed,
            "study": self._protocol,
            "seconds": float(environment["seconds"]),
            "started": environment["started"],
            "hardware": environment["hardware"],
            "versions": versions_in(environment),
        }
        epochs = float(job.recipe.training.epochs)
        found = [
            *_checks(folder, job),
            *_bounds(folder, epochs),
            *_records(folder, epochs),
            *_by_class(folder, epochs),
        ]
        return [of_run | row for row in found]


def _appended(rows: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    both = pd.concat([rows, new]) if len(rows) else new
    return both.reset_index(drop=True)


def _runs(rows: pd.DataFrame) -> set[tuple[str, int]]:
    """Arm and seed of every run that rows are of."""
    return set(zip(rows["arm"], rows["seed"], strict=True))


def _checks(folder: RunFolder, job: Job) -> Iterator[dict[str, Any]]:
    """What the kNN checks of the training found."""
    k, temperature = job.recipe.training.knn_vote
    parameters = json.dumps({"k": k, "temperature": temperature})
    for line in folder.read_metrics():
        if line["kind"] != "knn":
            continue
        for metric in ("top1", "top5"):
            yield {
                "measured_on": line["asked"],
                "epoch": float(line["epoch"]),
                "protocol": "knn",
                "features": "encoder",
                "metric": metric,
                "parameters": parameters,
                "value": float(line[metric]),
            }


def _bounds(folder: RunFolder, epochs: float) -> Iterator[dict[str, Any]]:
    """InfoNCE's bound on what two views share, and log N, as logged over the last epoch."""
    logged = [line for line in folder.read_metrics() if "mutual_information_bound" in line]
    if not logged:
        return
    begun = logged[-1]["step"] * (1 - 1 / epochs)
    for metric in ("bound", "ceiling"):
        of_epoch = [line[f"mutual_information_{metric}"] for line in logged if line["step"] > begun]
        yield {
            "measured_on": "training",
            "epoch": epochs,
            "protocol": "mutual_information",
            "features": "embedding",
            "metric": metric,
            "parameters": "{}",
            "value": sum(of_epoch) / len(of_epoch),
            "n": len(of_epoch),
        }


def _records(folder: RunFolder, epochs: float) -> Iterator[dict[str, Any]]:
    """What the evaluation of the last epoch found on test images."""
    for record in folder.read_evaluation():
        if "shots" in record["parameters"]:
            continue
        yield {
            "measured_on": "test",
            "epoch": epochs,
            "parameters": json.dumps(_short(record["parameters"]), sort_keys=True),
            **{name: record[name] for name in ("protocol", "features", "metric", "value", "n")},
        }


def _by_class(folder: RunFolder, epochs: float) -> Iterator[dict[str, Any]]:
    """Accuracies of each class, and how many training examples it has, where there is a tail."""
    arrays = folder.read_evaluation_arrays()
    prefix = "class_accuracy_"
    for name, array in arrays.items():
        if name != "class_counts" and not name.startswith(prefix):
            continue
        for place, value in enumerate(array.tolist()):
            yield {
                "measured_on": "train" if name == "class_counts" else "test",
                "epoch": epochs,
                "protocol": name.removeprefix(prefix),
                "features": "encoder",
                "metric": "count" if name == "class_counts" else "top1 of class",
                "parameters": "{}",
                "value": float(value),
                "class": place,
            }


def _short(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in _LEFT_OUT}
