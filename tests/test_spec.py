"""Settings that are valid or do not exist."""

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, field, replace
from typing import Annotated, ClassVar, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt

from nearfar.encoders.specs import MLPSpec, TimmSpec
from nearfar.errors import SettingError
from nearfar.methods.unlabelled_specs import BYOLSpec
from nearfar.spec import (
    Above0,
    Choice,
    Count,
    Nested,
    NotNegative,
    Share,
    Spec,
    as_spec,
    changed_choice,
    set_apart,
    settings_of,
    to_json,
)
from nearfar.training.specs import AdamWSpec, LARSSpec, SGDSpec


class Fruit(Choice, noun="fruit"):
    room: ClassVar[str] = "basket.fruit."


class Apple(Fruit):
    """An apple."""

    target = "fractions:Fraction"
    name: Literal["apple"] = "apple"
    weight: Above0 = 0.2
    worms: Annotated[int, Ge(0), Le(3)] = 0


class Pear(Fruit):
    """A pear."""

    name: Literal["pear"] = "pear"
    weight: Above0 = 0.3
    ripeness: Annotated[float, Gt(0), Lt(1)] = 0.5


class Basket(Spec):
    """Fruit, and what is said of it."""

    room: ClassVar[str] = "basket."
    fruit: Nested[Fruit] = Apple()
    label: Literal["own", "bought"] = "own"
    sizes: tuple[float, float] | None = None
    pieces: tuple[Count, Share] = (1, 0.5)
    count: Count = 1
    full: Share = 0.0
    price: NotNegative = 1.0
    closed: bool = False

    def check(self) -> None:
        if self.closed and self.count > 5:
            raise SettingError(f"basket.count is {self.count}: a closed basket holds 5")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"count": 0}, "basket.count is 0: it must be 1 or more"),
        ({"count": 1.5}, "basket.count is 1.5: it must be a whole number"),
        ({"count": "many"}, "basket.count is 'many': it must be a whole number"),
        ({"count": 10**30}, "basket.count is a number of 31 digits: it must be at most"),
        ({"full": 1.1}, "basket.full is 1.1: it must be 0 to 1"),
        ({"full": float("nan")}, "basket.full is nan: it must be a finite number"),
        ({"price": -1}, "basket.price is -1: it must be 0 or more"),
        ({"price": 1e35}, "basket.price is 1e+35: it must be 1e-30 to 1e+30 in size, or 0"),
        ({"closed": "perhaps"}, "basket.closed is 'perhaps': it must be true or false"),
        ({"label": "borrow"}, "unknown basket.label 'borrow': choose one of bought, own"),
        ({"label": "ownn"}, "unknown basket.label 'ownn': did you mean 'own'?"),
        ({"sizes": (1.0, float("inf"))}, "basket.sizes is inf: it must be a finite number"),
        ({"sizes": (1.0,)}, "basket.sizes is (1.0,): it must be 2 values"),
        ({"sizes": (1.0, 2.0, 3.0)}, "basket.sizes is (1.0, 2.0, 3.0): it must be 2 values"),
        ({"pieces": (0, 0.5)}, "basket.pieces, value 1, is 0: it must be 1 or more"),
        ({"pieces": (1, 2)}, "basket.pieces, value 2, is 2: it must be 0 to 1"),
        ({"pieces": (1,)}, "basket.pieces is (1,): it must be 2 values"),
        ({"sizes": 3.0}, "basket.sizes is 3.0: it must be 2 values"),
        ({"cuont": 1}, "unknown setting 'basket.cuont': did you mean 'basket.count'?"),
        ({"count": 6, "closed": True}, "basket.count is 6: a closed basket holds 5"),
        ({"fruit": "aple"}, "unknown fruit 'aple': did you mean 'apple'?"),
        ({"fruit": 3}, "basket.fruit: its settings must be an object, not 3"),
        ({"fruit": {"weight": 1.0}}, "basket.fruit.name is missing: choose one of apple, pear"),
        ({"fruit": {"name": "apple", "worms": 4}}, "basket.fruit.worms is 4: it must be 0 to 3"),
        (
            {"fruit": {"name": "pear", "ripeness": 1}},
            "ripeness is 1: it must be above 0 and below 1",
        ),
        (
            {"fruit": {"name": "apple", "ripeness": 0.5}},
            "basket.fruit.ripeness is 0.5: apple has no such setting, it belongs to pear",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_when_it_is_made(settings, said):
    with pytest.raises(SettingError) as refused:
        Basket(**settings)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(SettingError):
        replace(Basket(), **settings)


@pytest.mark.parametrize(
    "give", [lambda: Pear("pear", 1.0, 0.5, 3), lambda: Pear("pear", name="pear")]
)
def test_what_is_given_twice_or_too_much_is_no_setting(give):
    with pytest.raises(TypeError, match="Pear has name, weight, ripeness: each can be given once"):
        give()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (TimmSpec("timm/resnet18", "small"), TimmSpec("timm/resnet18", stem="small")),
        (MLPSpec("mlp", 64, 3), MLPSpec(width=64, depth=3)),
        (
            SGDSpec("sgd", 0.1, 1e-3, 0.8),
            SGDSpec(learning_rate=0.1, weight_decay=1e-3, momentum=0.8),
        ),
        (BYOLSpec("byol", 64, 32), BYOLSpec(projection_hidden=64, projection_dim=32)),
    ],
)
def test_values_without_names_mean_what_they_meant_before_settings_came_between(given, named):
    assert given == named


