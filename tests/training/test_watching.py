import os
import signal
import subprocess
import sys
import threading
import time

import torch.distributed as dist

from nearfar.training.watching import missing_ranks_named

ORPHAN = """
import os, signal, subprocess, sys, time
child = '''
import os, signal, sys, time
from nearfar.training.watching import ended_with_launcher
signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1], "w").write("told"), os._exit(0)))
with ended_with_launcher(0.05):
    print("ready", flush=True)
    time.sleep(60)
'''
process = subprocess.Popen([sys.executable, "-c", child, sys.argv[1]], stdout=subprocess.PIPE)
process.stdout.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_end_of_the_launcher_comes_as_a_signal(tmp_path):
    told = tmp_path / "told"
    done = subprocess.run([sys.executable, "-c", ORPHAN, str(told)], check=False)
    assert done.returncode == -signal.SIGKILL
    # It is there before it is written to.
    assert wait_until(lambda: told.exists() and told.read_text() == "told")


def wait_until(holds):
    for _ in range(400):
        if holds():
            return True
        time.sleep(0.02)
    return False


def test_a_rank_without_a_sign_is_named_once_and_said_to_be_back():
    store, said = dist.HashStore(), []
    settings = {"look": 0.02, "missing": 0.5, "say": said.append}
    with missing_ranks_named(store, 0, 3, **settings), missing_ranks_named(store, 2, 3, **settings):
        assert wait_until(lambda: said)
        time.sleep(0.3)
        assert len(said) == 1  # rank 2 sees it too, and leaves it to the lowest
        assert said[0].startswith("rank 1 has given no sign for ")
        with missing_ranks_named(store, 1, 3, **settings):
            assert wait_until(lambda: len(said) == 2)
            assert said[1] == "rank 1 is back"


def test_the_lowest_rank_is_said_to_be_back_by_the_one_that_missed_it():
    store, said, own = dist.HashStore(), [], []
    settings = {"look": 0.02, "missing": 0.5}
    with missing_ranks_named(store, 1, 2, **settings, say=said.append):
        assert wait_until(lambda: said)
        assert said[0].startswith("rank 0 has given no sign for ")
        with missing_ranks_named(store, 0, 2, **settings, say=own.append):
            assert wait_until(lambda: len(said) == 2)
    assert said[1:] == ["rank 0 is back"]
    assert own == []


def test_nothing_is_said_where_all_give_signs():
    store, said = dist.HashStore(), []
    settings = {"look": 0.02, "missing": 1.0, "say": said.append}
    with missing_ranks_named(store, 0, 2, **settings), missing_ranks_named(store, 1, 2, **settings):
        time.sleep(1.5)
    assert said == []
    assert not any(each.name == "nearfar-ranks" for each in threading.enumerate())
    assert os.getppid() > 0
