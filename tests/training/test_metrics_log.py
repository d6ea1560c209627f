import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nearfar.errors import NearfarError
from nearfar.run_folder.folder import RunFolder
from nearfar.training.metrics_log import MetricsLog


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder.create(tmp_path / "run")


def write(run: RunFolder, steps: range, *, step: int = 0, size: int = 0) -> int:
    """Log the steps, and give the bytes of the metrics afterwards."""
    with MetricsLog(run, steps_per_epoch=10, step=step, size=size) as log:
        for number in steps:
            log.write("step", number, {"loss": 1.0 / number})
        return log.synced().size


def shown(run: RunFolder) -> list[int]:
    """Steps that TensorBoard shows, each once."""
    events = EventAccumulator(str(run.tensorboard)).Reload()
    return [event.step for event in events.Scalars("train/loss")]


@pytest.mark.parametrize("seconds", [-86_400 * 400, -5, 0, 5])
def test_a_clock_that_was_set_hides_no_steps(run, monkeypatch, seconds):
    size = write(run, range(1, 6))
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + seconds)
    size = write(run, range(6, 9), step=5, size=size)
    monkeypatch.setattr(time, "time", lambda: clock() + 2 * seconds)
    write(run, range(9, 12), step=8, size=size)
    assert shown(run) == list(range(1, 12))


def test_files_of_events_that_are_not_ours_are_left_alone(run):
    run.tensorboard.mkdir()
    names = ["events.out.tfevents", "events.out.tfevents.x.y", "events.out.tfevents.9999999999.a.1"]
    for name in names:
        (run.tensorboard / name).write_bytes(b"mine")
    size = write(run, range(1, 4))
    write(run, range(4, 6), step=3, size=size)
    assert all((run.tensorboard / name).read_bytes() == b"mine" for name in names)


def test_what_was_logged_is_held_to_its_checksum(run, monkeypatch):
    monkeypatch.setattr("nearfar.run_folder.manifest._PATIENCE", ())
    write(run, range(1, 4))
    content = run.metrics.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        run.metrics.write_bytes(changed)
        with pytest.raises(NearfarError, match=r"metrics\.jsonl is not as nearfar wrote it"):
            run.read_metrics()
    run.metrics.write_bytes(content[:-3])
    with pytest.raises(NearfarError, match=r"metrics\.jsonl is not as nearfar wrote it"):
        run.read_metrics()


def test_a_disk_that_is_full_when_the_log_opens_is_one_line(run, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nearfar.training.metrics_log.SummaryWriter", full)
    with pytest.raises(NearfarError, match=r"cannot write .*tensorboard: No space left"):
        MetricsLog(run, steps_per_epoch=10, step=0, size=0)
