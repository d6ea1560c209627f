"""Every number of every setting, made huge, tiny, negative or no number at all.

It is refused by name before anything is read, or the run that has it ends in words.
"""

import contextlib
import types
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Union, get_args, get_origin, get_type_hints

import pytest
import torch
from tests.peak_memory import peak_growth
from tests.recipes.small_recipe import small_recipe

from nearfar.errors import NearfarError, SettingError
from nearfar.evaluation.evaluate import evaluate
from nearfar.information.specs import CriticSpec, EstimationSpec
from nearfar.methods.unlabelled_specs import MoCoSpec
from nearfar.recipes.assembly import _seeded_method, as_saved, assemble, untrained_encoder
from nearfar.recipes.example_format import Format
from nearfar.recipes.names import RECIPES
from nearfar.run_folder.folder import RunFolder
from nearfar.training.loop import train

NAN, INF = float("nan"), float("inf")
NEVER = {int: (2**33, 2**63, 10**30, 10**400, -(10**30)), float: (NAN, INF, -INF, 1e308, 1e-320)}
"""What no setting is: refused everywhere, by name."""
ODD = {int: (-1, 0, 2**31 - 1, 2**32 - 1), float: (-1.0, 0.0, 1e-30, 1e30, 0.5)}
"""What some settings may be."""


def kinds(hint):
    """The numbers in a type: `int | None` has int, `tuple[tuple[int, float], ...]` both."""
    if hint in (int, float):
        return {hint}
    if get_origin(hint) in (Union, types.UnionType, tuple):
        return set().union(*map(kinds, get_args(hint)))
    return set()


def like(hint, number, kind):
    """A value of a type that holds the number wherever it may."""
    if hint in (int, float):
        return number if hint is kind else hint(1)
    if get_origin(hint) in (Union, types.UnionType):
        return like(next(each for each in get_args(hint) if kind in kinds(each)), number, kind)
    inner = [each for each in get_args(hint) if each is not Ellipsis]
    return tuple(like(each, number, kind) for each in inner)


def changed(settings, numbers, prefix=""):
    """Each setting with each number in its place, as (its name, what makes the settings)."""
    hints = get_type_hints(type(settings))
    for field in fields(settings):
        value, hint = getattr(settings, field.name), hints[field.name]
        if is_dataclass(value):
            for name, make in changed(value, numbers, f"{prefix}{field.name}."):
                yield name, partial(with_made, settings, field.name, make)
            continue
        for kind in kinds(hint):
            for number in numbers[kind]:
                wrong = {field.name: like(hint, number, kind)}
                yield f"{prefix}{field.name}", partial(replace, settings, **wrong)


def with_made(settings, name, make):
    return replace(settings, **{name: make()})


def of_every_method():
    """The first recipe of each method, objective and kind of data."""
    found = {}
    for make in RECIPES.values():
        recipe = make()
        objective = getattr(recipe.method, "objective", None)
        found.setdefault((recipe.method.name, objective, recipe.data.name), recipe)
    return [pytest.param(recipe, id=recipe.recipe) for recipe in found.values()]


@pytest.mark.parametrize("recipe", of_every_method())
def test_what_no_setting_is_is_refused_by_name(recipe, tmp_path):
    if recipe.data.root_needed:
        recipe = replace(recipe, data=replace(recipe.data, root=tmp_path))
    for name, make in changed(recipe, NEVER):
        with pytest.raises(SettingError) as refusal:
            make()
        assert name.rpartition(".")[2] in str(refusal.value)
        assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("number", [*NEVER[int], *ODD[int]])
@pytest.mark.parametrize("name", ["batch_size", "max_steps", "seed"])
def test_those_of_an_estimate_too(name, number):
    settings = {"batch_size": 8, "max_steps": 1, "learning_rate": 0.1, "seed": 0}
    with contextlib.suppress(SettingError):
        EstimationSpec(**settings | {name: number})
        assert 0 <= number < 2**32


