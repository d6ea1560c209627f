"""What makes checking every type in every test affordable; what is checked stays the same.

`--jaxtyping-packages` has jaxtyping and beartype check every function of nearfar, also those inside
of functions. These are defined at each call of the outer one, and beartype wrote and compiled a new
check for each: of a loss of eight rows that took ten times as long as the loss itself. A check
depends on nothing but the code and the annotations, so that one serves all definitions.

Whether an object is of a protocol, Python before 3.12 finds out by reading all its members, also
properties: every step of a training computed what `Method.scalars` logs six times, half of all its
time. A property is there where the class has it.
"""

import functools
import inspect
import sys
import threading
import typing
from collections.abc import Callable, Sequence
from types import CellType, FunctionType
from typing import Any, ForwardRef, get_args, get_origin

import jaxtyping

_jaxtyped = jaxtyping.jaxtyped
_Protocol = type(typing.Protocol)
_isinstance = _Protocol.__instancecheck__
checks: dict[tuple[Any, ...], Callable[..., Any]] = {}


class _Called(threading.local):
    """The nested functions that are being called in this thread, the innermost last."""

    def __init__(self) -> None:
        self.functions: list[FunctionType] = []


_called = _Called()


def make_cheap() -> None:
    """From now on; jaxtyping's import hook looks its decorator up at each definition."""
    jaxtyping.jaxtyped = _jaxtyped_once
    if sys.version_info < (3, 12):
        _Protocol.__instancecheck__ = _has_members


def _has_members(protocol: Any, instance: Any) -> bool:
    """As in later versions, no property is read; all else is asked as before."""
    if getattr(protocol, "_is_protocol", False) and protocol._is_runtime_protocol:
        own = type(instance)
        if all(
            getattr(own, name, None) is not None
            or (not callable(getattr(protocol, name, None)) and hasattr(instance, name))
            for name in typing._get_protocol_attrs(protocol)
        ):
            return True
    return _isinstance(protocol, instance)


def _jaxtyped_once(*args: Any, **settings: Any) -> Any:
    decorated = _jaxtyped(*args, **settings)
    return decorated if args else functools.partial(_checked, decorated)


def _checked(check: Callable[[Any], Any], function: Any) -> Any:
    """What `check` makes of a function, by the check of an equal one where there is any."""
    if not (
        isinstance(function, FunctionType)
        and function.__code__.co_flags & inspect.CO_NESTED
        # A default can be another at each definition, and names in text are looked up elsewhere.
        and not (function.__defaults__ or function.__kwdefaults__)
        and not any(map(_has_text, function.__annotations__.values()))
    ):
        return check(function)
    forms = ((name, _form(each)) for name, each in function.__annotations__.items())
    key = (id(function.__code__), *forms)
    if key not in checks:
        checks[key] = check(_stand_in(function))
    checked = checks[key]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        depth = len(_called.functions)
        _called.functions.append(function)
        try:
            return checked(*args, **kwargs)
        finally:
            del _called.functions[depth:]

    return call


def _stand_in(function: FunctionType) -> Callable[..., Any]:
    """Has the signature, and calls the one that is called now; keeps nothing of this one alive."""
    cells = tuple(CellType() for _ in function.__closure__ or ())
    signature = FunctionType(
        function.__code__, function.__globals__, function.__name__, None, cells
    )
    signature.__annotations__ = function.__annotations__
    signature.__qualname__, signature.__module__ = function.__qualname__, function.__module__

    @functools.wraps(signature)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        return _called.functions[-1](*args, **kwargs)

    return stand_in


def _form(annotation: Any) -> Any:
    """Equal for equal annotations: jaxtyping makes another class whenever one is read."""
    if isinstance(annotation, type) and issubclass(annotation, jaxtyping.AbstractArray):
        return annotation.array_type, annotation.dtype, annotation.dim_str
    parts = _parts(annotation)
    # The origin of a list, the arguments of a callable, is None.
    whole = parts or isinstance(annotation, list)
    return (get_origin(annotation), *map(_form, parts)) if whole else annotation


def _has_text(annotation: Any) -> bool:
    return isinstance(annotation, str | ForwardRef) or any(map(_has_text, _parts(annotation)))


def _parts(annotation: Any) -> Sequence[Any]:
    """Of `tuple[int, str]`, of a union, or the arguments of a callable, which come as a list."""
    return annotation if isinstance(annotation, list) else get_args(annotation)
