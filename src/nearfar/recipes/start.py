"""The weights that a run's encoder begins with: read on the first rank, recorded, found again."""

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from nearfar.encoders.specs import EncoderSpec
from nearfar.encoders.start_origin import Origin, State, read_start
from nearfar.errors import NearfarError
from nearfar.run_folder import records
from nearfar.run_folder.folder import RunFolder
from nearfar.training.checkpoints import can_be_gone_on_from
from nearfar.training.generators import OwnDraws
from nearfar.training.ranks import Ranks


@dataclass
class Start:
    """Starting weights, before and after they are in an encoder.

    Attributes:
        origin: What is known of them, on every rank.
        state: They themselves, on the first rank alone; None also where a run goes on from a
            checkpoint, which holds what has become of them.
        lines: How they fitted, for a person; empty before they are loaded.
        account: The same in full, in JSON's own types.
    """

    origin: Origin
    state: State | None
    lines: list[str] = field(default_factory=list)
    account: dict[str, Any] = field(default_factory=dict)

    def load_into(self, encoder: nn.Module) -> None:
        """Put the weights into an encoder, where they are at hand, and keep the account.

        Raises:
            SettingError: They do not fit.
        """
        if self.state is None:
            return
        # Here, because it needs timm, which other runs do without.
        from nearfar.encoders.starting_weights import load_start

        loaded = load_start(encoder, self.origin, self.state)
        self.lines, self.account = loaded.lines(), loaded.as_json()

    def as_json(self) -> dict[str, Any]:
        """As `start.json` holds it."""
        return self.origin.as_json() | {"lines": self.lines} | self.account


def start_of(encoder: EncoderSpec, ranks: Ranks) -> Start | None:
    """The start that a spec names, read on the first rank; None where it names none.

    Raises:
        NearfarError: It is not there, or cannot be read; on every rank.
    """
    if encoder.start is None:
        return None
    held: list[State] = []

    def read() -> Origin:
        with OwnDraws(0):  # what reads weights draws some first, which they replace
            origin, state = read_start(encoder)
        held.append(state)
        return origin

    origin = ranks.from_first(read)
    return Start(origin, held[0] if held else None)


def start_again(encoder: EncoderSpec, run: RunFolder, ranks: Ranks) -> Start | None:
    """The start of a run that is gone on with: as it was recorded, or read as the run's was.

    Raises:
        NearfarError: There is no checkpoint yet, and the weights are gone or are others by now.
    """
    if encoder.start is None:
        return None
    recorded = ranks.from_first(lambda: recorded_start(run))
    if recorded is not None and ranks.from_first(lambda: can_be_gone_on_from(run.checkpoints)):
        return recorded
    start = start_of(encoder, ranks)
    if recorded is not None and start is not None and start.origin.sha256 != recorded.origin.sha256:
        raise NearfarError(
            f"the weights that {run} began with are no longer those of {encoder.start}, and it has "
            "no checkpoint yet: start a new run"
        )
    return start


def recorded_start(run: RunFolder) -> Start | None:
    """What a run says of its start, without the weights; None where it says nothing."""
    held = run.read_start()
    if not held:
        return None
    records.check(records.Start, held, run.start)
    return Start(Origin.from_json(held), None, held.get("lines", []), held)


def start_as_recorded(encoder: EncoderSpec, recorded: Start | None) -> Start:
    """The start of a run, read again and known to be the very weights that the run began with.

    Raises:
        NearfarError: They are gone, or are others by now.
    """
    with OwnDraws(0):
        origin, state = read_start(encoder)
    if recorded is not None and recorded.origin.sha256 != origin.sha256:
        raise NearfarError(f"{origin.title} has changed since")
    return Start(origin, state)
