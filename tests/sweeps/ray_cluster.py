"""A cluster of two machines that are both this one, started by `ray start` as the docs show."""

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

RAY = str(Path(sys.executable).with_name("ray"))
PATIENCE_S = 300.0
_STARTS = 3
DOCS = Path(__file__).parents[2] / "docs" / "sweeps.md"


@contextmanager
def ray_cluster(folder):
    """The address of its head; each of the two offers one CPU. Both end with the context.

    Args:
        folder: For what they say.
    """
    assert os.environ["RAY_AUTH_MODE"] == "token"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    head, other, *_ = commands_of_docs()
    with ExitStack() as started:
        first = [word.replace("6379", str(port)) for word in head]
        log = started.enter_context(_ray_start(first, folder / "head.log"))
        # The address by which Ray knows this machine.
        (host,) = re.findall(r"Local node IP: (\S+)", log.read_text())
        address = f"{host}:{port}"
        second = [word.replace("HEAD:6379", address) for word in other]
        started.enter_context(_ray_start(second, folder / "second.log"))
        yield address


def commands_of_docs():
    """The words of every command of the page's section on many machines."""
    (block,) = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)
    found = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert found[0] == ["export", "RAY_AUTH_MODE=token"]
    return found[1:]


@contextmanager
def _ray_start(words, log):
    """One machine; a start is tried again, for Ray gives up one that takes half a minute."""
    assert words[:2] == ["ray", "start"]
    command = [RAY, *words[1:], "--block", "--num-cpus", "1"]
    for _ in range(_STARTS):
        with log.open("w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file)
        end = time.monotonic() + PATIENCE_S
        while process.poll() is None and time.monotonic() < end:
            if "Ray runtime started" in log.read_text():
                break
            time.sleep(0.2)
        if process.poll() is None:
            break
    else:
        raise AssertionError(log.read_text())
    try:
        yield log
    finally:
        process.terminate()  # it ends what it has started
        process.wait(PATIENCE_S)
