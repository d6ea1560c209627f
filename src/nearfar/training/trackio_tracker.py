"""Runs in trackio."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from nearfar.training.tracker import Begun, TrackedRun
from nearfar.training.tracker_specs import TrackioSpec


class TrackioTracker:
    """A run of trackio: its name ends in the run's own id, so that a resumed run goes on there."""

    def __init__(self, spec: TrackioSpec) -> None:
        self._spec = spec
        self._begun = False
        self._name = ""

    def begin(self, run: TrackedRun) -> Begun:
        """Begin or go on, in the database of this machine."""
        trackio = import_module("trackio")
        storage = import_module("trackio.sqlite_storage").SQLiteStorage

        project, self._name = self._spec.project, f"{run.name}-{run.id[:8]}"
        trackio.init(
            project=project,
            name=self._name,
            config=dict(run.config),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        self._begun = True
        last = storage.get_max_step_for_run(project, self._name)
        return Begun(f"run {self._name}: trackio show --project {project}", last or 0)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Values of one step."""
        trackio = import_module("trackio")

        trackio.log(dict(values), step=step)

    def files(self, paths: Sequence[Path]) -> None:
        """Artefacts of the run, each under its name."""
        trackio = import_module("trackio")

        for path in paths:
            trackio.log_artifact(path, name=f"{self._name}-{path.stem}", type="run")

    def end(self, *, failed: bool) -> None:  # noqa: ARG002  trackio keeps no outcome
        """Hand over all that is left."""
        trackio = import_module("trackio")

        if self._begun:
            trackio.finish()
