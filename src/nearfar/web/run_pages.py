"""What the pages of one run, or of several, show beside their curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nearfar.errors import NearfarError
from nearfar.modality import one
from nearfar.outside_text import printable
from nearfar.report.comparison import differing_settings
from nearfar.report.map_section import map_section, modality_of
from nearfar.report.pictures import with_series_drawn
from nearfar.report.run_files import RunFiles, read_run
from nearfar.report.score_tables import further_measures, score_table
from nearfar.report.scores import score_rows
from nearfar.report.sections import summary, title
from nearfar.report.settings import setting_groups, typed_command


def run_facts(path: Path) -> dict[str, Any]:
    """What is known of a run, as far as it has come; of one that cannot be read, why.

    Args:
        path: Its folder.
    """
    try:
        run = read_run(path)
    except NearfarError as error:
        return {"problem": printable(str(error))}
    rows = score_rows(run.records)
    main = [row for row in rows if row.metric == "top1" or row.is_spoken_of]
    further = [row for row in rows if row not in main]
    modality = modality_of(run.config)
    return {
        "problem": None,
        "title": title(run),
        "summary": summary(run),
        "many": modality,
        "score_table": score_table(main),
        "more_scores": score_table(further),
        "more_measures": further_measures(further, one(modality)),
        "judged": bool(run.records),
        "finished": run.finished,
        "has_map": "shown_map" in run.arrays,
        "notes": [str(note) for note in run.arrays.get("notes", [])],
        "start": run.start,
        "config": setting_groups(run.config),
        "environment": setting_groups(
            {key: value for key, value in run.environment.items() if key != "command"}
        ),
        "command": typed_command(run.environment),
    }


def differences(paths: Mapping[str, Path]) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """The settings in which runs differ, and a line for each run that cannot be read.

    Args:
        paths: Folders of the runs, by their names.
    """
    configs: list[Mapping[str, Any]] = []
    problems = []
    for name, path in paths.items():
        try:
            configs.append(read_run(path).config)
        except NearfarError as error:
            configs.append({})
            problems.append(f"{name}: {printable(str(error))}")
    return differing_settings(configs), problems


def map_facts(path: Path) -> dict[str, Any]:
    """What the page of a run's maps shows.

    Args:
        path: Its folder.

    Raises:
        NearfarError: A file of the run is damaged.
    """
    run: RunFiles = read_run(path)
    return {"title": title(run), "anchor": "run", **map_section(run, with_series_drawn(run.arrays))}


def runs_in_words(states: Sequence[str]) -> str:
    """How many runs there are of each state."""
    counted = {state: states.count(state) for state in dict.fromkeys(states)}
    return ", ".join(f"{count:,} {state}" for state, count in counted.items())
