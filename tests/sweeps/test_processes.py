"""Processes that train for another: whichever signal comes when, none is left behind."""

import os
import signal
import time

import pytest

from nearfar.sweeps.processes import Processes

PATIENCE_S = 60.0


@pytest.fixture
def sleeper(tmp_path, monkeypatch):
    (tmp_path / "sleeper.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda processes, key: processes.start(key, ["sleeper"], tmp_path / f"{key}.log")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_reaches_those_too_that_are_started_after_it(sleeper, number):
    handler = signal.getsignal(number)
    processes, ended = Processes(), {}
    with processes.passing_on_signals():
        sleeper(processes, "before")
        os.kill(os.getpid(), number)
        sleeper(processes, "after")
        end = time.monotonic() + PATIENCE_S
        while processes.running and time.monotonic() < end:
            ended.update(processes.ended())
            time.sleep(0.02)
        assert not processes.running
    assert ended == {"before": -signal.SIGTERM, "after": -signal.SIGTERM}
    assert processes.received == number
    assert signal.getsignal(number) is handler


def test_an_error_leaves_none_behind(sleeper):
    processes = Processes()

    def break_off():
        with processes.passing_on_signals():
            sleeper(processes, "one")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert processes.ended() == [("one", -signal.SIGTERM)]
