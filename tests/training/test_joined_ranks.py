"""However a rank ends, all end, and one of them tells why."""

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
import torch.distributed as dist

from launched_ranks import PATIENCE_S, end_of, environment
from nearfar.errors import SettingError
from nearfar.launch import Launch, launched, said_by_first_rank
from nearfar.run_folder.folder import RunFolder
from nearfar.training.ranks import Ranks, joined_ranks, patience


def together(ranks: Ranks) -> None:
    assert ranks.count == 2
    assert ranks.gather(ranks.rank) == [0, 1]
    assert launched() == Launch(ranks.rank, 2, ranks.rank, 2)
    command = RunFolder("X").resume_command
    assert command == "torchrun --nproc-per-node 2 -m nearfar train --resume X"


def one_in_error(ranks: Ranks) -> None:
    if ranks.rank == 1:
        raise SettingError("this picture is damaged")
    ranks.largest(0)


def all_in_error(ranks: Ranks) -> None:
    ranks.largest(0)
    raise SettingError("all the same")


def one_with_a_bug(ranks: Ranks) -> None:
    if ranks.rank == 1:
        raise ZeroDivisionError("a bug")
    ranks.largest(0)


def one_killed(ranks: Ranks) -> None:
    if ranks.rank == 1:
        os._exit(9)
    ranks.largest(0)


def one_terminated_while_it_ends(ranks: Ranks) -> None:
    """As torchrun does to those whom another rank has left."""
    try:
        ranks.largest(0)
        raise SettingError("the first cause")
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)


def all_terminated(ranks: Ranks) -> None:
    ranks.largest(0)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE_S)


def test_a_signal_does_not_cut_an_error_short_but_ends_what_has_none(tmp_path):
    codes, told = end_of(one_terminated_while_it_ends, tmp_path)
    assert codes == [2, 2]
    assert told == ["SettingError: the first cause"]
    codes, _ = end_of(all_terminated, tmp_path)
    assert codes == [-signal.SIGTERM] * 2


def test_ranks_join_and_part(tmp_path):
    assert end_of(together, tmp_path) == ([0, 0], [])


def test_an_error_of_one_rank_is_told_by_it_and_ends_all(tmp_path):
    codes, told = end_of(one_in_error, tmp_path)
    assert codes == [1, 2]
    assert told == ["SettingError: this picture is damaged"]


def test_an_error_of_all_ranks_is_told_once(tmp_path):
    codes, told = end_of(all_in_error, tmp_path)
    assert codes == [2, 2]
    assert told == ["SettingError: all the same"]


def test_a_bug_on_one_rank_is_shown_as_it_is(tmp_path):
    codes, told = end_of(one_with_a_bug, tmp_path)
    assert codes == [1, 1]
    assert len(told) == 1
    assert "ZeroDivisionError: a bug" in told[0]


def test_a_rank_that_dies_without_a_word_is_missed_in_one_line(tmp_path):
    codes, told = end_of(one_killed, tmp_path)
    assert codes == [1, 9]
    assert len(told) == 1
    assert told[0].startswith("NearfarError: rank 0 lost another rank, which died or did not")
    assert "\n" not in told[0]


def test_each_machine_loads_once_before_its_other_ranks(tmp_path):
    codes, told = end_of(loads, tmp_path)
    assert (codes, told) == ([0, 0], [])


def loads(ranks: Ranks) -> None:
    """The second rank sees what the first made."""
    file = Path(tempfile.gettempdir()) / f"nearfar-loaded-{os.environ['MASTER_PORT']}"

    def load() -> list[int]:
        if ranks.first:
            time.sleep(0.3)
            file.touch()
        assert file.exists()
        return [7]

    try:
        assert ranks.one_by_machine(load) == [7]
        ranks.largest(0)
    finally:
        file.unlink(missing_ok=True)


def test_a_process_on_its_own_exchanges_nothing():
    assert launched() == Launch()
    with joined_ranks() as ranks:
        assert ranks == Ranks()
        assert not dist.is_initialized()
        assert ranks.gather("x") == ["x"]
        assert ranks.largest(3) == 3
        assert ranks.from_first(lambda: 5) == 5
        assert ranks.one_by_machine(lambda: 6) == 6
    assert RunFolder("X").resume_command == "nearfar train --resume X"


def test_what_all_ranks_find_before_they_join_the_first_says(monkeypatch):
    waited = []
    monkeypatch.setattr("nearfar.launch.time.sleep", waited.append)
    for rank, kind in [("0", SettingError), ("1", SystemExit)]:
        for name, value in environment(int(rank), 2, 1).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(kind) as caught, said_by_first_rank():
            raise SettingError("no")
        # torchrun ends the first as soon as another has left: that one gives it time to speak.
        assert len(waited) == int(rank)
    assert caught.value.code == 2


def test_several_machines_are_named_in_the_command():
    assert Launch(5, 8, 1, 4).command == "torchrun --nnodes 2 --nproc-per-node 4 -m "


@pytest.mark.parametrize(
    ("given", "minutes"),
    [(None, 30), ("5", 5), ("0.5", 0.5), ("x", None), ("nan", None), ("0", None)],
)
def test_patience_can_be_set(monkeypatch, given, minutes):
    monkeypatch.delenv("NEARFAR_PATIENCE_MINUTES", raising=False)
    if given is not None:
        monkeypatch.setenv("NEARFAR_PATIENCE_MINUTES", given)
    if minutes is None:
        with pytest.raises(SettingError, match="NEARFAR_PATIENCE_MINUTES is"):
            patience()
    else:
        assert patience().total_seconds() == 60 * minutes
