import pytest

from nearfar.errors import SettingError
from nearfar.recipes.names import DEFAULT_RECIPE, RECIPES, recipe_named


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_carries_its_own_name(name):
    assert recipe_named(name).recipe == name


def test_the_default_is_a_recipe_whose_data_need_no_network():
    assert recipe_named(DEFAULT_RECIPE).data.name == "digits"


def test_a_misspelt_recipe_is_refused_with_the_nearest():
    with pytest.raises(SettingError, match="'simclr-dgits': did you mean 'simclr-digits'"):
        recipe_named("simclr-dgits")