@pytest.mark.parametrize("rate", NEVER[float])
def test_and_its_rate(rate):
    with pytest.raises(SettingError, match="learning_rate"):
        EstimationSpec(learning_rate=rate)


def test_and_its_critic():
    for _, make in changed(CriticSpec(), NEVER):
        with pytest.raises(SettingError, match="critic"):
            make()


@pytest.mark.parametrize(
    ("room", "changes", "said"),
    [
        ("encoder", {"width": 2**16}, "encoder.width"),
        ("method", {"projection_hidden": 2**20, "projection_dim": 2**20}, "the method's widths"),
        ("method", MoCoSpec(queue_size=2**31 - 1), "queue_size"),
        ("views", {"size": 4096, "count": 1024}, "views.size"),
    ],
)
def test_what_no_memory_holds_is_refused_before_it_is_built(room, changes, said, tmp_path):
    recipe = small_recipe(tmp_path)
    settings = changes if room == "method" and not isinstance(changes, dict) else None
    settings = settings or replace(getattr(recipe, room), **changes)
    recipe = replace(recipe, **{room: settings})

    def refused() -> None:
        message = r"the run needs [\d,.]+ GiB of memory, and there are"
        with pytest.raises(SettingError, match=message) as no:
            assemble(recipe)
        assert said in str(no.value)

    assert peak_growth(refused) < 2**28


@pytest.mark.parametrize("recipe", of_every_method())
def test_what_a_recipe_needs_is_measured_as_it_is_built(recipe):
    if recipe.data.name == "imagenet":
        pytest.skip("its ResNet-50 takes seconds to build")
    shape = {"images": (3, 64, 64), "series": (12, 20), "vectors": (13,), "texts": (40,)}
    shape = shape[recipe.encoder.takes]
    if recipe.encoder.name.startswith("cifar"):
        shape = (3, 32, 32)
    if recipe.encoder.name == "small-resnet":
        shape = (3, 32, 32)
    config = recipe.method
    if config.name == "cpc":
        config = replace(config, prediction_steps=1)
    example_format = Format(shape, (0.5,) * shape[0], (0.5,) * shape[0])
    counts = torch.full((10,), 20)
    recipe = replace(recipe, method=config)
    built = _seeded_method(recipe, example_format, counts, torch.device("cpu"))
    with torch.device("meta"):
        measured = _seeded_method(recipe, example_format, counts, torch.device("meta"))
    assert {each.device.type for each in measured.state_dict().values()} == {"meta"}
    sizes = {name: value.shape for name, value in built.state_dict().items()}
    assert {name: value.shape for name, value in measured.state_dict().items()} == sizes


LONG = {"epochs", "draws"}
"""What only makes a run longer."""


def accepted(tmp_path):
    """Settings that nothing refuses although a number is odd."""
    for name, make in changed(small_recipe(tmp_path), ODD):
        with contextlib.suppress(SettingError):
            odd = make()
            if name.rpartition(".")[2] not in LONG:
                yield name, odd


@pytest.mark.slow
def test_what_is_accepted_runs_or_ends_in_words(tmp_path):
    for number, (name, odd) in enumerate(accepted(tmp_path)):
        try:
            with contextlib.suppress(NearfarError):
                run(odd, tmp_path / str(number))
        except Exception as error:
            raise AssertionError(f"{name}: {odd}") from error


def run(recipe, folder):
    """Trains and judges, as `run_recipe` does."""
    assembly = assemble(recipe)
    run_folder = RunFolder.create(folder)
    train(
        assembly.method,
        assembly.views,
        assembly.batches,
        recipe.training,
        run_folder,
        seed=recipe.seed,
    )
    encoder = as_saved(assembly.method.encoder, recipe, assembly.format)
    evaluate(
        encoder,
        assembly.source,
        recipe.evaluation,
        views=assembly.views,
        untrained=untrained_encoder(recipe, assembly.format),
        run_folder=run_folder,
        device=assembly.hardware.device,
        workers=0,
    )
