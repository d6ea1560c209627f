"""What may help an encoder that does not beat the data as they are."""

from pathlib import Path

import numpy as np
import pytest

from nearfar.report.advice import advice
from nearfar.report.run_files import RunFiles
from nearfar.report.scores import score_rows


def run(checks=(), method="simclr", choices=(), pictures=True):
    return RunFiles(
        path=Path("run"),
        config={"method": {"name": method}, "data": {"name": "folder"}},
        environment={},
        steps=[],
        knn=[{"top1": value} for value in checks],
        records=[],
        arrays={"shown_images": np.zeros((1, 1, 1))} if pictures else {},
        finished=True,
        choices=choices,
    )


def rows(encoder, raw):
    shared = {"protocol": "knn", "metric": "top1", "sd": None, "n": 500}
    shared["parameters"] = {"k": 5, "temperature": 0.07}
    return score_rows(
        [
            {**shared, "features": "encoder", "value": encoder},
            {**shared, "features": "raw", "value": raw},
        ]
    )


def test_an_encoder_that_leads_needs_none():
    assert advice(rows(0.9, 0.7), run()) == []
    assert advice([], run()) == []


def test_checks_that_rise_ask_for_more_training():
    said = advice(rows(0.5, 0.7), run(checks=[0.1, 0.2, 0.3, 0.4]))
    assert said == [
        "What may help: more training by --training.epochs, for the checks were still rising, "
        "labels by --method supcon, weights learnt elsewhere by --encoder.start, or pictures like "
        "these without labels, of which there may be many more."
    ]
    said = advice(rows(0.5, 0.7), run(checks=[0.1], choices=({"what": "epochs"},)))
    assert "more training by --minutes, for it trained for a short time" in said[0]


def test_checks_at_rest_do_not():
    assert "more training" not in advice(rows(0.5, 0.7), run(checks=[0.3] * 6))[0]


@pytest.mark.parametrize("method", ["supcon", "of another package"])
def test_a_method_that_reads_labels_is_not_told_to(method):
    said = advice(rows(0.5, 0.7), run(checks=[0.3] * 6, method=method, pictures=False))
    assert said == ["What may help: more examples: without labels will do."]
