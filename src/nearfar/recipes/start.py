"""The weights that a run's encoder begins with: read on the first rank, recorded, found again."""

from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from nearfar.encoders.adapt_spec import AdaptSpec
from nearfar.encoders.head_specs import HeadSpec
from nearfar.encoders.saved import load_head
from nearfar.encoders.specs import EncoderSpec
from nearfar.encoders.start_origin import Origin, State, fingerprint, is_run, read_start
from nearfar.errors import NearfarError, told_at
from nearfar.methods.method import Tower
from nearfar.methods.method_spec import SECOND_ENCODER, MethodSpec
from nearfar.run_folder import records
from nearfar.run_folder.folder import RunFolder
from nearfar.spec import settings_of
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
        head: The projection head that is to be taken over and how it is built, where and while the
            weights are at hand; None where the start has none, or it is not asked for.
    """

    origin: Origin
    state: State | None
    lines: list[str] = field(default_factory=list)
    account: dict[str, Any] = field(default_factory=dict)
    head: tuple[HeadSpec, nn.Module] | None = None

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

    def load_head_into(self, tower: Tower | None) -> None:
        """Let a tower's head begin as the start's, where both are built alike; say what is done.

        Copies that follow the head begin as it does. Without weights at hand nothing is done.

        Args:
            tower: Its encoder has the start's weights; None where there is no head.
        """
        if self.state is None or tower is None:
            return
        reason = self._why_not_its_head(tower.head_spec)
        if reason is None:
            assert self.head is not None
            weights = self.head[1].state_dict()
            for module in (tower.head, *tower.head_followers):
                module.load_state_dict(weights)
            self.lines.append("its projection head too; all else of the method begins anew")
        else:
            self.lines.append(f"the method's projection head begins anew: {reason}")
        self.account["head_taken_over"] = reason is None

    def _why_not_its_head(self, own: HeadSpec) -> str | None:
        """Why the start's head does not serve; None where it does."""
        if self.head is None:
            return "the start has no projection head"
        if any(self.account[each] for each in ("random", "did_not_fit", "left_out")):
            return "the start's encoder fits in part, so its head would read other features"
        theirs = self.head[0]
        if theirs.name != own.name:
            return f"the start's projection head is {theirs.name} and the method's {own.name}"
        here, there = settings_of(own), settings_of(theirs)
        differ = [
            f"{name} is {there[name]} there and {here[name]} here"
            for name in here
            if here[name] != there[name]
        ]
        return f"the start's is built otherwise: {', '.join(differ)}" if differ else None

    def as_json(self) -> dict[str, Any]:
        """As `start.json` holds it."""
        return self.origin.as_json() | {"lines": self.lines} | self.account


def start_of(encoder: EncoderSpec, adapt: AdaptSpec, ranks: Ranks) -> Start | None:
    """The start that a spec names, read on the first rank; None where it names none.

    Args:
        encoder: Names it.
        adapt: Says whether its projection head is wanted too.
        ranks: Of the run.

    Raises:
        NearfarError: It is not there, or cannot be read; on every rank.
    """
    named = encoder.start
    if named is None:
        return None
    wants_head = adapt.head == "start" and not encoder.gets_pretrained and is_run(named)
    held: list[tuple[State, tuple[HeadSpec, nn.Module] | None]] = []

    def read() -> Origin:
        head = None
        with OwnDraws(0):  # what reads weights draws some first, which they replace
            origin, state = read_start(encoder)
            if wants_head:
                head = load_head(named)
        held.append((state, head))
        return replace(origin, head=None if head is None else fingerprint(head[1].state_dict()))

    origin = ranks.from_first(read)
    state, head = held[0] if held else (None, None)
    return Start(origin, state, head=head)


def second_start_of(method: MethodSpec, ranks: Ranks) -> Start | None:
    """That of a method's second encoder, as `start_of` the first; None where it names none.

    Args:
        method: Its second encoder names it.
        ranks: Of the run.
    """
    side = method.second_side
    if side is None:
        return None
    with told_at(EncoderSpec.room, SECOND_ENCODER):
        return start_of(side.encoder, side.adapt, ranks)


def second_start_again(method: MethodSpec, run: RunFolder, ranks: Ranks) -> Start | None:
    """The same of a run that is gone on with, as `start_again`."""
    side = method.second_side
    if side is None:
        return None
    with told_at(EncoderSpec.room, SECOND_ENCODER):
        return start_again(side.encoder, side.adapt, run, ranks, "second")


def start_again(
    encoder: EncoderSpec, adapt: AdaptSpec, run: RunFolder, ranks: Ranks, tower: str = "first"
) -> Start | None:
    """The start of a run that is gone on with: as it was recorded, or read as the run's was.

    Args:
        encoder: Names it.
        adapt: As for `start_of`.
        run: Says what it was.
        ranks: Of the run.
        tower: Which encoder of the run it is, first or second.

    Raises:
        NearfarError: There is no checkpoint yet, and the weights are gone or are others by now.
    """
    if encoder.start is None:
        return None
    recorded = ranks.from_first(lambda: recorded_start(run, tower))
    if recorded is not None and ranks.from_first(lambda: can_be_gone_on_from(run.checkpoints)):
        return recorded
    start = start_of(encoder, adapt, ranks)
    if recorded is not None and start is not None and not start.origin.same(recorded.origin):
        raise NearfarError(
            f"the weights that {run} began with are no longer those of {encoder.start}, and it has "
            "no checkpoint yet: start a new run"
        )
    return start


def recorded_start(run: RunFolder, tower: str = "first") -> Start | None:
    """What a run says of an encoder's start, without the weights; None where it says nothing."""
    held = run.read_start(tower)
    if not held:
        return None
    records.check(records.Start, held, run.start_of(tower))
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
