"""One check serves all definitions of a nested function; no property is read to know a protocol."""

import gc
import sys
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Annotated, Any, Literal, Protocol, TypeVar, runtime_checkable

import jaxtyping
import pytest
import torch
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from beartype.vale import Is
from jaxtyping import Float, TypeCheckError
from tests import type_checks
from torch import Tensor, nn

from nearfar.objectives import n_pair

made: list[Callable[..., Any]] = []


def counted(function: Callable[..., Any]) -> Callable[..., Any]:
    made.append(function)
    return beartype(function)


# As jaxtyping's import hook writes it above every function.
def checked(function):
    return jaxtyping.jaxtyped(typechecker=counted)(function)


def halved_by(kept: Tensor, annotation: Any = int) -> Callable[..., Any]:
    @checked
    def halved(rows: Float[Tensor, "rows dim"], plus: annotation) -> Float[Tensor, "half dim"]:
        """Half of the rows."""
        return rows[: len(rows) // 2].to(kept.dtype) + kept * plus

    return halved


def test_a_second_definition_makes_no_check_and_is_checked_all_the_same():
    made.clear()
    first, second = halved_by(torch.zeros(1)), halved_by(torch.ones(1).double())
    assert {function.__name__ for function in made} == {"halved"}
    assert len(made) == 2  # one of the parameters and one of what is returned
    assert first(torch.ones(4, 2), 1).tolist() == [[1, 1]] * 2
    assert second(torch.ones(4, 2), 1).tolist() == [[2, 2]] * 2
    assert second(torch.ones(4, 2), 1).dtype == torch.float64
    for function in (first, second):
        with pytest.raises(TypeCheckError, match=r"parameters of .*halved_by"):
            function(torch.ones(4), 1)
        with pytest.raises(TypeCheckError, match="parameters"):
            function(torch.ones(4, 2), "1")
        with pytest.raises(TypeError, match="missing a required argument"):
            function(torch.ones(4, 2))
    with pytest.raises(TypeCheckError, match="return value"):
        halved_by(torch.ones(1, 1, 1))(torch.ones(4, 2), 1)
    assert (first.__name__, first.__doc__) == ("halved", "Half of the rows.")


def test_other_annotations_make_a_check_of_their_own():
    assert len(halved_by(torch.zeros(1))(torch.ones(4, 2), 1)) == 2
    with pytest.raises(TypeCheckError, match="plus"):
        halved_by(torch.zeros(1), str)(torch.ones(4, 2), 1)
    assert len(halved_by(torch.zeros(1), float)(torch.ones(4, 2), 0.5)) == 2


def test_a_default_is_that_of_its_own_definition():
    def with_default(value: Any) -> Callable[[], Any]:
        @checked
        def get(value: int = value) -> int:
            return value

        return get

    assert [with_default(number)() for number in (1, 2)] == [1, 2]
    with pytest.raises(BeartypeCallHintViolation):
        with_default("3")()


def test_without_shapes_all_types_are_checked_too():
    made.clear()

    def named_by(kept: str) -> Callable[..., Any]:
        @checked
        def named(numbers: list[int], *, plain: bool) -> dict[str, int | str]:
            return {kept: sum(numbers)} if plain else {sum(numbers): kept}

        return named

    assert named_by("a")([1, 2], plain=True) == {"a": 3}
    for numbers, plain in ((["1"], True), ([1], 1), (1, True), ([1], False)):
        with pytest.raises(BeartypeCallHintViolation, match="named"):
            named_by("a")(numbers, plain=plain)
    assert len(made) == 1


def test_what_is_disabled_checks_nothing(monkeypatch):
    @checked
    def nested(number: int) -> int:
        return number

    @checked
    def with_default(number: int = 0) -> int:
        return number

    @checked
    def shaped(number: Float[Tensor, " one"]) -> Float[Tensor, " one"]:
        return number

    functions = (nested, with_default, shaped)
    for function in functions:
        with pytest.raises((TypeCheckError, BeartypeCallHintViolation)):
            function("1")
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    assert [function("1") for function in functions] == ["1"] * 3


def test_shapes_are_found_wherever_they_stand():
    shape = Float[Tensor, "rows rows"]
    for annotation in (shape, shape | None, list[tuple[int, shape]], TypeVar("T", bound=shape)):

        @checked
        def given(square: annotation) -> None:
            pass

        wrong = (
            [(1, torch.ones(2, 3))] if annotation == list[tuple[int, shape]] else torch.ones(2, 3)
        )
        with pytest.raises(TypeCheckError):
            given(wrong)


def test_what_passed_is_asked_again_only_where_kinds_are_others():
    asked = []

    def counting(function: Callable[..., Any]) -> Callable[..., Any]:
        def check(*args, **kwargs):
            asked.append(function)
            return beartype_of(*args, **kwargs)

        beartype_of = beartype(function)
        return check

    def cut(rows, to, pair=None, *, into="rows"):
        return {"rows": rows[:to], "flat": rows.flatten(), "many": (rows,) * to}[into]

    Rows = Float[Tensor, "_ dim"]
    cut.__annotations__ = {
        "rows": Float[Tensor, "rows dim"],
        "to": int,
        "pair": tuple[int | None, Rows] | None,
        "into": Literal["rows", "flat", "many"],
        "return": Rows | tuple[Rows, Rows],
    }
    function = jaxtyping.jaxtyped(typechecker=counting)(cut)
    row, rows = torch.ones(1, 2), torch.ones(4, 2)
    for wanted, pair in enumerate([None, (1, row), (None, row), (1, rows), (1, row.double())], 1):
        function(rows, 2, pair)
        assert len(asked) == 2 * wanted
        assert len(function(rows, 2, pair)) == 2
        assert len(asked) == 2 * wanted
    # An answer of another shape, to arguments of known kinds.
    assert len(function(rows, 1)) == 1
    assert len(asked) == 12
    for into, to in (("flat", 2), ("rows", "2"), ("other", 2), ("rows", None), ("many", 3)):
        with pytest.raises(TypeCheckError):
            function(rows, to, into=into)
    assert len(function(rows, 2, into="many")) == 2
    for pair in ((1, torch.ones(1, 3)), (1, row.long()), ("1", row), (1, row, row), (1,), [1, row]):
        with pytest.raises(TypeCheckError):
            function(rows, 2, pair)
    for wrong in (torch.ones(4), rows.long(), [[1.0, 2.0]]):
        with pytest.raises(TypeCheckError):
            function(wrong, 2)


def test_an_answer_of_another_shape_is_found_though_its_arguments_passed():
    @checked
    def doubled(rows: Float[Tensor, "rows dim"], wrong: bool = False) -> Float[Tensor, "rows dim"]:
        return torch.cat([rows, rows]) if wrong else 2 * rows

    flags = iter([False, False, True, True])

    @checked
    def by_turns(rows: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
        return torch.cat([rows, rows]) if next(flags) else 2 * rows

    assert doubled(torch.ones(2, 3)).sum() == by_turns(torch.ones(2, 3)).sum() == 12
    by_turns(torch.ones(2, 3))
    for _ in range(2):
        with pytest.raises(TypeCheckError, match="return value"):
            doubled(torch.ones(2, 3), True)
        with pytest.raises(TypeCheckError, match="return value"):
            by_turns(torch.ones(2, 3))


def test_where_values_count_every_call_is_checked():
    @checked
    def sized(size: int, rows: Float[Tensor, "{size} dim"]) -> None:
        pass

    @checked
    def chosen(rows: Float[Tensor, "rows dim"], way: Literal[1, 2] = 1) -> None:
        pass

    @checked
    def short(rows: Float[Tensor, "rows dim"], by: Annotated[int, Is[lambda n: n < 3]]) -> None:
        pass

    @checked
    def several(*each: list[Float[Tensor, "rows dim"]] | tuple[Tensor, ...]) -> None:
        pass

    # Of these a check draws one item.
    for mixed in ([torch.ones(2, 3), 1], (torch.ones(2, 3), 1)):
        with pytest.raises(TypeCheckError):
            [several(mixed) for _ in range(99)]
    for _ in range(2):
        sized(2, torch.ones(2, 3))
        chosen(torch.ones(2, 3), 2)
        short(torch.ones(2, 3), 2)
        with pytest.raises(TypeCheckError):
            sized(3, torch.ones(2, 3))
        with pytest.raises(TypeCheckError):
            chosen(torch.ones(2, 3), 3)
        with pytest.raises(TypeCheckError):
            short(torch.ones(2, 3), 3)


def test_nothing_of_a_definition_outlives_it():
    kept = torch.zeros(1)
    function, gone = halved_by(kept), weakref.ref(kept)
    function(torch.ones(4, 2), 1)
    with pytest.raises(TypeCheckError):
        function(torch.ones(4), 1)
    del kept, function
    gc.collect()
    assert gone() is None


def test_each_call_reaches_its_own_definition():
    both = Barrier(2)

    def adding(step: int) -> Callable[[int], int]:
        @checked
        def add(left: int) -> int:
            if left == 0:
                both.wait(60)
                return 0
            # The other definition is called while this one runs.
            return step + adding(10 * step)(left - 1) // 10

        return add

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda step: adding(step)(3), (1, 2))) == [3, 6]


def test_losses_of_nearfar_make_no_check_a_second_time():
    rows = torch.randn(4, 3).requires_grad_()
    n_pair(rows, rows.detach()).backward()
    before = len(type_checks.checks)
    assert before > 0
    n_pair(rows, rows.detach()).backward()
    assert len(type_checks.checks) == before


@runtime_checkable
class Shaped(Protocol):
    inner: object

    @property
    def size(self) -> int: ...

    def move(self) -> None: ...


class Costly(nn.Module):
    read = 0

    @property
    def size(self) -> int:
        self.read += 1
        return 1

    def move(self) -> None:
        pass


class Child(Shaped):
    """No protocol, but a class of its own."""


def test_no_property_is_read_to_know_a_protocol():
    costly = Costly()
    assert not isinstance(costly, Shaped)
    costly.read = 0
    costly.inner = nn.Identity()  # a module keeps modules where `vars` does not show them
    assert isinstance(costly, Shaped) == (sys.version_info < (3, 12))
    assert not isinstance(costly, Child)
    assert costly.read == 0


def test_a_method_that_is_none_is_none():
    class Still(Costly):
        move = None

    still = Still()
    still.inner = nn.Identity()
    assert not isinstance(still, Shaped)
