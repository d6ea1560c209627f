import io
import re

import pytest
from rich.console import Console

from nearfar.training import progress as module
from nearfar.training.progress import TrainingProgress


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(module.time, "monotonic", lambda: Clock.now)
    return Clock


def run(clock, console, *, seconds_a_step, epochs=100, begin=0, modality="images") -> None:
    with TrainingProgress(console, epochs, 5, 256, modality) as progress:
        progress.begin(begin)
        for step in range(begin + 1, epochs * 5 + 1):
            clock.now += seconds_a_step
            progress.step(step, 5.0 - step / 500)
            if step % 25 == 0:
                progress.knn(0.974)


def test_a_file_gets_a_line_every_few_seconds_and_the_last(clock):
    file = io.StringIO()
    run(clock, Console(file=file, width=80), seconds_a_step=0.1)
    lines = file.getvalue().splitlines()
    assert 4 <= len(lines) <= 6
    assert lines[-1] == "epoch 100/100 · loss 4.000 · kNN 97.4 % · 2,560 images/s"
    assert lines[0].startswith(
        "epoch 20/100 · loss 4.800 · kNN 97.4 % · 2,560 images/s · 0:40 left"
    )


@pytest.mark.parametrize("modality", ["series", "vectors"])
def test_the_speed_is_of_what_the_examples_are(clock, modality):
    file = io.StringIO()
    run(clock, Console(file=file, width=80), seconds_a_step=0.1, modality=modality)
    assert file.getvalue().splitlines()[-1].endswith(f"2,560 {modality}/s")


def test_a_resumed_run_reckons_with_its_own_steps(clock):
    file = io.StringIO()
    run(clock, Console(file=file, width=80), seconds_a_step=30.0, begin=490)
    lines = file.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "epoch 99/100 · loss 4.018 · 9 images/s · 4:30 left"


@pytest.mark.parametrize("width", [80, 40])
def test_a_terminal_shows_one_line_that_moves(clock, width):
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system=None)
    run(clock, console, seconds_a_step=0.04)
    frames = re.split(r"\r|\n", re.sub(r"\x1b\[[0-9?;]*[A-Za-z]", "", file.getvalue()))
    assert all(len(frame) <= width for frame in frames)
    assert file.getvalue().count("\n") == 1
    last = [frame for frame in frames if frame.strip()][-1]
    if width == 80:
        assert "100/100" in last
        assert "loss 4.000 · kNN 97.4 % · 6,400 images/s" in last
        assert "━" in last


def test_nothing_is_shown_without_a_console(clock, capsys):
    run(clock, None, seconds_a_step=1.0)
    assert capsys.readouterr() == ("", "")


def test_the_speed_is_that_since_it_was_last_asked(clock):
    progress = TrainingProgress(None, 10, 5, 100, "images")
    progress.begin(0)
    for step, seconds, expected in [(1, 0.5, 200.0), (4, 1.0, 300.0)]:
        clock.now += seconds
        progress.step(step, 1.0)
        assert progress.examples_per_second() == expected
