"""Runs in MLflow."""

import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from nearfar.training.tracker import Begun, TrackedRun
from nearfar.training.tracker_specs import MLflowSpec

_TAG = "nearfar.run"
_LONGEST = 6000
"""Characters of a parameter that every store of MLflow takes."""


class MLflowTracker:
    """A run of MLflow: a tag holds the run's own id, by which a resumed run is found again."""

    def __init__(self, spec: MLflowSpec) -> None:
        self._spec = spec
        self._client: Any = None
        self._run_id = ""

    def begin(self, run: TrackedRun) -> Begun:
        """Begin or go on, in the experiment of the settings, which is made where it is missing."""
        client = import_module("mlflow").MlflowClient(tracking_uri=self._spec.uri)
        self._client = client
        found = client.get_experiment_by_name(self._spec.experiment)
        experiment = (
            found.experiment_id if found else client.create_experiment(self._spec.experiment)
        )
        earlier = client.search_runs([experiment], filter_string=f"tags.`{_TAG}` = '{run.id}'")
        where = f"run {run.name} of {self._spec.experiment} in {client.tracking_uri}"
        if earlier:
            self._run_id = earlier[0].info.run_id
            client.update_run(self._run_id, status="RUNNING")
            history = client.get_metric_history(self._run_id, "train/loss")
            return Begun(where, max((each.step for each in history), default=0))
        tags = {_TAG: run.id}
        self._run_id = client.create_run(experiment, run_name=run.name, tags=tags).info.run_id
        param = import_module("mlflow.entities").Param
        settings = [param(name, str(value)[:_LONGEST]) for name, value in run.config.items()]
        for first in range(0, len(settings), 100):
            client.log_batch(self._run_id, params=settings[first : first + 100])
        return Begun(where)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Values of one step."""
        metric = import_module("mlflow.entities").Metric
        now = int(time.time() * 1000)
        metrics = [metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run_id, metrics=metrics)

    def files(self, paths: Sequence[Path]) -> None:
        """Artefacts of the run, each under its name."""
        for path in paths:
            self._client.log_artifact(self._run_id, str(path))

    def end(self, *, failed: bool) -> None:
        """Say how it ended."""
        if self._run_id:
            self._client.set_terminated(self._run_id, status="FAILED" if failed else "FINISHED")
