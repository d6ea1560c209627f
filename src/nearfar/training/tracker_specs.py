"""Trackers of other makers that a run may be followed in, beside its own files. No torch."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Literal

from nearfar.errors import SettingError
from nearfar.installed import install_command
from nearfar.spec import Choice

if TYPE_CHECKING:
    from nearfar.training.tracker import Tracker


class TrackerSpec(Choice, noun="tracker"):
    """Where a run's scalars and its page go besides its folder.

    Attributes:
        title: What a person calls it.
        module: What is imported of it; empty where nothing is.
        install: What installs it.
        name: none, wandb, mlflow or trackio.
    """

    room: ClassVar[str] = "training.tracker."
    title: ClassVar[str] = ""
    module: ClassVar[str] = ""
    install: ClassVar[str] = ""

    def require_installed(self) -> None:
        """Refuse a tracker that is not installed, before anything is trained.

        Raises:
            SettingError: Naming the command that installs it.
        """
        if self.module and find_spec(self.module) is None:
            raise SettingError(
                f"training.tracker is {self.name}, which is not installed: "
                f"{install_command(self.install)}"
            )

    def build(self) -> "Tracker | None":
        """The tracker, which has not begun; None where there is none."""
        return super().build() if self.target else None


class NoTrackerSpec(TrackerSpec):
    """None: metrics.jsonl, TensorBoard's events and the page in the run's folder are all."""

    name: Literal["none"] = "none"


class WandbSpec(TrackerSpec):
    """Weights & Biases; who is logged in, and where its files lie, its own variables say."""

    target: ClassVar[str] = "nearfar.training.wandb_tracker:WandbTracker"
    title: ClassVar[str] = "W&B"
    module: ClassVar[str] = "wandb"
    install: ClassVar[str] = "nearfar[wandb]"

    name: Literal["wandb"] = "wandb"
    project: str = "nearfar"
    """Its project there."""
    mode: Literal["online", "offline"] = "online"
    """offline keeps all in the folder wandb/, for `wandb sync`; no network is needed."""


class MLflowSpec(TrackerSpec):
    """MLflow; left alone, it keeps its files as its own variables say."""

    target: ClassVar[str] = "nearfar.training.mlflow_tracker:MLflowTracker"
    title: ClassVar[str] = "MLflow"
    module: ClassVar[str] = "mlflow"
    install: ClassVar[str] = "nearfar[mlflow]"

    name: Literal["mlflow"] = "mlflow"
    experiment: str = "nearfar"
    """Its experiment there."""
    uri: str | None = None
    """A server, sqlite:///FILE or a folder; left out, what MLFLOW_TRACKING_URI says."""


class TrackioSpec(TrackerSpec):
    """trackio, which keeps runs in a database of this machine; `trackio show` shows them."""

    target: ClassVar[str] = "nearfar.training.trackio_tracker:TrackioTracker"
    title: ClassVar[str] = "trackio"
    module: ClassVar[str] = "trackio"
    install: ClassVar[str] = "trackio>=0.40"

    name: Literal["trackio"] = "trackio"
    project: str = "nearfar"
    """Its project there."""
