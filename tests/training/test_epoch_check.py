"""Who is told of each check may end the run, and loses nothing of it."""

from dataclasses import replace

import pytest
import torch
from test_killed import metrics, weights
from tiny_run import TINY, train_tiny

from nearfar.run_folder.folder import RunFolder
from nearfar.run_folder.glance import glance
from nearfar.training.checkpoints import load_newest
from nearfar.training.ends import EndedEarly

SELDOM = replace(TINY, epochs=4, knn_every=1, checkpoint_every=4)


def test_a_sentence_ends_the_run_saved_and_logged_and_it_can_be_gone_on_with(tmp_path):
    seen = []

    def enough(epochs, found):
        seen.append((epochs, found["top1"]))
        return "seen enough" if epochs == 2 else None

    with pytest.raises(EndedEarly, match="seen enough"):
        train_tiny(tmp_path / "cut", SELDOM, after_check=enough)
    cut = RunFolder(tmp_path / "cut")
    lines = cut.read_metrics()
    checks = [line["top1"] for line in lines if line["kind"] == "knn"]
    assert seen == list(enumerate(checks, 1))
    assert len(checks) == 2
    assert (lines[-1]["kind"], lines[-1]["told"]) == ("pruned", "seen enough")
    assert glance(cut.path).state == "pruned"
    loaded = load_newest(cut.checkpoints)
    assert loaded is not None
    assert loaded.checkpoint.scalars["position"] == {"epoch": 2, "step": 0}

    train_tiny(cut.path, SELDOM, resume=True)
    train_tiny(tmp_path / "whole", SELDOM)
    gone_on, whole = weights(cut.path), weights(tmp_path / "whole")
    assert [name for name in whole if not torch.equal(gone_on[name], whole[name])] == []
    assert [line for line in metrics(cut.path) if line["kind"] != "pruned"] == metrics(
        tmp_path / "whole"
    )
