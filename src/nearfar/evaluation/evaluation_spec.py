"""An evaluation: by which protocols, with which settings; and what records of protocols are."""

import json
from collections.abc import Iterable
from dataclasses import field, fields, replace
from functools import cache
from typing import Annotated, Any, ClassVar, TypeVar

from annotated_types import Ge, Le

from nearfar.bounds import HIGHEST_SEED
from nearfar.errors import require_known
from nearfar.evaluation.measures import Measure, UnknownMeasure
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.evaluation.records import FeatureKind
from nearfar.spec import Nested, Spec, to_json

AnyProtocol = TypeVar("AnyProtocol", bound=ProtocolSpec)


class EvaluationSpec(Spec):
    """By which protocols an encoder is judged, and their settings."""

    room: ClassVar[str] = "evaluation."

    baselines: bool = True
    """Judge raw data and the untrained encoder beside the trained one."""
    embeddings: bool = field(default=False, kw_only=True)
    """Judge the embedding, which the projection head makes of the features, by every protocol."""
    seed: Annotated[int, Ge(0), Le(HIGHEST_SEED)] = 0
    """Seed of the draws and of the probes."""
    leave_out: tuple[str, ...] = ()
    """Protocols that are not run; `nearfar protocols` lists them."""
    also: tuple[str, ...] = ()
    """Protocols that are run although they take long."""

    def __new__(cls, *given: Any, **named: Any) -> "EvaluationSpec":  # noqa: ARG004  __init__ does
        """An instance of a subclass with a field for each protocol that has settings.

        So the settings of protocols that plug-ins add stand beside those of ours.
        """
        return object.__new__(_with_protocols() if cls is EvaluationSpec else cls)

    def __reduce__(self) -> tuple[Any, ...]:
        """Its settings, for ranks that are sent it: the subclass has no place to be found at."""
        return _made, ({each.name: getattr(self, each.name) for each in fields(self)},)

    @classmethod
    def by(
        cls,
        *protocols: ProtocolSpec,
        baselines: bool = True,
        embeddings: bool = False,
        seed: int = 0,
        leave_out: tuple[str, ...] = (),
        also: tuple[str, ...] = (),
    ) -> "EvaluationSpec":
        """An evaluation by protocols with these settings, and by all others with their own.

        Args:
            protocols: Those that have other settings than by default.
            baselines: Whether baselines are judged.
            embeddings: Whether the embedding is judged by every protocol.
            seed: Of the draws and of the probes.
            leave_out: Names of protocols that are not run.
            also: Names of protocols that are run although they take long.
        """
        settings: dict[str, Any] = {each.name: each for each in protocols}
        return cls(
            baselines=baselines,
            embeddings=embeddings,
            seed=seed,
            leave_out=leave_out,
            also=also,
            **settings,
        )

    def check(self) -> None:
        """What is named is known."""
        known = ProtocolSpec.known()
        require_known("protocol in evaluation.leave_out", self.leave_out, known)
        require_known("protocol in evaluation.also", self.also, known)
        for protocol in self.chosen():
            protocol.check_run()

    def with_absolute_paths(self) -> "EvaluationSpec":
        """The same, the files of its protocols found from any folder."""
        named = {name: getattr(self, name, None) for name in ProtocolSpec.known()}
        held = {name: each.with_absolute_paths() for name, each in named.items() if each}
        return replace(self, **held)

    def require_files(self) -> None:
        """Refuse files of a protocol that is run, before any work.

        Raises:
            NearfarError: Naming the file and what is wrong.
        """
        for protocol in self.chosen():
            protocol.require_files()

    def of(self, protocol: type[AnyProtocol]) -> AnyProtocol:
        """The settings of a protocol."""
        return getattr(self, protocol.name, None) or protocol()

    def chosen(self) -> list[ProtocolSpec]:
        """Every protocol that is run, in the order in which they are."""
        return [
            self.of(protocol)
            for name, protocol in ProtocolSpec.known().items()
            if (protocol.by_default or name in self.also) and name not in self.leave_out
        ]

    def by_kind(self, kind: FeatureKind) -> list[ProtocolSpec]:
        """The protocols that judge such features, in the order in which they run."""
        return [
            each
            for each in self.chosen()
            if kind in each.judges
            and (kind != "embedding" or self.embeddings or each.judges_every_embedding)
        ]

    def as_text(self) -> str:
        """All settings as JSON: an evaluation keeps them beside its figures."""
        return json.dumps(to_json(self))


def _made(settings: dict[str, Any]) -> EvaluationSpec:
    return EvaluationSpec(**settings)


def _with_protocols() -> type[EvaluationSpec]:
    """The settings of an evaluation by all protocols that are known now."""
    return _with_fields(tuple(spec for spec in ProtocolSpec.known().values() if fields(spec)))


@cache
def _with_fields(protocols: tuple[type[ProtocolSpec], ...]) -> type[EvaluationSpec]:
    """`EvaluationSpec` with a field for each of these."""
    body: dict[str, Any] = {each.name: each() for each in protocols}
    body["__annotations__"] = {each.name: Nested[each] for each in protocols}
    about = {"__doc__": EvaluationSpec.__doc__, "__module__": __name__}
    return type(EvaluationSpec.__name__, (EvaluationSpec,), body | about)


def measures() -> dict[str, Measure]:
    """What records may be of, by their `protocol`."""
    known = ProtocolSpec.known().values()
    return {measure.name: measure for protocol in known for measure in protocol.measures}


def measure_of(record_protocol: str) -> Measure:
    """What the records of a name are; of a protocol that is not installed, by its name alone."""
    return measures().get(record_protocol) or UnknownMeasure(name=record_protocol)


def giver_of(array: str) -> type[ProtocolSpec]:
    """The protocol that gives an array of `evaluation.npz`."""
    return next(each for each in ProtocolSpec.known().values() if array in each.arrays)


def in_order(protocols: Iterable[str]) -> list[str]:
    """Names of protocols in the order in which they run; those that are not installed last."""
    known = list(ProtocolSpec.known())
    return sorted(protocols, key=lambda name: known.index(name) if name in known else len(known))


def short_name(protocol: str) -> str:
    """What sentences call a protocol, which need not be installed."""
    known = ProtocolSpec.known()
    return known[protocol].short() if protocol in known else protocol.replace("_", " ")
