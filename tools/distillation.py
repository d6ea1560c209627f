"""Teach small students by a larger run, on digits; write the table to docs/distillation.md.

python -m tools.distillation                  trains what is not recorded, three seeds of each
python -m tools.distillation --write-only     the table from the records that are there

Figures of finished runs stand in docs/distillation_runs.jsonl, which is committed, and are not made
again. After a kill the same command goes on. Ten minutes of one core.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nearfar.encoders.specs import SmallResNetSpec
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.methods.distill_spec import DistillSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.recipes.names import recipe_named
from nearfar.recipes.recipe import Recipe
from nearfar.recipes.run import resume_run, run_recipe
from nearfar.run_folder.folder import RunFolder
from tools.command import run_command
from tools.dot_chart import draw_dots
from tools.machine import processor, versions
from tools.markdown import mean_and_sd, table, with_section
from tools.run_records import add_record, is_recorded, read_records

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "distillation.md"
RECORDS = ROOT / "docs" / "distillation_runs.jsonl"
CHART = ROOT / "docs" / "distillation.svg"
TEACHER_WIDTH, STUDENT_WIDTH = 32, 4
TEACHER_EPOCHS, STUDENT_EPOCHS = 40, 30
PROTOCOLS = ("knn", "few_labels")
JUDGED = EvaluationSpec.by(
    KNNSpec(votes=((20, 0.07),)),
    FewLabelsSpec(labels_per_class=(1, 10)),
    leave_out=tuple(name for name in ProtocolSpec.known() if name not in PROTOCOLS),
)
ASKED = {
    "kNN, k = 20": ("knn", {"k": 20}),
    "1 label a class": ("few_labels", {"labels_per_class": 1}),
    "10 labels a class": ("few_labels", {"labels_per_class": 10}),
}
"""Columns of the table: a protocol, and what tells its record from others."""


@dataclass(frozen=True)
class Arguments:
    """Teach small students by a larger run, on digits; write the table to docs/distillation.md."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Of teacher and students; each seed's students learn from its teacher."""
    out: Path = ROOT / "runs" / "distillation"
    """Folder of the runs."""
    write_only: bool = False
    """Train nothing: write the table from the records that are there."""


def main(words: Sequence[str] | None = None) -> int:
    """Train what is not recorded and rewrite the table; the exit code."""
    return run_command("tools.distillation", Arguments, compare, words)


def compare(arguments: Arguments) -> None:
    """Train what is asked for and not recorded, then write the table."""
    for seed in () if arguments.write_only else arguments.seeds:
        for name, recipe in recipes(seed, arguments.out):
            key = {"run": name, "seed": seed}
            if not is_recorded(RECORDS, key):
                _train_teacher_of(recipe, seed, arguments.out)
                add_record(RECORDS, {**key, **record_of(_finished(recipe, arguments.out))})
    records = read_records(RECORDS)
    draw(records, CHART)
    PAGE.write_text(with_section(PAGE.read_text(), "distillation", section(records)))


def recipes(seed: int, out: Path) -> Iterator[tuple[str, Recipe]]:
    """What is trained with a seed: the teacher, and the student by each method."""
    simclr = recipe_named("simclr-digits").method
    by_queue = DistillSpec(teacher=str(_place("teacher", seed, out)), queue_size=1024)
    yield "teacher", _recipe("teacher", seed, simclr, TEACHER_WIDTH, TEACHER_EPOCHS)
    students: Mapping[str, MethodSpec] = {
        "alone": simclr,
        "queue": by_queue,
        "regression": replace(by_queue, objective="regression"),
    }
    for name, method in students.items():
        yield name, _recipe(name, seed, method, STUDENT_WIDTH, STUDENT_EPOCHS)


