"""Sentences by both objectives, small: every figure is there, and the words say what came."""

from dataclasses import replace

import pandas as pd
import pytest
from papers.alignment_uniformity import sentences
from papers.alignment_uniformity.sentences import CONTRASTIVE, DIRECT, FIGURES, SETTINGS

WORDS = {"sea": "wave salt ship sail tide", "land": "hill tree road field stone"}


@pytest.fixture
def small(tmp_path):
    """The recipe on two made novels and scored pairs of their words."""
    for novel, words in WORDS.items():
        (tmp_path / "novels" / novel).mkdir(parents=True)
        for chapter in range(3):
            lines = [f"{first} {second} {chapter}." for first in words.split() for second in WORDS]
            (tmp_path / "novels" / novel / f"{chapter}.txt").write_text("\n".join(lines) + "\n")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(
        "first,second,score\nwave sea,salt sea,1\nhill,ship,0\nfield,sail,0\nroad,tree,1\n"
    )
    recipe = sentences.novels()
    return replace(
        recipe,
        data=replace(recipe.data, root=tmp_path / "novels", test_fraction=0.34, length=48),
        encoder=replace(recipe.encoder, width=8, vocabulary=270),
        training=replace(recipe.training, epochs=1, batch_size=8),
        evaluation=sentences.judged_by(pairs),
    )


def test_every_figure_of_each_setting_and_of_the_baselines_is_measured(small, tmp_path):
    settings = {name: several[:1] for name, several in SETTINGS.items()}
    data = sentences.measure(0, recipe=small, settings=settings).assign(seed=0)
    trained = data[data["objective"].isin(list(SETTINGS))]
    assert len(trained) == len(SETTINGS) * len(FIGURES)
    assert set(trained["figure"]) == set(FIGURES)
    baselines = data.drop(trained.index)
    assert set(baselines["objective"]) == set(sentences.BASELINES.values())
    assert set(baselines["figure"]) == {"knn", "follows"}
    data.to_csv(tmp_path / "kept.csv", index=False)
    kept = pd.read_csv(tmp_path / "kept.csv")
    assert sentences.draw(kept).get_axes()
    told = sentences.findings(kept)
    assert told.count("\n| ") == 1 + 1 + 4
    assert told.count(" |  |") == len(sentences.BASELINES)  # they have no held-out figure alone


def test_what_is_compared_is_chosen_by_held_out_sentences_alone():
    """The setting that test sentences like best is another one for either objective."""
    rows = [
        {"objective": objective, "setting": setting, "figure": figure, "seed": seed}
        | {"value": value + seed / 10}
        for objective, settings in {CONTRASTIVE: ("a", "b"), DIRECT: ("c", "d")}.items()
        for setting in settings
        for figure, value in _made(setting).items()
        for seed in range(3)
    ]
    told = sentences.findings(pd.DataFrame(rows))
    assert "| contrastive | b (chosen) |" in told
    assert "| alignment + uniformity | c (chosen) |" in told
    assert "follow each other contrastive is ahead (alignment + uniformity: −2.0)" in told
    assert "By kNN the two cannot be told apart (alignment + uniformity: +0.0)" in told


def _made(setting: str) -> dict[str, float]:
    held_out = {"a": 30, "b": 40, "c": 40, "d": 30}[setting]
    follows = {"a": 50, "b": 22, "c": 20, "d": 60}[setting]
    return {"held out": held_out, "follows": follows, "knn": 10.0}
