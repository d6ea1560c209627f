"""What is kept of finished runs: docs/comparison_runs.jsonl, a line a run, committed.

Run folders stay on the machine that trained them; with this file any checkout goes on where another
stopped. It is the only source of the page. A record counts where its settings are today's.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nearfar.durable_files import write_durably
from nearfar.errors import NearfarError
from nearfar.evaluation.records import Record
from nearfar.recipes.config_json import recipe_to_json
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder
from tools.many_runs import Job

_DECIDE_NOTHING = {
    "data": ("root", "download", "max_corrupt", "in_memory_mib", "workers"),
    "training": ("threads", "knn_every", "knn_vote", "checkpoint_every", "keep_checkpoints"),
}
"""Settings that say where images lie and what is watched and saved, not what comes out."""
_OF_EVALUATION = ("baselines", "few_labels", "knn", "leave_out", "linear_probe", "seed")
"""Settings of the evaluation that the scores which are kept depend on."""
CAME_LATER = {
    "adapt": {
        "head": "fresh",
        "freeze": None,
        "freeze_batch_norm": False,
        "lora_rank": None,
        "lora_alpha": 16.0,
        "lora_layers": "attention",
    },
    "data.tail_order": "listed",
    "evaluation.knn.form": "best",
    "evaluation.linear_probe": {"balanced": False},
    "method.head": "mlp",
    "training.compile": None,
    "training.keep_epoch": "last",
    "training.optimizer.head_rate": 1.0,
    "training.optimizer.layer_decay": 1.0,
    "training.shard": None,
    "training.tracker": {"name": "none"},
}
"""Settings that came after runs were recorded, by the value at which nothing is changed by them."""


@dataclass(frozen=True)
class Environment:
    """On what a run was trained.

    Attributes:
        started: When, in ISO 8601.
        seconds: Wall time of its training.
        hardware: The machine, the number of threads and the precision, in words.
        python: Version.
        versions: Of the packages.
    """

    started: str
    seconds: float
    hardware: str
    python: str
    versions: dict[str, str]


@dataclass(frozen=True)
class RunRecord:
    """One finished run.

    Attributes:
        experiment: Its name.
        seed: Of the run.
        settings: Fingerprint of all settings that decide what comes out.
        environment: On what it was trained.
        scores: Top-1 accuracies over all test examples, without those of each draw.
        class_counts: Training examples of each class; empty unless it learnt from a long tail.
        class_accuracies: By protocol, each class's share of right predictions, to six digits.
    """

    experiment: str
    seed: int
    settings: str
    environment: Environment
    scores: tuple[Record, ...]
    class_counts: tuple[int, ...] = ()
    class_accuracies: dict[str, tuple[float, ...]] = field(default_factory=dict)


_RECORD = TypeAdapter(RunRecord)


def fingerprint(recipe: Recipe) -> str:
    """Sixteen digits of the SHA-256 of all settings that decide what comes out.

    One that came later counts as absent where it changes nothing, and so does one of value None.
    """
    settings = recipe_to_json(recipe)
    del settings["recipe"]
    for path, unchanged in CAME_LATER.items():
        _leave_out(settings, path.split("."), unchanged)
    for room, names in _DECIDE_NOTHING.items():
        for name in names:
            settings[room].pop(name, None)
    evaluation = settings["evaluation"]
    settings["evaluation"] = {
        name: evaluation[name] for name in _OF_EVALUATION if name in evaluation
    }
    text = json.dumps(_without_none(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def record_of(experiment: str, recipe: Recipe, run: Path) -> RunRecord:
    """The record of a run that is trained and judged.

    Raises:
        NearfarError: A file of the run is missing or damaged, or an earlier version judged it.
    """
    folder = RunFolder(run)
    scores = tuple(
        Record(**{**row, "parameters": _without_values(row["parameters"])})
        for row in folder.read_evaluation()
        if row["metric"] == "top1" and "shots" not in row["parameters"]
    )
    if any(each.protocol == "knn" and "transform" not in each.parameters for each in scores):
        raise NearfarError(
            f"{run} was judged before features were judged in their best form: judge it anew with "
            f"`nearfar evaluate {run}`"
        )
    environment = folder.read_environment()
    arrays = folder.read_evaluation_arrays()
    prefix = "class_accuracy_"
    return RunRecord(
        experiment,
        recipe.seed,
        fingerprint(recipe),
        Environment(**{name: environment[name] for name in Environment.__dataclass_fields__}),
        scores,
        tuple(arrays["class_counts"].tolist()) if "class_counts" in arrays else (),
        {
            name.removeprefix(prefix): tuple(round(value, 6) for value in array.tolist())
            for name, array in arrays.items()
            if name.startswith(prefix)
        },
    )


def record_in(held: Mapping[tuple[str, int], RunRecord], job: Job) -> RunRecord | None:
    """A job's record, if there is one of its very settings."""
    record = held.get((job.experiment, job.recipe.seed))
    if record is None or record.settings != fingerprint(job.recipe):
        return None
    return record


class RecordFile:
    """The file of all records. Making the object touches nothing on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[tuple[str, int], RunRecord]:
        """All records by experiment and seed.

        Raises:
            NearfarError: A line is damaged, or two lines speak of one run, as after a merge.
        """
        found: dict[tuple[str, int], RunRecord] = {}
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        for number, line in enumerate(lines, 1):
            try:
                record = _RECORD.validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"]))
                said = f"{where}: {first['msg']}" if where else first["msg"]
                raise NearfarError(f"{self.path}, line {number}, is damaged: {said}") from error
            key = record.experiment, record.seed
            if found.setdefault(key, record) != record:
                raise NearfarError(
                    f"{self.path}, line {number}, is another record of {key[0]}, seed {key[1]}, "
                    "than a line above: remove one of the two"
                )
        return found

    def finished(self, jobs: Iterable[Job]) -> set[Job]:
        """Those of which there is a record, made with the very settings that they have."""
        held = self.read()
        return {job for job in jobs if record_in(held, job)}

    def keep(self, jobs: Iterable[Job]) -> None:
        """Record jobs that are judged."""
        self.add([record_of(job.experiment, job.recipe, job.folder) for job in jobs])

    def add(self, records: Iterable[RunRecord]) -> None:
        """Write records to the file, each in the place of the one of its run.

        The file is the old or the new one, whole, and its lines are in order of their names.

        Raises:
            NearfarError: The file is damaged, or the disk refuses.
        """
        held = self.read() | {(each.experiment, each.seed): each for each in records}
        lines = [json.dumps(asdict(held[key]), allow_nan=False) + "\n" for key in sorted(held)]
        write_durably(self.path, "".join(lines).encode())


def _leave_out(settings: dict[str, Any], path: list[str], value: Any) -> None:
    """Remove a setting, or all of a room, that has this value."""
    *rooms, name = path
    for room in rooms:
        settings = settings.get(room, {})
    if name in settings and settings[name] == value:
        del settings[name]


def _without_none(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in settings.items()
        if value is not None
    }


def _without_values(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a protocol without the figure of each draw."""
    return {name: value for name, value in parameters.items() if name != "values"}
