"""Runs in Weights & Biases."""

import netrc
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nearfar.errors import NearfarError
from nearfar.training.tracker import Begun, TrackedRun
from nearfar.training.tracker_specs import WandbSpec


class WandbTracker:
    """A run of W&B: its id is the run's own, so that a resumed run goes on there."""

    def __init__(self, spec: WandbSpec) -> None:
        self._spec = spec
        self._run: Any = None

    def begin(self, run: TrackedRun) -> Begun:
        """Begin or go on; offline, W&B keeps what was logged in a folder of this machine."""
        wandb = import_module("wandb")

        online = self._spec.mode == "online"
        if online and not _is_logged_in(wandb.Settings().base_url):
            raise NearfarError("nobody is logged in: `wandb login`, or choose mode offline")
        self._id = run.id
        self._run = wandb.init(
            project=self._spec.project,
            id=run.id,
            name=run.name,
            config=dict(run.config),
            mode=self._spec.mode,
            resume="allow" if online else None,
            settings=wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
        )
        where = self._run.url if online else f"wandb sync {Path(self._run.dir).parent}"
        return Begun(where, self._run.step)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Values of one step, or of the one that W&B is at: it takes none of an earlier one."""
        self._run.log(dict(values), step=max(step, self._run.step))

    def files(self, paths: Sequence[Path]) -> None:
        """An artefact of the run with all of the files, and the page to look at."""
        wandb = import_module("wandb")

        artifact = wandb.Artifact(f"run-{self._id}", type="run")
        for path in paths:
            artifact.add_file(str(path))
        self._run.log_artifact(artifact)
        for path in paths:
            if path.suffix == ".html":
                self._run.log({path.stem: wandb.Html(path.read_text(encoding="utf-8"))})

    def end(self, *, failed: bool) -> None:
        """Hand over all that is left."""
        if self._run is not None:
            self._run.finish(exit_code=int(failed))


def _is_logged_in(url: str) -> bool:
    """Whether there is a key for a server: W&B would ask for one, and wait for a person."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    try:
        return urlsplit(url).hostname in netrc.netrc(os.environ.get("NETRC")).hosts
    except (OSError, netrc.NetrcParseError):
        return False
