"""What would help an encoder that does not beat the data as they are, in one sentence."""

from collections.abc import Sequence

from nearfar.methods.method_spec import MethodSpec
from nearfar.report.run_files import RunFiles
from nearfar.report.scores import Row
from nearfar.report.verdict import main_rows

_RISING = 0.005
"""Gain of the last third of the checks from which on more epochs are worth their time."""


def advice(rows: Sequence[Row], run: RunFiles) -> list[str]:
    """What would help where the encoder is behind raw data, or nowhere ahead of them.

    Args:
        rows: The rows of the run's evaluation.
        run: Its settings and its checks during training.

    Returns:
        One sentence; none where the encoder leads, or nothing was compared.
    """
    compared = [
        row.lead(row.scores["encoder"], row.scores["raw"]).outcome
        for row in main_rows(rows)
        if "raw" in row.scores
    ]
    if not compared or ("behind" not in compared and "ahead" in compared):
        return []
    told = _more_training(run) + _more_knowledge(run)
    if not told:
        return []
    *most, last = told
    joined = f"{', '.join(most)}, or {last}" if most else last
    return [f"What may help: {joined}."]


def _more_training(run: RunFiles) -> list[str]:
    """More epochs, where the checks were still rising at the end or there are none."""
    checks = [line["top1"] for line in run.knn]
    rising = len(checks) < 3 or checks[-1] - checks[2 * len(checks) // 3 - 1] > _RISING
    if not rising:
        return []
    why = "the checks were still rising" if len(checks) >= 3 else "it trained for a short time"
    longer = "--minutes" if run.choices else "--training.epochs"
    return [f"more training by {longer}, for {why}"]


def _more_knowledge(run: RunFiles) -> list[str]:
    """What a network may learn beside these examples."""
    told = []
    method = MethodSpec.known().get(run.config.get("method", {}).get("name"))
    if method is not None and not method.needs_labels:
        told.append("labels by --method supcon")
    shown = run.arrays.get("shown_images")
    if shown is not None and shown.dtype.kind != "U":
        if run.config.get("encoder", {}).get("start") is None:
            told.append("weights learnt elsewhere by --encoder.start")
        told.append("pictures like these without labels, of which there may be many more")
    else:
        told.append("more examples: without labels will do")
    return told
