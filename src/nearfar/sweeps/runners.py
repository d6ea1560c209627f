"""What runs the workers of a sweep, and where. Light: Ray is imported when a sweep runs on it."""

import shlex
from pathlib import Path
from typing import ClassVar, Literal

from nearfar.errors import NearfarError
from nearfar.spec import Choice


class RunnerSpec(Choice, noun="runner"):
    """Where workers run. It changes nothing of what is found.

    Its target is called with the spec, the search, the number of workers, `time.monotonic()` after
    which no trial begins (or None), and a console.

    Attributes:
        name: local or ray.
        place: What is told of it behind the number of workers.
    """

    room: ClassVar[str] = "runner."
    place: ClassVar[str] = ""

    @property
    def words(self) -> list[str]:
        """What chooses it on the command line, besides the number of workers."""
        return []

    def resume_command(self, folder: Path) -> str:
        """The command that goes on with the sweep of a folder, or joins it."""
        return shlex.join(["nearfar", "sweep", "--resume", str(folder), *self.words])

    def all_have_ended(self, folder: Path, problem: str) -> NearfarError:
        """The error where work is left and no worker is.

        Args:
            folder: Of the sweep.
            problem: Why the last worker ended.
        """
        return NearfarError(
            f"every worker has ended, the last one so: {problem}: put that right, then "
            f"`{self.resume_command(folder)}`"
        )


class LocalSpec(RunnerSpec):
    """Processes of this machine, each with one thread on a core of its own."""

    target = "nearfar.sweeps.local_workers:work_here"

    name: Literal["local"] = "local"


class RaySpec(RunnerSpec):
    """Tasks of Ray with a CPU and a thread each, on all machines of a cluster that see the folder
    of the sweep (Moritz et al. 2018)."""

    target = "nearfar.sweeps.ray_workers:work_on_ray"
    place: ClassVar[str] = " on Ray"

    name: Literal["ray"] = "ray"
    address: str | None = None
    """Of a cluster that `ray start --head` began, such as 127.0.0.1:6379, or auto for the one of
    this machine; left out, Ray is started here for the sweep, on loopback."""

    @property
    def words(self) -> list[str]:
        """`--runner ray`, and the address."""
        return ["--runner", "ray", *(["--runner.address", self.address] if self.address else [])]
