"""Check what every method can do; write the table to docs/method_properties.md.

python -m tools.methods_table     rewrites the table between its two marks
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from cases.methods import CASES, LEARNS, sized
from torch import Tensor, nn

from nearfar.data.packaged import load_digits
from nearfar.data.source import Part
from nearfar.data.specs import DigitsSpec
from nearfar.errors import SettingError
from nearfar.evaluation.knn import KNNBank
from nearfar.recipes.assembly import Assembly, assemble
from nearfar.recipes.digits import simclr_digits
from nearfar.run_folder.folder import RunFolder
from nearfar.testing import MethodCase
from nearfar.testing.methods import (
    EXAMPLES,
    is_the_same_in_parts,
    is_the_same_on_ranks,
    keeps_its_word_on_labels,
    outcomes_on_ranks,
    takes_steps,
)
from nearfar.testing.resuming import resumes_to_the_same_bits
from nearfar.training.loop import train
from nearfar.training.schedules import CosineSpec
from tools.machine import versions
from tools.markdown import with_section

PAGE = Path(__file__).parent.parent / "docs" / "method_properties.md"
YES = "✓"
COLUMNS = ("2 ranks", "in parts", "resume", *EXAMPLES, "labels", LEARNS)
LEARNING = {
    "projection_hidden": 128,
    "projection_dim": 64,
    "prediction_hidden": 128,
    "queue_size": 1024,
    "prediction_steps": 2,
    "momentum": 0.9,
}
"""Sizes, and a momentum, for a hundred steps on digits."""


def found(folder: Path) -> dict[str, dict[str, str]]:
    """What every case does, by title and column, all of it tried; without learning.

    Args:
        folder: Empty; the ranks meet in it.
    """
    on_ranks = outcomes_on_ranks(CASES, folder)
    table = {}
    for i, case in enumerate(CASES):
        outcomes = [[each[i]] for each in on_ranks]
        table[case.title] = {
            "2 ranks": _told(case, "2 ranks", partial(is_the_same_on_ranks, case, outcomes)),
            "in parts": _told(case, "in parts", partial(is_the_same_in_parts, case)),
            "resume": _told(case, "resume", partial(resumes_to_the_same_bits, case.seeded)),
            **quick_cells(case),
        }
    return table


def quick_cells(case: MethodCase) -> dict[str, str]:
    """What a case does with each kind of examples and without labels."""
    cells = {}
    for modality in EXAMPLES:
        try:
            takes_steps(case, modality)
            cells[modality] = YES
        except SettingError as error:
            cells[modality] = f"no: {error}"
    keeps_its_word_on_labels(case)
    cells["labels"] = "needed" if case.spec.reads_labels else "not needed"
    return cells


def learnt() -> dict[str, str]:
    """How well every case learns digits, by title: `81.2 → 96.4`."""
    cells = {}
    for case in CASES:
        if case.spec.second_side is not None:
            cells[case.title] = f"no: {case.apart[LEARNS]}"
            continue
        with tempfile.TemporaryDirectory() as folder:
            before, after = learns(case, Path(folder))
        reason = f": {case.apart[LEARNS]}" if LEARNS in case.apart else ""
        cells[case.title] = f"{before:.1f} → {after:.1f}{reason}"
    return cells


TEN_EPOCHS: dict[str, Any] = {
    "epochs": 10,
    "batch_size": 128,
    "schedule": CosineSpec(warmup_share=0.2),
    "knn_every": 0,
    "device": "cpu",
    "precision": "fp32",
}
"""Settings of a training on digits that is short and long enough to learn."""


def learns(case: MethodCase, folder: Path) -> tuple[float, float]:
    """KNN accuracy on digits, before and after ten epochs, in percent."""
    recipe = simclr_digits()
    recipe = replace(
        recipe,
        method=sized(case.spec, LEARNING),
        encoder=case.encoder("images", width=16),
        training=replace(recipe.training, **TEN_EPOCHS),
    )
    run = assemble(recipe, load_digits(DigitsSpec()))
    before = knn_accuracy(run)
    train(run.method, run.views, run.batches, recipe.training, RunFolder.create(folder), seed=0)
    return before, knn_accuracy(run)


def knn_accuracy(run: Assembly) -> float:
    """Share of the test digits that the 20 nearest training digits get right, in percent."""
    encoder, mean, std = run.method.encoder.eval(), run.format.mean[0], run.format.std[0]

    def features(part: Part | None) -> Tensor:
        assert part is not None
        assert isinstance(part.examples, Tensor)
        with torch.no_grad():
            images = (part.examples.float() / 255 - mean) / std
            return nn.functional.normalize(encoder(images), dim=1)

    train_part, test_part = run.source.train, run.source.test
    assert test_part is not None
    assert test_part.labels is not None
    bank = KNNBank(features(train_part), train_part.labels)
    scores = bank.predict(features(test_part), 20, 0.07)
    return 100 * float((scores.argmax(dim=1) == test_part.labels).float().mean())


def section(cells: dict[str, dict[str, str]]) -> str:
    """The table as it stands on the page.

    Args:
        cells: Of each case and column.
    """
    head = ["method", *COLUMNS]
    rows = [[title, *(by_column[each] for each in COLUMNS)] for title, by_column in cells.items()]
    lines = [head, ["---"] * len(head), *rows]
    return f"{versions('torch')}.\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Check everything and rewrite the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        cells = found(Path(folder))
    for title, figures in learnt().items():
        cells[title][LEARNS] = figures
    PAGE.write_text(with_section(PAGE.read_text(), "methods", section(cells)))


def _told(case: MethodCase, column: str, check: Callable[[], object]) -> str:
    """Whether a property holds; where it cannot, why."""
    try:
        check()
    except (AssertionError, SettingError):
        return f"no: {case.apart[column]}" if column in case.apart else "**fails**"
    return YES


if __name__ == "__main__":
    main()
