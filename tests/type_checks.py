"""What makes checking every type in every test affordable; what is checked stays the same.

`--jaxtyping-packages` has jaxtyping and beartype check every function of nearfar, also those inside
of functions. These are defined at each call of the outer one, and beartype wrote and compiled a new
check for each: of a loss of eight rows that took ten times as long as the loss itself. A check
depends on nothing but the code and the annotations, so that one serves all definitions. Where no
shape is annotated there is none to compare, and beartype alone checks in a twentieth of the time.

What a check of shapes finds depends on nothing but types, dtypes and shapes. A call whose arguments
and answer have those of an earlier call that passed is right too, and is not checked again. That
takes a quarter of the time of a check.

Whether an object is of a protocol, Python before 3.12 finds out by reading all its members, also
properties: every step of a training computed what `Method.scalars` logs six times, half of all its
time. A property is there where the class has it.
"""

import functools
import inspect
import sys
import threading
import typing
from collections.abc import Callable, Iterable, Sequence
from types import CellType, FunctionType
from typing import Annotated, Any, ForwardRef, Literal, NamedTuple, TypeVar, get_args, get_origin
from weakref import WeakKeyDictionary

import jaxtyping
import numpy as np
from torch import Tensor, nn

Decorator = Callable[[Any], Any]
_jaxtyped = jaxtyping.jaxtyped
_Protocol = type(typing.Protocol)
_isinstance = _Protocol.__instancecheck__
_MOST_PARTS = 8
_LONGEST_WORD = 32
_opaque_types: WeakKeyDictionary[type, bool] = WeakKeyDictionary()


class _Check(NamedTuple):
    """How one function is checked, and of what kinds the arguments and answers were that passed."""

    checked: Callable[..., Any]
    passed: dict[Any, set[Any]] | None


checks: dict[tuple[Any, ...], _Check] = {}


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
    return decorated if args else functools.partial(_checked, decorated, settings["typechecker"])


def _checked(with_shapes: Decorator, without: Decorator, function: Any) -> Any:
    """The function, checked by what its annotations need, by the check of an equal one if any."""
    if not isinstance(function, FunctionType):
        return with_shapes(function)
    annotations = function.__annotations__
    # Names in text are looked up by jaxtyping, where the function was written.
    if any(_has(each, _is_text) for each in annotations.values()):
        return with_shapes(function)
    shaped = any(_has(each, _is_shape) for each in annotations.values())
    # A default can be another at each definition.
    defaults = function.__defaults__ or function.__kwdefaults__
    if defaults or not function.__code__.co_flags & inspect.CO_NESTED:
        if not shaped:
            return _unless_disabled(function, without(function))
        return _calling(function, _check(with_shapes, function))
    key = (id(function.__code__), *((name, _form(each)) for name, each in annotations.items()))
    if key not in checks:
        checks[key] = (
            _check(with_shapes, function) if shaped else _Check(without(_stand_in(function)), None)
        )
    return _calling(function, checks[key])


def _check(with_shapes: Decorator, function: FunctionType) -> _Check:
    by_value = any(_has(each, _is_by_value) for each in function.__annotations__.values())
    return _Check(with_shapes(_stand_in(function)), None if by_value else {})


def _calling(function: FunctionType, check: _Check) -> Callable[..., Any]:
    """The function, checked unless a call of the same kinds has passed."""

    def asked(answer: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """What the check lets through of this answer to these arguments."""
        __tracebackhide__ = True
        depth = len(_called.functions)
        _called.functions.append(answer)
        try:
            return check.checked(*args, **kwargs)
        finally:
            del _called.functions[depth:]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        passed = check.passed
        given = None if passed is None else _kind((args, tuple(kwargs.items())))
        if passed is None or given is None:
            return asked(function, args, kwargs)
        if given not in passed:
            answer = asked(function, args, kwargs)
            passed.setdefault(given, set())
        else:
            answer = function(*args, **kwargs)
            if _kind(answer) in passed[given]:
                return answer
            asked(lambda *_, **__: answer, args, kwargs)
        kind = _kind(answer)
        if kind is not None:
            passed[given].add(kind)
        return answer

    return call


def _kind(value: Any) -> Any:
    """All of a value that a check may look at, or None if it may look at more."""
    kind = type(value)
    if kind is Tensor or kind is nn.Parameter or kind is np.ndarray:
        return kind, value.dtype, value.shape
    if kind is str:
        return (kind, value) if len(value) <= _LONGEST_WORD else None
    if kind is tuple or kind is list:
        parts = tuple(map(_kind, value)) if len(value) <= _MOST_PARTS else (None,)
        return None if None in parts else (kind, parts)
    if kind not in _opaque_types:
        # A check looks into containers, and compares classes with one another.
        looked_into = ("__iter__", "__getitem__", "__contains__", "shape")
        _opaque_types[kind] = not (
            issubclass(kind, type) or any(hasattr(kind, name) for name in looked_into)
        )
    return kind if _opaque_types[kind] else None


def _unless_disabled(function: FunctionType, checked: Callable[..., Any]) -> Callable[..., Any]:
    """As jaxtyping's own checks are, which a test of our words for what is wrong disables."""
    if checked is function:  # nothing is annotated
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        disabled = jaxtyping.config.jaxtyping_disable
        return function(*args, **kwargs) if disabled else checked(*args, **kwargs)

    return call


def _stand_in(function: FunctionType) -> Callable[..., Any]:
    """Has the signature, and calls the one that is called now; keeps nothing of this one alive."""
    cells = tuple(CellType() for _ in function.__closure__ or ())
    signature = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, cells
    )
    signature.__kwdefaults__ = function.__kwdefaults__
    signature.__annotations__ = function.__annotations__
    signature.__qualname__, signature.__module__ = function.__qualname__, function.__module__

    @functools.wraps(signature)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        return _called.functions[-1](*args, **kwargs)

    return stand_in


def _form(annotation: Any) -> Any:
    """Equal for equal annotations: jaxtyping makes another class whenever one is read."""
    if _is_shape(annotation):
        return annotation.array_type, annotation.dtype, annotation.dim_str
    parts = _parts(annotation)
    # The origin of a list, the arguments of a callable, is None.
    whole = parts or isinstance(annotation, list)
    return (get_origin(annotation), *map(_form, parts)) if whole else annotation


def _has(annotation: Any, kind: Callable[[Any], bool]) -> bool:
    return kind(annotation) or any(_has(part, kind) for part in _parts(annotation))


def _is_text(annotation: Any) -> bool:
    return isinstance(annotation, str | ForwardRef)


def _is_shape(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, jaxtyping.AbstractArray)


def _is_by_value(annotation: Any) -> bool:
    """More than types and shapes counts: a number, a condition, which item of a list is drawn."""
    if _is_shape(annotation):
        return "{" in annotation.dim_str
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        return Ellipsis in arguments
    if origin is Literal:
        return not all(isinstance(each, str) for each in arguments)
    return origin is Annotated or (isinstance(origin, type) and issubclass(origin, Iterable))


def _parts(annotation: Any) -> Sequence[Any]:
    """Of `tuple[int, str]`, of a union, of a variable, or the list of a callable's arguments."""
    if isinstance(annotation, TypeVar):
        return (*annotation.__constraints__, annotation.__bound__)
    if get_origin(annotation) is Literal:
        return ()
    return annotation if isinstance(annotation, list) else get_args(annotation)
