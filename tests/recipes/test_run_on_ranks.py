"""A whole run on two ranks: one folder, one encoder, one report."""

import functools
import io
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from small_recipe import small_recipe

from launched_ranks import end_of
from nearfar.encoders.saved import load_encoder
from nearfar.recipes.run import resume_run, run_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.training.ranks import Ranks


def run_and_look(folder: Path, ranks: Ranks) -> None:
    """Run inside a group that stands already, as a script of one's own may have it."""
    recipe = small_recipe(folder)
    recipe = replace(recipe, training=replace(recipe.training, batch_size=22))
    console = Console(file=io.StringIO(), width=1000)
    # Only the first rank's name for the folder counts.
    page = run_recipe(recipe, folder / f"run-{ranks.rank}", console=console)
    ranks.largest(0)
    assert page == folder / "run-0" / "report.html"
    assert "Learnt from " in page.read_text()
    assert ("report: " in console.file.getvalue()) == ranks.first
    images = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    assert load_encoder(folder / "run-0")(images).isfinite().all()
    resume_run(folder / "run-0", console=console)
    assert ("is trained already" in console.file.getvalue()) == ranks.first
    ranks.largest(0)


def test_two_ranks_make_one_run(tmp_path):
    small_recipe(tmp_path)
    assert end_of(functools.partial(run_and_look, tmp_path), tmp_path) == ([0, 0], [])
    assert not (tmp_path / "run-1").exists()
    run = RunFolder(tmp_path / "run-0")
    assert [record["step"] for record in run.read_metrics() if record["kind"] == "step"] == [
        *range(1, 7)
    ]
    assert run.read_environment()["ranks"] == 2
    assert any(record["protocol"] == "knn" for record in run.read_evaluation())