def _recipe(name: str, seed: int, method: MethodSpec, width: int, epochs: int) -> Recipe:
    """`simclr-digits` of another method, width and length, on one thread."""
    recipe = recipe_named("simclr-digits")
    training = replace(recipe.training, epochs=epochs, threads=1, knn_every=0)
    return replace(
        recipe,
        recipe=f"distillation-{name}",
        seed=seed,
        training=training,
        evaluation=JUDGED,
        method=method,
        encoder=SmallResNetSpec(width=width),
    )


def _place(name: str, seed: int, out: Path) -> Path:
    return out / f"{name}-seed{seed}"


def _train_teacher_of(recipe: Recipe, seed: int, out: Path) -> None:
    """A student needs the teacher's run, which may be recorded and gone."""
    if isinstance(recipe.method, DistillSpec):
        _finished(dict(recipes(seed, out))["teacher"], out)


def _finished(recipe: Recipe, out: Path) -> RunFolder:
    """A run that is trained and judged, now if it was not yet."""
    folder = RunFolder(_place(recipe.recipe.removeprefix("distillation-"), recipe.seed, out))
    if not folder.evaluation.exists():
        if folder.checkpoints.is_dir():
            resume_run(folder.path)
        else:
            run_recipe(recipe, folder.path, overwrite=True)
    return folder


def record_of(folder: RunFolder) -> dict[str, Any]:
    """What is kept of a run: the figures of each kind of features, and on what it was trained."""
    scores: dict[str, dict[str, float]] = {}
    for each in folder.read_evaluation():
        for column, (protocol, told) in ASKED.items():
            same = (each["protocol"], each["metric"]) == (protocol, "top1")
            if same and told.items() <= each["parameters"].items():
                scores.setdefault(each["features"], {})[column] = each["value"]
    environment = folder.read_environment()
    return {
        "epochs": folder.read_config()["training"]["epochs"],
        "seconds": round(environment["seconds"]),
        "hardware": f"{processor()}, one thread",
        "versions": versions("torch"),
        "scores": scores,
    }


ROWS = {
    f"the teacher: SimCLR, width {TEACHER_WIDTH}": ("teacher", "encoder"),
    f"student, width {STUDENT_WIDTH}: SimCLR alone": ("alone", "encoder"),
    f"student, width {STUDENT_WIDTH}: taught, `queue`": ("queue", "encoder"),
    f"student, width {STUDENT_WIDTH}: taught, `regression`": ("regression", "encoder"),
    f"student, width {STUDENT_WIDTH}: untrained": ("alone", "untrained"),
    "raw pixels": ("alone", "raw"),
}
"""Rows of the table: a run, and which of its features."""


def scores_of(records: Sequence[Mapping[str, Any]], title: str, column: str) -> list[float]:
    """Figures in per cent, of every seed, of one row and column of the table."""
    run, features = ROWS[title]
    return [100 * each["scores"][features][column] for each in records if each["run"] == run]


def draw(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """The chart: a panel for each column of the table."""
    panels = {
        column: {
            title.replace("`", ""): {"top-1": scores_of(records, title, column)} for title in ROWS
        }
        for column in ASKED
    }
    draw_dots(panels, path)


def section(records: Sequence[Mapping[str, Any]]) -> str:
    """The table of all runs' figures, and under what they were made."""
    rows, seeds = [], sorted({each["seed"] for each in records})
    for title in ROWS:
        cells = [mean_and_sd(scores_of(records, title, column), ".1f") for column in ASKED]
        rows.append([title, *cells])
    made_on = sorted({f"{each['versions']}; {each['hardware']}" for each in records})
    said = (
        f"Top-1 accuracy in % on the 500 test digits after the last epoch, mean ± standard "
        f"deviation over\nseeds {', '.join(map(str, seeds))}. {' and '.join(made_on)}.\n\n"
    )
    chart = f"![Accuracy of teacher and students]({CHART.name})\n\n"
    return said + chart + table(["features", *ASKED], rows)


if __name__ == "__main__":
    sys.exit(main())
