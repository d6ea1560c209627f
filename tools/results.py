"""Train recipes over several seeds and write the table of their figures to docs/results.md.

python -m tools.results                          every recipe below, seeds 0, 1 and 2
python -m tools.results simclr-digits            one recipe; the other tables stay as they are

What is done is skipped and what was cut goes on, so the command can be given again at any time.
Runs lie in runs/results/.
"""

import statistics
import sys
from pathlib import Path
from typing import Any

from nearfar.cli import main as nearfar
from nearfar.evaluation.evaluation_spec import measure_of
from nearfar.run_folder.folder import RunFolder
from tools.markdown import mean_and_sd, table, with_section

ROOT = Path(__file__).parent.parent
RUNS = ROOT / "runs" / "results"
PAGE = ROOT / "docs" / "results.md"
DIGITS = ("simclr", "moco2", "byol", "supcon", "cross-entropy", "paco", "cpc")
RECIPES = (*(f"{method}-digits" for method in DIGITS), "simclr-fashion")
SEEDS = (0, 1, 2)


def finished_run(recipe: str, seed: int) -> Path:
    """The run folder of one recipe and seed, trained and judged if it was not yet."""
    run = RUNS / f"{recipe}-seed{seed}"
    folder = RunFolder(run)
    if not folder.evaluation.exists():
        cut = folder.checkpoints.is_dir()
        words = (
            ["--resume", str(run)]
            if cut
            else [recipe, "--seed", str(seed), "--out", str(run), "--overwrite"]
        )
        if code := nearfar(["train", *words]):
            sys.exit(code)
    return run


def figures(runs: list[Path]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Records by protocol and feature, one for each run; of accuracies top-1."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for run in runs:
        for record in RunFolder(run).read_evaluation():
            if record["metric"] != "top5":
                title = measure_of(record["protocol"]).alone(record["parameters"])
                by_feature = found.setdefault(title, {})
                by_feature.setdefault(record["features"], []).append(record)
    return found


def cell(records: list[dict[str, Any]]) -> str:
    """Mean ± sd, accuracies in percent, and the form in which all seeds judged the features."""
    if not records:
        return ""
    percent = records[0]["metric"] == "top1"
    values = (100 * each["value"] if percent else each["value"] for each in records)
    forms = {each["parameters"].get("transform") for each in records}
    form = forms.pop() if len(forms) == 1 else "forms differ"
    return mean_and_sd(values, ".1f" if percent else ".3f") + (f" ({form})" if form else "")


def section(recipe: str, runs: list[Path]) -> str:
    """One recipe's section: what was run on what, then the figures."""
    environment = [RunFolder(run).read_environment() for run in runs]
    seconds = [record["seconds"] for record in environment]
    first = environment[0]
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
    tests = RunFolder(runs[0]).read_evaluation()[0]["n"]
    lines = [
        f"`python -m tools.results {recipe}` trains `nearfar train {recipe}` with seeds "
        f"{', '.join(map(str, SEEDS))} and judges the last epoch on {tests} test images.",
        "Top-1 accuracy in %, mean ± sd over the seeds; one-to-fifty-label rows are each a mean "
        "over draws of the labels; in brackets the form in which the features were judged.",
        f"{first['hardware']}; training took {statistics.median(seconds):.0f} s a seed (median).",
        f"Python {first['python']}, {versions}.",
        "",
    ]
    rows = []
    for title, by_feature in figures(runs).items():
        features = ("encoder", "untrained", "raw")
        rows.append([title, *(cell(by_feature.get(name, [])) for name in features)])
    head = ["protocol", "encoder", "untrained", "raw pixels"]
    return "\n".join(lines) + "\n" + table(head, rows)


def main() -> None:
    """Run what is missing and rewrite the sections asked for."""
    recipes = sys.argv[1:] or list(RECIPES)
    for recipe in recipes:
        if recipe not in RECIPES:
            sys.exit(f"no results are kept for {recipe!r}: choose from {', '.join(RECIPES)}")
    for recipe in recipes:
        runs = [finished_run(recipe, seed) for seed in SEEDS]
        PAGE.write_text(with_section(PAGE.read_text(), recipe, section(recipe, runs)))


if __name__ == "__main__":
    main()