def test_a_setting_that_came_between_is_given_by_name_alone():
    class Bag(Spec):
        size: int = 1
        colour: str = field(default="red", kw_only=True)
        weight: int = 2

    assert Bag(3, 4, colour="blue") == Bag(size=3, weight=4, colour="blue")
    with pytest.raises(TypeError, match="each can be given once"):
        Bag(3, 4, "blue")  # pyright: ignore[reportCallIssue]


def test_a_spec_cannot_be_changed_and_is_equal_to_its_like():
    assert Basket(fruit=Pear()) == Basket(fruit="pear") == Basket(fruit={"name": "pear"})
    assert len({Basket(), Basket(), Basket(count=2)}) == 2
    with pytest.raises(FrozenInstanceError):
        Basket().count = 3  # pyright: ignore[reportAttributeAccessIssue]


def test_it_goes_to_json_and_back():
    basket = Basket(fruit=Pear(weight=0.4), sizes=(1.0, 2.0))
    written = to_json(basket)
    assert written["fruit"] == {"name": "pear", "weight": 0.4, "ripeness": 0.5}
    assert written["sizes"] == [1.0, 2.0]
    assert as_spec(Basket, written) == basket


def test_another_choice_keeps_what_both_have_and_was_set():
    assert changed_choice(Apple(weight=0.7, worms=2), "pear") == Pear(weight=0.7)
    assert changed_choice(Apple(), "pear") == Pear()
    apple = Apple(worms=1)
    assert changed_choice(apple, "apple") is apple
    with pytest.raises(SettingError, match="did you mean 'pear'"):
        changed_choice(apple, "pearr")


def test_what_means_another_thing_in_another_choice_is_not_kept():
    assert changed_choice(AdamWSpec(learning_rate=0.003), "sgd") == SGDSpec()
    assert changed_choice(SGDSpec(momentum=0.5), "lars") == LARSSpec(momentum=0.5)


def test_settings_are_told_apart_from_defaults():
    assert set_apart(Apple(worms=1)) == {"worms": 1}
    assert settings_of(Pear()) == {"weight": 0.3, "ripeness": 0.5}
    assert Fruit.owners("weight") == ["apple", "pear"]


def test_the_target_is_called_with_the_spec():
    class Plum(Fruit):
        target = "tests.test_spec:built"
        name: Literal["plum"] = "plum"

    try:
        assert Plum().build(3, more=4) == (Plum(), 3, 4)
        assert Fruit.named("plum") is Plum
    finally:
        del Fruit.choices["plum"]


def built(spec, count, *, more):
    return spec, count, more


@pytest.mark.parametrize("first", ["nearfar.methods.clip_spec", "nearfar.evaluation.pair_specs"])
def test_lists_have_one_order_whichever_file_of_specs_is_imported_first(first):
    code = (
        f"import {first}, json, sys; from nearfar.recipes.recipe import *; "
        "from nearfar.evaluation.protocol_spec import ProtocolSpec; "
        "kinds = MethodSpec, ProtocolSpec, EncoderSpec, SourceSpec; "
        "assert 'torch' not in sys.modules; "
        "print(json.dumps([list(each.known()) for each in kinds]))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    methods, protocols, encoders, sources = json.loads(told.stdout)
    assert (methods[0], methods[-1]) == ("simclr", "clip")
    assert (protocols[0], protocols[-1]) == ("few_labels", "across_kinds")
    assert encoders[:2] == ["small-resnet", "cifar-resnet20"]
    assert encoders[-1] == "huggingface"
    assert (sources[0], sources[-1]) == ("digits", "vector-pairs-npz")
