"""Run `nearfar train PATH` on folders and files of many kinds; write the table to docs/own_data.md.

python -m tools.own_data                              every set: about 10 minutes each on two cores
python -m tools.own_data --only digits wine --minutes 3
python -m tools.own_data --write-only                 the table from the records that are there

Nothing but the path, the time and the seed is given, and each encoder is judged once, on the test
part. What is recorded in docs/own_data_runs.jsonl, which is committed, is not run again for the
same minutes and seed. The sets are made of what Debian and PyPI packages hold (sets.py).
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfar.cli import main as nearfar
from nearfar.durable_files import make_folder
from nearfar.errors import NearfarError, require_known
from nearfar.run_folder.folder import RunFolder
from tools.command import run_command
from tools.dot_chart import draw_dots
from tools.markdown import table, with_section
from tools.own_data.sets import SETS, Places
from tools.run_records import add_record, is_recorded, read_records

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "own_data.md"
CHART = ROOT / "docs" / "own_data.svg"
RECORDS = ROOT / "docs" / "own_data_runs.jsonl"


@dataclass(frozen=True)
class Arguments:
    """Run `nearfar train PATH` on folders and files of many kinds; write docs/own_data.md."""

    only: tuple[str, ...] = ()
    """Sets; left out, all of them."""
    minutes: float = 10.0
    """Of each run, judging included."""
    seed: int = 0
    """Of the runs."""
    out: Path = ROOT / "runs" / "own-data"
    """Folder of the sets and of the runs."""
    write_only: bool = False
    """Run nothing: write the table from the records that are there."""
    places: Places = field(default_factory=Places)


def main(words: Sequence[str] | None = None) -> int:
    """Run what is missing and rewrite the table; the exit code."""
    return run_command("tools.own_data", Arguments, compare, words)


def compare(arguments: Arguments) -> int:
    """Run what is asked for and not recorded, then write the table.

    Raises:
        NearfarError: A set cannot be made, or a run failed.
    """
    require_known("set", arguments.only, SETS)
    for name in () if arguments.write_only else arguments.only or SETS:
        key = {"set": name, "minutes": arguments.minutes, "seed": arguments.seed}
        if not is_recorded(RECORDS, key):
            add_record(RECORDS, {**key, **record_of(_run(name, arguments))})
    records = read_records(RECORDS)
    draw(records, CHART)
    PAGE.write_text(with_section(PAGE.read_text(), "own-data", section(records)))
    return 0


def _run(name: str, arguments: Arguments) -> Path:
    """The run folder of a set, made and trained."""
    place = arguments.out / "sets" / name
    shutil.rmtree(place, ignore_errors=True)
    make_folder(place.parent)
    path = SETS[name](place, arguments.places)
    run = arguments.out / f"{name}-seed{arguments.seed}"
    words = ["--minutes", str(arguments.minutes), "--seed", str(arguments.seed), "--out", str(run)]
    if nearfar(["train", str(path), *words, "--overwrite"]):
        raise NearfarError(f"the run on {name} failed")
    return run


def record_of(run: Path) -> dict[str, Any]:
    """What is kept of a run: its length, its data, the figures of every kind of features."""
    folder = RunFolder(run)
    config, environment = folder.read_config(), folder.read_environment()
    chosen = {each["what"]: each["value"] for each in folder.read_choices()}
    scores: dict[str, dict[str, Any]] = {"knn": {}, "few_labels": {}}
    count = 0
    for record in folder.read_evaluation():
        parameters = record["parameters"]
        first = parameters.get("k") == 5 or parameters.get("labels_per_class") == 10
        first = first and parameters.get("shots") is None  # of all classes
        if record["metric"] == "top1" and record["protocol"] in scores and first:
            count = record["n"]
            scores[record["protocol"]][record["features"]] = {
                "top1": record["value"],
                "sd": record["sd"],
                "form": parameters.get("transform", ""),
            }
    return {
        "source": config["data"]["name"],
        "views": chosen.get("views", ""),
        "epochs": config["training"]["epochs"],
        "seconds": round(environment["seconds"]),
        "hardware": environment["hardware"],
        "test": count,
        "scores": scores,
    }


def draw(records: Sequence[dict[str, Any]], path: Path) -> None:
    """The chart: a row for each set, encoder, raw data and untrained network side by side."""
    kinds = {"encoder": "encoder", "raw": "raw data", "untrained": "untrained network"}
    panels: dict[str, dict[str, dict[str, list[float]]]] = {}
    for title, protocol in (("kNN", "knn"), ("10 labels a class", "few_labels")):
        panel = panels.setdefault(title, {})
        for record in _in_order(records):
            for kind, score in record["scores"][protocol].items():
                values = panel.setdefault(record["set"], {}).setdefault(kinds[kind], [])
                values.append(100 * score["top1"])
    draw_dots(panels, path)


def section(records: Sequence[dict[str, Any]]) -> str:
    """The table: a row for each run, encoder beside raw data and the untrained network."""
    head = [
        *("set", "epochs", "training", "kNN", "raw data", "untrained"),
        *("10 labels", "raw data", "untrained", "ahead of raw data"),
    ]
    rows = []
    for record in _in_order(records):
        knn, few = record["scores"]["knn"], record["scores"]["few_labels"]
        ahead = [
            name
            for name, scores in (("kNN", knn), ("10 labels", few))
            if scores and scores["encoder"]["top1"] > scores["raw"]["top1"]
        ]
        cells = [
            _cell(scores.get(kind))
            for scores in (knn, few)
            for kind in ("encoder", "raw", "untrained")
        ]
        length = f"{record['seconds'] / 60:.1f} min"
        name = f"`{record['set']}`, seed {record['seed']}"
        rows.append([name, str(record["epochs"]), length, *cells, " and ".join(ahead) or "neither"])
    hardware = sorted({record["hardware"] for record in records})
    chart = f"![Encoder, raw data and untrained network on every set]({CHART.name})\n"
    return f"{chart}\n{table(head, rows)}\nOn {'; '.join(hardware)}.\n"


def _in_order(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    order = {name: at for at, name in enumerate(SETS)}
    return sorted(records, key=lambda each: (order[each["set"]], each["seed"]))


def _cell(score: dict[str, Any] | None) -> str:
    """An accuracy in percent with its spread over draws, and the form of the features."""
    if score is None:
        return ""
    spread = "" if score["sd"] is None else f" ± {100 * score['sd']:.1f}"
    return f"{100 * score['top1']:.1f}{spread} ({score['form']})"


if __name__ == "__main__":
    sys.exit(main())
