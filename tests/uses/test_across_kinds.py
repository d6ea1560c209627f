"""Queries of one kind find examples of the other, by both encoders of a run of pairs."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from tests.uses.tiny_encoder import write_encoder
from torch.nn.functional import cosine_similarity

from nearfar.cli import main
from nearfar.encoders.head_specs import LinearHeadSpec, MLPHeadSpec
from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.encoders.text_specs import TextBagSpec
from nearfar.training.generators import OwnDraws
from nearfar.uses.features_file import load_features

TEXTS = ["a <b>red</b> apple", "the sea", "a hill\x1b[31m", "a road by night"]


def save(run, tower, spec, shape, head):
    """One encoder of a run, at random weights."""
    with OwnDraws(len(shape)):
        encoder = spec.build(shape)
        behind = head, head.build(encoder.num_features)
    channels = [0.5] * (shape[0] if len(shape) == 3 else 0)
    save_encoder(
        run, encoder, spec, shape=shape, mean=channels, std=channels, head=behind, tower=tower
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run of pairs at first weights, and four pictures beside their texts."""
    root = tmp_path_factory.mktemp("across")
    save(root / "run", "first", SmallResNetSpec(width=4), (1, 8, 8), MLPHeadSpec(hidden=8, dim=6))
    texts = TextBagSpec(width=16, buckets=64, dropout=0.0)
    save(root / "run", "second", texts, (40,), LinearHeadSpec(dim=6))
    (root / "pictures").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)
    for number, (each, text) in enumerate(zip(pixels, TEXTS, strict=True)):
        Image.fromarray(each).save(root / "pictures" / f"{number}.png")
        (root / "pictures" / f"{number}.txt").write_text(text)
    (root / "lines.txt").write_text("\n".join(TEXTS) + "\n")
    return root


def cosines(place):
    """Of each picture with each text, by hand."""
    pictures = [Image.open(place / "pictures" / f"{number}.png") for number in range(4)]
    pixels = torch.stack([torch.from_numpy(np.array(each))[None] for each in pictures])
    with torch.no_grad():
        of_images = load_encoder(place / "run", "embedding")(pixels)
        of_texts = load_encoder(place / "run", "embedding", tower="second")(TEXTS)
    return cosine_similarity(of_images[:, None], of_texts[None], dim=2)


def found(capsys, *words):
    assert main(["neighbors", *map(str, words), "--across", "--json"]) in (None, 0)
    return json.loads(capsys.readouterr().out)


def test_a_text_finds_pictures(place, capsys):
    (answer,) = found(capsys, place / "run", TEXTS[1], "--data", place / "pictures", "--k", 4)
    assert answer["query"] == TEXTS[1]
    expected = cosines(place)[:, 1]
    assert len(answer["neighbors"]) == 4
    for near, row in zip(answer["neighbors"], expected.argsort(descending=True), strict=True):
        assert near["name"] == f"{row}.png"
        assert near["similarity"] == pytest.approx(float(expected[row]), abs=1e-5)


def test_a_picture_finds_texts_and_so_does_a_folder_of_them(place, capsys):
    second = place / "run" / "second_encoder.json"
    words = [second, place / "pictures" / "2.png", "--data", place / "lines.txt", "--k", 1]
    (answer,) = found(capsys, *words)
    best = int(cosines(place)[2].argmax())
    assert answer["neighbors"][0]["name"] == f"lines.txt:{best + 1}"
    several = found(capsys, second, place / "pictures", "--data", place / "lines.txt", "--k", 1)
    best = cosines(place).argmax(dim=1).tolist()
    assert [each["query"] for each in several] == [f"{number}.png" for number in range(4)]
    assert [each["neighbors"][0]["name"] for each in several] == [
        f"lines.txt:{row + 1}" for row in best
    ]


def test_the_page_shows_what_was_asked_beside_pictures(place, tmp_path):
    page = tmp_path / "page.html"
    words = [place / "run", TEXTS[0], "--data", place / "pictures", "--across", "--page", page]
    assert main(["neighbors", *map(str, words)]) in (None, 0)
    written = page.read_text()
    assert "a &lt;b&gt;red&lt;/b&gt; apple" in written
    assert "<b>red" not in written
    assert written.count("data:image") >= 4


def test_what_a_source_pairs_its_examples_with_is_embedded_by_the_second_encoder(
    place, tmp_path, capsys
):
    second, file = place / "run" / "second_encoder.json", tmp_path / "texts.npz"
    data = ["--data", "captioned-folder", "--data.root", place / "pictures", "--data.length", 40]
    words = [second, *data, "--data.test-fraction", 0, "--output", "embedding", "--out", file]
    assert main(["embed", *map(str, words)]) in (None, 0)
    held = load_features(file)
    assert (held.about.modality, held.about.output, len(held)) == ("texts", "embedding", 4)
    capsys.readouterr()
    (answer,) = found(capsys, second, place / "pictures" / "3.png", "--data", file, "--k", 1)
    near, expected = answer["neighbors"][0], cosines(place)[3]
    assert near["similarity"] == pytest.approx(float(expected.max()), abs=1e-5)
    assert near["text"].replace("\\x1b", "\x1b") == TEXTS[int(expected.argmax())]


def test_what_cannot_be_asked_is_told_in_a_line(place, tmp_path, capsys):
    def said(*words):
        assert main(["neighbors", *map(str, words)]) != 0
        (line,) = capsys.readouterr().err.splitlines()
        return line

    pictures, lines = place / "pictures", place / "lines.txt"
    assert "give some" in said(place / "run", "--data", pictures, "--across")
    line = said(place / "run", "the sea", "--data", pictures)
    assert "no such image: the sea" in line
    assert "add --across" in line
    alone = write_encoder(tmp_path / "alone", head=True)
    line = said(alone, "the sea", "--data", pictures, "--across")
    assert "holds one encoder alone: it takes a run of pairs" in line
    assert "this encoder takes images" in said(place / "run", "x", "--data", lines, "--across")
    second = place / "run" / "second_encoder.json"
    assert "no such image: the sea" in said(second, "the sea", "--data", lines, "--across")
    file = tmp_path / "features.npz"
    assert main(["embed", str(place / "run"), "--data", str(pictures), "--out", str(file)]) in (
        None,
        0,
    )
    capsys.readouterr()
    assert "another encoder" in said(place / "run", "the sea", "--data", file, "--across")
