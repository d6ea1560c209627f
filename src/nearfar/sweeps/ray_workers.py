"""Workers of a sweep as tasks of Ray, which places them on the machines of a cluster.

What is tried next, who is at a run and what is known of it stay in the folder of the sweep, which
every machine must see. So a task that dies leaves its run to the others, and Ray begins it again.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import FrameType
from typing import Any

from rich.console import Console

from nearfar.durable_files import make_folder
from nearfar.errors import NearfarError
from nearfar.sweeps.runners import RaySpec
from nearfar.sweeps.search import Search
from nearfar.sweeps.worker import work_as_task
from nearfar.training.interruption import Interrupted, give_back_signals, take_signals

if find_spec("ray") is None:
    raise NearfarError("--runner ray needs Ray, which is not installed: pip install 'nearfar[ray]'")

_POLL_S = 0.5
_RETRIES = 3
"""How often Ray begins a worker again that has died."""
_STORE_BYTES = 100 * 2**20
"""Nothing but a few words goes through Ray's store, whose default is a third of the memory."""


def work_on_ray(
    spec: RaySpec, search: Search, workers: int, until: float | None, console: Console
) -> None:
    """Do all the work of a sweep, and come back when it is done.

    Raises:
        Interrupted: A signal came, and all workers have saved and ended.
        NearfarError: Ray is not installed or not there, or the last worker has ended.
    """
    ray = _imported(local=spec.address is None)
    folder = search.folder.path.resolve()
    make_folder(search.folder.logs)
    deadline = None if until is None else time.time() + until - time.monotonic()
    with _connected(ray, spec, workers):
        _tell_room(ray, workers, console)
        task = ray.remote(num_cpus=1, max_retries=_RETRIES, scheduling_strategy="SPREAD")(
            work_as_task
        )
        name = f"{os.uname().nodename}-{os.getpid()}-ray"
        with _Signals() as signals:
            tasks = [
                task.remote(str(folder), f"{name}-{number}", deadline) for number in range(workers)
            ]
            done, problem = _wait(ray, tasks, signals)
    if signals.received is not None:
        raise Interrupted("stopped", signals.received)
    if not done:
        raise spec.all_have_ended(search.folder.path, problem)


class _Signals:
    """Notes signals; within Ray's calls nothing else may be done.

    Attributes:
        received: The last one, or None.
        count: How many came.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.count = 0

    def __enter__(self) -> "_Signals":
        self._before = take_signals(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        give_back_signals(self._before)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received, self.count = number, self.count + 1


def _wait(ray: Any, tasks: list[Any], signals: _Signals) -> tuple[bool, str]:
    """Wait for all tasks; a first signal has them save and end, a second one kills them.

    Returns:
        Whether one found all done, and why the last that did not has ended.
    """
    done, problem, obeyed = False, "", 0
    left = list(tasks)
    while left:
        ended, left = ray.wait(left, timeout=_POLL_S)
        for task in ended:
            try:
                told = ray.get(task)
                done, problem = done or told is None, told or problem
            except ray.exceptions.TaskCancelledError:
                problem = "it was stopped"
            except ray.exceptions.RayError as error:
                problem = _one_line(error)
        if signals.count > obeyed:
            obeyed = signals.count
            for task in left:
                ray.cancel(task, force=obeyed > 1)
    return done, problem


def _imported(*, local: bool) -> Any:
    """Ray, which tells nobody that it is used, and of a cluster of its own listens on loopback."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if local:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # of Linux too: no other machine
    import ray

    return ray


@contextmanager
def _connected(ray: Any, spec: RaySpec, workers: int) -> Iterator[None]:
    """Ray, on the cluster of an address, or started here and ended again."""
    here = {
        "num_cpus": workers,
        "include_dashboard": False,
        "object_store_memory": _STORE_BYTES,
    }
    try:
        ray.init(
            address=spec.address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if spec.address else here),
        )
    except Exception as error:  # Ray raises whatever its parts did
        where = f"no cluster answers at {spec.address}" if spec.address else "Ray does not start"
        raise NearfarError(f"{where}: {_one_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _tell_room(ray: Any, workers: int, console: Console) -> None:
    """Say how large the cluster is, and that workers wait where it has fewer CPUs."""
    machines = sum(node["Alive"] for node in ray.nodes())
    cpus = int(ray.cluster_resources().get("CPU", 0))
    if cpus < 1:
        raise NearfarError("the machines of the Ray cluster offer no CPU: ray start --num-cpus N")
    waits = f", so that {workers - cpus} workers wait" if cpus < workers else ""
    machine = "machine" if machines == 1 else "machines"
    console.print(f"[dim]Ray: {machines} {machine}, {cpus} CPUs{waits}[/dim]")


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
