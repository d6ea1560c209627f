"""Sections of docs/results.md, made from the committed raw results alone."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tools.markdown import mean_and_sd, table

from papers.measurements import distinct, where
from papers.reproductions.claim import Claim, Verdict
from papers.reproductions.contrast import over
from papers.reproductions.power import MOST_SEEDS, detectable, seeds_for
from papers.reproductions.reproduction import PILOT_SEEDS, Reproduction
from papers.reproductions.results import Results
from papers.reproductions.running import finished_runs, pilot_of, results_of
from papers.reproductions.yardstick import HELD_OUT, Yardstick

HEAD = """\
What a source found, asked again with the power to decide. Everything that decides was
fixed before the first run (arms, seeds, yardstick, the smallest difference of interest),
raw results carry a fingerprint of it, and those of another protocol count for nothing.
The spread was measured beforehand on training images, with seeds that no study uses.
Nothing is looked at before all runs are done, and no seed is added afterwards. Intervals
are Student's t at 95 % for all differences of a study together; runs with the same seed
are compared with each other. A claim *holds* where the whole interval is on its side and
the published size is not above it; it is *smaller than published* where the published
size lies above the interval, *too small to matter* where no size is published and the
interval lies below the smallest difference of interest, *opposite* where the whole
interval is on the other side, and else it *cannot be told*, with the difference that as
many seeds would have shown in four of five studies.
"""


def overview(studies: Sequence[Reproduction], folder: Path) -> str:
    """How every study stands, in a table, and its section below.

    Args:
        studies: In the order of the page.
        folder: Of their raw results and figures, beside the page.
    """
    rows = [
        [f"[{each.title}](#{_anchor(each.title)})", each.source, _state(each, folder)]
        for each in studies
    ]
    listed = table(["question", "source", "what came out"], rows)
    return "\n".join([HEAD, listed, *(section(each, folder) for each in studies)])


def section(study: Reproduction, folder: Path) -> str:
    """One study: question, protocol, and its answer where all runs are done."""
    parts = [
        f"### {study.title}\n",
        f"{study.source}. {study.published}\n",
        f"{study.ours}\n",
        _plan(study, folder),
        f"`python -m papers --only {study.name}` trains what is missing: {len(study.arms)} arms, "
        f"{study.seeds} seeds each, {study.minutes:g} minutes a run on one thread, "
        f"{study.hours:.1f} hours of one core in all.\n",
    ]
    results, total = results_of(study, folder), len(study.arms) * study.seeds
    done = finished_runs(study, folder)
    if done < total:
        return "\n".join([*parts, f"**{done} of {total} runs are done**: no answer yet.\n"])
    rows = results.read()
    parts += [
        f"![{study.title}]({folder.name}/{study.name}.svg)\n",
        _answers(study, rows),
        _arms(study, rows),
        f"[Raw results]({folder.name}/{study.name}.parquet). {_made_on(rows)}\n",
    ]
    return "\n".join(parts)


def spread(study: Reproduction, folder: Path) -> float | None:
    """Deviation of the difference of the pilot's two arms, in points; None before its runs.

    Args:
        study: Which.
        folder: Of raw results.
    """
    pilot: Results = pilot_of(study, folder)
    rows = pilot.read()
    if len(pilot.finished(study.pilot.jobs(Path()))) < len(study.pilot.arms) * len(PILOT_SEEDS):
        return None
    first, second = study.pilot.arms
    contrast = over(first, second, None, {first: first, second: second}, yardstick=HELD_OUT)
    return float(contrast.by_seed(rows).std(ddof=1))


def _plan(study: Reproduction, folder: Path) -> str:
    """What the seeds can show."""
    sd, among = spread(study, folder), len(study.contrasts)
    if sd is None:
        return f"The spread is not measured yet: `python -m papers --only {study.name} --pilot`.\n"
    least = detectable(sd, study.seeds, among)
    first, second = study.pilot.arms
    words = [
        f"**Power**: over {len(PILOT_SEEDS)} pilot seeds the difference between "
        f"`{first}` and `{second}` on held-out training images has a deviation "
        f"of {sd:.2f} points. {study.seeds} seeds then show a difference of {least:.1f} points, "
        f"for {among} difference{'s' if among > 1 else ''} at once."
    ]
    aim = study.contrasts[0].aim
    if aim is not None and least > aim:
        needed = seeds_for(aim, sd, among)
        more = " or more" if needed == MOST_SEEDS else ""
        words.append(f"The {aim:g} of the main question would take {needed}{more}.")
    return " ".join(words) + "\n"


def _state(study: Reproduction, folder: Path) -> str:
    total, done = len(study.arms) * study.seeds, finished_runs(study, folder)
    if done < total:
        return f"{done} of {total} runs"
    rows = results_of(study, folder).read()
    words = Counter(contrast.words for contrast in study.contrasts)
    return "; ".join(
        contrast.words
        + (f" ({_by(contrast)})" if words[contrast.words] > 1 else "")
        + f": **{verdict.outcome}**"
        for contrast, verdict in zip(study.contrasts, _verdicts(study, rows), strict=True)
    )


def _by(claim: Claim) -> str:
    return " and ".join(each.title for each in claim.yardsticks)


def _verdicts(study: Reproduction, rows: pd.DataFrame) -> list[Verdict]:
    return [each.verdict(rows, among=len(study.contrasts)) for each in study.contrasts]


def _answers(study: Reproduction, rows: pd.DataFrame) -> str:
    lines = []
    for contrast, verdict in zip(study.contrasts, _verdicts(study, rows), strict=True):
        low, high = verdict.interval
        outcome = f"**{verdict.outcome}**"
        if verdict.outcome == "cannot be told":
            least = detectable(verdict.sd, study.seeds, len(study.contrasts))
            outcome += f" (detectable: {least:.1f})"
        lines.append(
            [
                contrast.words,
                _by(contrast),
                contrast.claimed,
                f"{verdict.mean:+.2f} ± {verdict.sd:.2f}".replace("-", "−"),
                f"{low:+.2f} to {high:+.2f}".replace("-", "−"),
                outcome,
            ]
        )
    head = ["compared; differences in points", "by", "claimed", "mean ± sd", "interval", "outcome"]
    return table(head, lines)


def _arms(study: Reproduction, rows: pd.DataFrame) -> str:
    """Accuracy of every arm by every yardstick of the study, and by those beside it."""
    yardsticks: list[Yardstick] = []
    decide = [each for contrast in study.contrasts for each in contrast.yardsticks]
    for each in (*decide, *study.beside):
        if each not in yardsticks:
            yardsticks.append(each)
    lines = [[f"`{arm}`", *(_figure(each, rows, arm) for each in yardsticks)] for arm in study.arms]
    return table(["arm, top-1 in %", *(each.title for each in yardsticks)], lines)


def _figure(yardstick: Yardstick, rows: pd.DataFrame, arm: str) -> str:
    """Mean and deviation; nothing of an arm that has no such figure."""
    found = yardstick.scale * yardstick.of(rows, arm)
    return mean_and_sd(found, ".1f" if yardstick.scale > 1 else ".2f") if len(found) else ""


def _made_on(rows: pd.DataFrame) -> str:
    hardware = " and ".join(distinct(rows, "hardware"))
    versions = " and ".join(distinct(rows, "versions"))
    of_run = where(rows, measured_on="test").drop_duplicates(["arm", "seed"])["seconds"]
    return (
        f"{hardware}; {versions}; training took {of_run.median():.0f} s a run (median), while "
        "other programs ran."
    )


def _anchor(title: str) -> str:
    """How the page's reader names a heading."""
    kept = "".join(each for each in title.lower() if each.isalnum() or each in " -")
    return kept.replace(" ", "-")
