"""Texts embedded, asked for neighbours and copies, shown in words, and learnt without a recipe."""

import json
import warnings

import numpy as np
import pytest
import torch

from nearfar.cli import main
from nearfar.contrastive_encoder import ContrastiveEncoder
from nearfar.data.source import Part
from nearfar.data.sources import load_source
from nearfar.data.text_specs import TextLinesSpec, TextTableSpec
from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.text_specs import TextBagSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.evaluation.pictures import readable, view_arrays
from nearfar.exports.onnx_model import onnx_model
from nearfar.recipes.found_data import find_data
from nearfar.recipes.own_choices import choose_recipe
from nearfar.report.sections import _gallery, _views
from nearfar.text_bytes import encoded
from nearfar.training.generators import OwnDraws
from nearfar.uses.features_file import load_features
from nearfar.views.specs import TextViewsSpec

LINES = [
    "the waves break on the shore",
    "the hill stands above the road",
    "<b>salt</b> and \x1b[31mwaves\x1b[0m of the sea",
    "the waves break on the shore",
    "a field, a tree and a stone",
    "a tree stands in the field",
]


@pytest.fixture
def text_run(tmp_path):
    """An encoder of texts with first weights, and a file of lines, in the working folder."""
    spec = TextBagSpec(width=16, buckets=512, dropout=0.0)
    with OwnDraws(0):
        encoder = spec.build((48,))
    save_encoder(tmp_path / "run", encoder, spec, shape=(48,), mean=(), std=())
    (tmp_path / "lines.txt").write_text("\n".join(LINES) + "\n")
    return tmp_path


def test_neighbours_of_a_text_are_told_in_words(text_run, capsys):
    words = [str(text_run / "run"), LINES[0], "--data", str(text_run / "lines.txt")]
    page = text_run / "page.html"
    assert main(["neighbors", *words, "--k", "2", "--page", str(page)]) in (None, 0)
    out = capsys.readouterr().out
    assert "the waves break on the shore" in out
    assert "lines.txt:1" in out
    assert main(["neighbors", *words, "--k", "6", "--json"]) in (None, 0)
    (found,) = json.loads(capsys.readouterr().out)
    assert found["query"] == LINES[0]
    assert found["neighbors"][0]["text"] == "the waves break on the shore"
    hostile = next(each["text"] for each in found["neighbors"] if "salt" in each["text"])
    assert "\x1b" not in hostile
    assert main(["neighbors", *words, "--k", "6", "--page", str(page)]) in (None, 0)
    written = page.read_text()
    assert "&lt;b&gt;salt&lt;/b&gt;" in written
    assert "<b>salt" not in written
    assert "\x1b" not in written + capsys.readouterr().out


def test_saved_texts_are_found_again_and_their_copies_named(text_run, capsys):
    features = str(text_run / "features.npz")
    data = ["--data", str(text_run / "lines.txt"), "--out", features]
    assert main(["embed", str(text_run / "run"), *data]) in (None, 0)
    held = load_features(text_run / "features.npz")
    assert held.names[:2] == ["lines.txt:1", "lines.txt:2"]
    assert held.about.modality == "texts"
    assert main(["duplicates", features, "--threshold", "0.01"]) in (None, 0)
    out = capsys.readouterr().out
    assert "lines.txt:1 = lines.txt:4" in out
    assert "the waves break on the shore" in out
    assert "1 equal texts" in out


def test_it_is_exported_for_nearfar_alone(text_run):
    with pytest.raises(NearfarError, match=r"tokens of a text by itself.* export --to hub"):
        onnx_model(load_encoder(text_run / "run"))


def test_an_empty_query_is_refused(text_run, capsys):
    words = [str(text_run / "run"), " ", "--data", str(text_run / "lines.txt")]
    assert main(["neighbors", *words]) == 1
    assert "an empty text has no neighbours" in capsys.readouterr().err


def test_what_is_shown_of_texts_is_one_line_without_what_a_terminal_obeys():
    rows, _ = encoded(["plain", "\x1b[2J\nx", "a \x1a b", "y" * 400], 512)
    assert readable(rows).tolist() == ["plain", r"\x1b[2J\nx", "a ░ b", "y" * 239 + "…"]
    part = Part(rows, modality="texts")
    views = TextViewsSpec(masking=0.5).build((512,), mean=(), std=())
    arrays = view_arrays(part, views, torch.device("cpu"))
    shown = _views(arrays)
    assert shown[0]["original"] == {"uri": None, "words": "plain"}
    assert len(shown[0]["samples"]) == 6
    gallery = _gallery(
        {
            "gallery_queries": np.array([1]),
            "gallery_bank_indices": np.array([0, 2]),
            "gallery_images": readable(rows)[[0, 2]],
            "shown_images": readable(rows),
            "neighbor_indices": np.array([[0, 2]] * 4),
            "neighbor_similarities": np.ones((4, 2), dtype=np.float32),
        }
    )
    assert gallery[0]["words"] == r"\x1b[2J\nx"
    assert [near["words"] for near in gallery[0]["neighbors"]] == ["plain", "a ░ b"]


def test_texts_are_found_and_a_recipe_is_chosen(tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join(LINES) + "\n")
    (tmp_path / "rows.csv").write_text(
        "id,review,kind\n"
        + "".join(f"{n},a review of number {n},{'ab'[n % 2]}\n" for n in range(8))
    )
    assert isinstance(find_data(tmp_path / "lines.txt").data, TextLinesSpec)
    assert isinstance(find_data(tmp_path).data, TextLinesSpec)
    found = find_data(tmp_path / "rows.csv")
    assert found.data == TextTableSpec(
        root=tmp_path / "rows.csv", text_column="review", label_column="kind"
    )
    assert "a table of texts in review, labels in kind" in found.why
    recipe, choices = choose_recipe(found.data, load_source(found.data), "fast", gpu=False)
    assert (recipe.encoder.name, recipe.views.name) == ("text-bag", "text")
    assert {"views", "network"} <= {each.what for each in choices}


def test_the_scikit_learn_encoder_takes_strings():
    kinds = ["wave salt ship sail", "hill tree road field"]
    generator = torch.Generator().manual_seed(0)
    texts = [
        " ".join(kinds[n % 2].split()[w] for w in torch.randint(4, (5,), generator=generator))
        for n in range(40)
    ]
    encoder = ContrastiveEncoder(epochs=2, width=8, projection_hidden=8, random_state=0)
    features = encoder.fit(texts).transform(texts)
    assert features.shape == (40, 8)
    np.testing.assert_array_equal(encoder.transform(np.array(texts, dtype=object)), features)
    assert encoder.encoder_(texts).shape == (40, 8)
    with pytest.warns(UserWarning, match="1 of 1 texts are longer than"):
        encoder.transform(["a very long text " * 100])
    with pytest.raises(ValueError, match="1 of 2 are no strings"):
        encoder.fit(["a text", None])
    with pytest.raises(ValueError, match="fit saw texts, and X holds none"):
        encoder.transform(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="modality is texts, and X holds no strings"):
        ContrastiveEncoder(modality="texts").fit(np.zeros((4, 4)))
    with pytest.raises(ValueError, match="modality is images, and X holds strings"):
        ContrastiveEncoder(modality="images").fit(texts)
    with pytest.raises(SettingError, match="small-resnet is for images, and the data are texts"):
        ContrastiveEncoder(backbone="small-resnet").fit(texts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ContrastiveEncoder(epochs=1, backbone="text-gru", width=8, views="simcse").fit(texts)
