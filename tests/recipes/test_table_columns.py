"""Tables whose columns stand in another order, or are others, than the encoder has learnt from."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tests.recipes.small_recipe import light_recipe

from nearfar.cli.given_data import GivenData, examples_of
from nearfar.data.columns import in_columns
from nearfar.data.sources import load_source
from nearfar.data.specs import CSVSpec, ParquetSpec
from nearfar.encoders.saved import load_encoder
from nearfar.encoders.specs import MLPSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.distill_spec import DistillSpec
from nearfar.recipes.assembly import assemble
from nearfar.recipes.config_json import read_recipe
from nearfar.recipes.run import evaluate_run, run_recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.table_features import TableFeature
from nearfar.training.ranks import Ranks
from nearfar.views.specs import VectorViewsSpec
from nearfar.web.nearest import search

NAMES = ["height", "width", "age", "class"]


def plain(*names):
    return tuple(map(TableFeature, names))


def frame(rows=60):
    random = np.random.default_rng(0)
    held = pd.DataFrame(random.normal(size=(rows, 3)) * [1, 100, 1e4], columns=NAMES[:3])
    return held.assign(**{"class": np.arange(rows) % 2})


def written(path, columns=NAMES, **more):
    table = frame().assign(**more)[list(columns)]
    table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path)
    return path


def recipe_of(folder, path, **changes):
    spec = CSVSpec if path.suffix == ".csv" else ParquetSpec
    return light_recipe(
        folder,
        data=spec(root=path, label_column="class"),
        views=VectorViewsSpec(),
        encoder=MLPSpec(width=8, depth=1),
        **changes,
    )


@pytest.fixture(scope="module", params=["csv", "parquet"])
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    path = written(folder / f"table.{request.param}")
    return run_recipe(recipe_of(folder, path), folder / "run").parent, path


def features(run, path):
    encoder = load_encoder(run)
    found, _ = examples_of(
        GivenData(str(path), None), encoder, Ranks.now(), fit="squash", max_corrupt=0.01
    )
    (part,) = found.parts.values()
    return encoder(part.examples), found.notes


def test_columns_are_taken_by_their_names(trained, tmp_path):
    run, path = trained
    expected, _ = features(run, path)
    mixed = written(
        tmp_path / path.name, ["class", "age", "more", "height", "width"], more=np.arange(60.0)
    )
    found, notes = features(run, mixed)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert any(
        note.startswith("1 feature the encoder does not know, and so not read: more")
        for note in notes
    )


def test_a_table_that_lacks_some_is_refused(trained, tmp_path):
    run, path = trained
    lacking = written(tmp_path / path.name, ["age", "girth", "width"], girth=1.0)
    with pytest.raises(SettingError, match="no column height, which the encoder has learnt from"):
        features(run, lacking)


def test_a_judgement_reads_them_by_name_too(trained, tmp_path):
    run, path = trained
    mixed = written(tmp_path / path.name, ["age", "class", "width", "height"])
    data = replace(recipe_of(tmp_path, path).data, root=mixed)

    def judged(data, out):
        return evaluate_run(run, data=data, out=out).read_evaluation()

    assert judged(data, tmp_path / "mixed") == judged(replace(data, root=path), tmp_path / "own")


def test_a_run_that_begins_with_it_learns_from_them_in_its_order(trained, tmp_path):
    run, path = trained
    mixed = written(tmp_path / path.name, ["age", "class", "width", "height"])
    begun = recipe_of(tmp_path, mixed)
    begun = replace(begun, encoder=replace(begun.encoder, start=str(run)))
    assembly = assemble(begun)
    assert assembly.format.columns == plain("height", "width", "age")
    known = load_encoder(run)
    torch.testing.assert_close(assembly.format.mean, tuple(known.mean.tolist()))
    assert assembly.part.example_shape == (3,)


def test_the_site_reads_them_as_the_encoder_does(trained, tmp_path):
    run, path = trained
    mixed = written(tmp_path / path.name, ["age", "class", "width", "height"])
    begun = recipe_of(tmp_path, mixed)
    begun = replace(begun, encoder=replace(begun.encoder, start=str(run)))
    page = run_recipe(begun, tmp_path / "run", judge=False)
    shown = search(page.parent, lambda _: None)
    spread = shown.gallery.part.examples.std(0)
    assert spread.argsort().tolist() == [0, 1, 2]  # height, width, age


def test_a_teacher_of_another_order_is_refused(trained, tmp_path):
    run, path = trained
    mixed = written(tmp_path / path.name, ["age", "class", "width", "height"])
    with pytest.raises(SettingError, match=r"method\.teacher has learnt from a table"):
        assemble(recipe_of(tmp_path, mixed, method=DistillSpec(teacher=str(run))))
    assemble(recipe_of(tmp_path, path, method=DistillSpec(teacher=str(run))))


def test_features_without_names_are_taken_as_they_stand(tmp_path):
    path = tmp_path / "table.csv"
    np.savetxt(path, np.random.default_rng(0).normal(size=(9, 3)), delimiter=",")
    source = load_source(CSVSpec(root=path))
    assert source.columns is None
    assert in_columns(source, plain("b", "a", "c")) is source


def test_the_values_of_a_list_have_names_of_their_own(tmp_path):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"a": [1.0, 2.0], "rows": [[1.0, 2.0], [3.0, 4.0]]}).to_parquet(path)
    source = load_source(ParquetSpec(root=path, test_fraction=0))
    assert source.columns == plain("a", "rows[0]", "rows[1]")


def mixed(folder, rows=60):
    random = np.random.default_rng(1)
    city = random.choice(["Bern", "Oslo", "Rome"], rows)
    age = np.where(np.arange(rows) % 9 == 0, np.nan, random.normal(40, 9, rows))
    table = pd.DataFrame({"age": age, "income": random.normal(size=rows), "city": city})
    return written_as(folder / "mixed.csv", table.assign(**{"class": np.arange(rows) % 2}))


def written_as(path, table):
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def of_words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    path = mixed(folder)
    recipe = recipe_of(folder, path)
    data = replace(recipe.data, categories=("city",), fill_missing=True)
    return run_recipe(replace(recipe, data=data), folder / "run").parent, path


def test_words_and_gaps_are_read_as_the_encoder_has_learnt_them(of_words, tmp_path):
    run, path = of_words
    assert [str(each) for each in load_encoder(run).columns] == [
        *("age", "age missing", "income", "city=Bern", "city=Oslo", "city=Rome")
    ]
    whole, _ = features(run, path)
    few = pd.read_csv(path).iloc[8:11, ::-1]  # one gap, and not every city
    assert few.city.nunique() < 3
    found, notes = features(run, written_as(tmp_path / "few.csv", few))
    assert (
        "the mean that the encoder has learnt stands for numbers that are missing in age" in notes
    )
    torch.testing.assert_close(found, whole[8:11], rtol=1e-5, atol=1e-6)


def test_a_row_without_a_number_or_a_word_is_read_too(of_words, tmp_path):
    run, path = of_words
    (whole, _), table = features(run, path), pd.read_csv(path)
    found, _ = features(run, written_as(tmp_path / "one.csv", table.iloc[9:10]))
    assert table.age[9:10].isna().all()
    torch.testing.assert_close(found, whole[9:10], rtol=1e-5, atol=1e-6)
    no_city, _ = features(run, written_as(tmp_path / "none.csv", table.iloc[9:10].assign(city="")))
    assert not torch.allclose(no_city, found)


def test_what_stands_for_a_gap_is_what_stood_for_it_in_training(of_words, tmp_path):
    run, _ = of_words
    again = evaluate_run(run, out=tmp_path / "again")
    assert again.read_evaluation() == RunFolder(run).read_evaluation()


@pytest.mark.parametrize(("column", "value"), [("age", np.nan), ("city", "")])
def test_a_column_without_a_value_teaches_nothing(tmp_path, column, value):
    path = mixed(tmp_path)
    written_as(path, pd.read_csv(path).assign(**{column: value}))
    recipe = recipe_of(tmp_path, path)
    data = replace(recipe.data, categories=("city",), fill_missing=True)
    with pytest.raises(NearfarError, match=f"column {column} has no value in any row to learn"):
        assemble(replace(recipe, data=data))


def test_a_word_that_it_has_not_learnt_is_none(of_words, tmp_path):
    run, path = of_words
    table = pd.read_csv(path).iloc[:3]
    none, other = table.assign(city=""), table.assign(city=["Wien", "Wien", "Bern"])
    encoded, notes = features(run, written_as(tmp_path / "other.csv", other))
    assert any(note.endswith("city=Wien") for note in notes)
    none = none.assign(city=["", "", "Bern"])
    expected, _ = features(run, written_as(tmp_path / "none.csv", none))
    torch.testing.assert_close(encoded, expected, rtol=0, atol=0)


def test_views_of_words_hold_one_of_them(of_words):
    run, _ = of_words
    assembly = assemble(read_recipe(run))
    generator = torch.Generator().manual_seed(0)
    view = assembly.views.draw(assembly.part.examples, generator)
    words = view[:, 3:] * assembly.views._std[3:] + assembly.views._mean[3:]
    assert (words.double().sum(1) - 1).abs().max() < 0.6  # noise alone, no second word


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, r"city: 60 of 60 values are no numbers .* read it as words by data\.categories"),
        ({"categories": ("city",)}, r"age: 7 of 60 .*\(empty\).* data\.fill_missing"),
        ({"categories": ("town",)}, r"unknown column in data\.categories 'town'"),
    ],
)
def test_what_is_no_number_is_refused_and_told_how_to_read(tmp_path, changes, said):
    path = mixed(tmp_path)
    with pytest.raises(NearfarError, match=said):
        load_source(CSVSpec(root=path, leave_out=() if changes else ("age",), **changes))


def test_names_of_rows_are_no_categories(tmp_path):
    table = pd.DataFrame({"a": np.arange(1200.0), "name": [f"n{row}" for row in range(1200)]})
    path = written_as(tmp_path / "names.csv", table)
    with pytest.raises(NearfarError, match=r"has 1,200 different words.*leave it out"):
        load_source(CSVSpec(root=path, categories=("name",)))
