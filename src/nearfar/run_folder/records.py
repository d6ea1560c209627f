"""What the JSON files of a run must look like: types are checked where a file is read."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, FiniteFloat, RootModel, ValidationError

from nearfar.errors import NearfarError


class _Shape(BaseModel):
    """Names that are known have these types; others may be anything that `extra` allows."""

    model_config = ConfigDict(strict=True, extra="allow")


class _KeptEpoch(_Shape):
    epoch: int
    top1: FiniteFloat
    last_top1: FiniteFloat


class Environment(_Shape):
    """`environment.json`."""

    command: str | None = None
    started: str = ""
    resumed_at_steps: list[int] = []
    seconds: FiniteFloat = 0.0
    hardware: str = ""
    learnt_from: str = ""
    kept_epoch: _KeptEpoch | None = None


class Start(_Shape):
    """`start.json`, as far as it is read again."""

    title: str
    sha256: str
    shape: list[int] | None = None
    mean: list[FiniteFloat] | None = None
    std: list[FiniteFloat] | None = None
    head: str | None = None
    lines: list[str] = []


class _Line(_Shape):
    kind: str
    step: int
    epoch: FiniteFloat


class _StepLine(_Line):
    __pydantic_extra__: dict[str, FiniteFloat | None]  # pyright: ignore[reportIncompatibleVariableOverride]
    loss: FiniteFloat | None = None
    learning_rate: FiniteFloat


class _KnnLine(_Line):
    __pydantic_extra__: dict[str, FiniteFloat | str | None]  # pyright: ignore[reportIncompatibleVariableOverride]
    top1: FiniteFloat


class _ToldLine(_Line):
    told: str


class _Parameters(_Shape):
    draws: int = 1
    values: list[FiniteFloat] = []
    shots: str | None = None
    standard_error: FiniteFloat | None = None
    classes: int | None = None


class _EvaluationRecord(_Shape):
    protocol: str
    features: str
    metric: str
    value: FiniteFloat
    n: int | None = None
    sd: FiniteFloat | None = None
    parameters: _Parameters | None = None


class _Named(_Shape):
    name: str = ""


class _Training(_Shape):
    epochs: int = 0
    batch_size: int = 0


class Config(_Shape):
    """`config.json`, as far as a page reads it."""

    recipe: str = ""
    seed: int | None = None
    data: _Named = _Named()
    method: _Named = _Named()
    encoder: _Named = _Named()
    training: _Training = _Training()
    views: dict[str, Any] = {}
    evaluation: dict[str, Any] = {}


class Evaluation(RootModel[list[_EvaluationRecord]]):
    """`evaluation.json`."""

    model_config = ConfigDict(strict=True)


_LINES: dict[Any, type[_Line]] = {
    "step": _StepLine,
    "knn": _KnnLine,
    "collapsed": _ToldLine,
    "recovered": _ToldLine,
    "pruned": _ToldLine,
}


def check(kind: type[BaseModel], content: Any, path: Path) -> None:
    """Refuse a file whose content has other types than it was written with.

    Raises:
        NearfarError: Naming the first that does not fit.
    """
    try:
        kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise NearfarError(
            f"{path} is damaged: {place + ': ' if place else ''}{first['msg']}"
        ) from error


def check_line(record: Any, path: Path) -> None:
    """Refuse a line of `metrics.jsonl` of other types than it was written with.

    Raises:
        NearfarError: Naming the first that does not fit.
    """
    kind = record.get("kind") if isinstance(record, dict) else None
    check(_LINES.get(kind, _Line) if isinstance(kind, str) else _Line, record, path)
