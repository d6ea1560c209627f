"""Words and pictures that look for the other kind, asked for on the site."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity
from web_runs import TOKEN, ask, begin_run, client_of, ids, leave_encoder, leave_pairs, until_ready

from nearfar.data.file_faults import Faults
from nearfar.data.source import Part, Partners, StreamedExamples
from nearfar.data.sources import load_source
from nearfar.encoders.head_specs import LinearHeadSpec
from nearfar.encoders.saved import load_encoder
from nearfar.encoders.specs import MLPSpec
from nearfar.encoders.text_specs import TextBagSpec
from nearfar.recipes.config_json import read_recipe
from nearfar.text_bytes import decoded, encoded
from nearfar.uses.neighbors import Searchable
from nearfar.web import typed
from nearfar.web.across import both_kinds
from nearfar.web.shelves import Shelf
from nearfar.web.sights import Sights

HOSTILE = "<img src=x onerror=alert(1)>\x1b[31m sea"
TEXTS = [HOSTILE, "the sea", "a hill", "a road", "the sea", "a tree", "a stone", "snow"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """The site of one run of pairs, ready to be asked; its client, its id and its folder."""
    runs = tmp_path_factory.mktemp("runs") / "site"
    run = leave_pairs(runs / "pairs", TEXTS)
    client = client_of(runs)
    known = ids(client)["pairs"]
    asks = until_ready(client, known)["asks"]
    assert asks == {"typed": "images", "across": "texts", "among": ["test", "training"]} | {
        "letters": 300
    }
    return client, known, run.path


def by_hand(run, part):
    """Cosines of a part's images with its texts, and the texts."""
    held = load_source(read_recipe(run).data).parts[part]
    texts = decoded(held.partners.others[held.partners.rows[:, 0]])
    with torch.no_grad():
        of_images = load_encoder(run, "embedding")(held.examples)
        of_texts = load_encoder(run, "embedding", tower="second")(texts)
    return cosine_similarity(of_images[:, None], of_texts[None], dim=2).numpy(), texts


@pytest.mark.parametrize("part", ["test", "training"])
def test_words_find_the_images_that_lie_nearest_in_the_space_of_both(pairs, part):
    client, known, run = pairs
    cosines, texts = by_hand(run, {"training": "train"}.get(part, part))
    answer = ask(client, "api/typed", known, text=f"  {texts[0]} ", among=part).json()
    expected = np.argsort(-cosines[:, 0])
    assert [near["row"] for near in answer["nearest"]] == expected.tolist()
    similarities = [near["similarity"] for near in answer["nearest"]]
    assert similarities == pytest.approx(cosines[expected, 0].tolist(), abs=2e-3)
    assert all(near["uri"].startswith("data:image/png;base64,") for near in answer["nearest"])
    assert answer["title"] == f"Nearest of {len(texts)} {part} images"
    if part == "test":
        assert ask(client, "api/typed", known, text=texts[0]).json() == answer


def test_a_picture_finds_texts_and_its_own_is_marked(pairs):
    client, known, run = pairs
    cosines, texts = by_hand(run, "test")
    for row, line in enumerate(cosines):
        found = ask(client, "api/nearest", known, row=row, among="test").json()["across"]
        order = np.argsort(-line)
        assert [near["similarity"] for near in found["nearest"]] == pytest.approx(
            line[order].tolist(), abs=2e-3
        )
        assert found["own"] == (
            f"Its own stands at place {int((line > line[row]).sum()) + 1} of {len(texts)}."
        )
        marked = [near.get("right", False) for near in found["nearest"]]
        assert marked == [each == row for each in order]
        assert [near["name"] for near in found["nearest"]] == [f"example {each}" for each in order]
    among = ask(client, "api/nearest", known, row=0, among="training").json()["across"]
    assert "own" not in among
    assert len(among["nearest"]) == len(TEXTS) - len(texts)
    assert "across" not in ask(client, "api/nearest", known, row=0).json()


def test_hostile_words_come_back_as_text_and_cut_ones_are_told(pairs):
    client, known, _ = pairs
    answer = ask(client, "api/typed", known, text=HOSTILE)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["query"]["words"] == HOSTILE.replace("\x1b", r"\x1b")
    assert answer.json()["notes"] == []
    for text in ("%00%e2%80%ae%ed%a0%80", "%c3%a9" * 300):
        answer = client.get(f"/{TOKEN}/api/typed?id={known}&text={text}").json()
        assert answer["query"]["words"].isprintable()
    assert "longer than the 40 bytes" in answer["notes"][0]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"text": "  "}, "nothing to look for: type some words"),
        ({}, "nothing to look for: type some words"),
        ({"text": "x" * 301}, "301 letters: at most 300"),
        ({"text": "sea", "among": "<b>all</b>"}, "part to look among"),
    ],
)
def test_what_cannot_be_looked_for_is_told_in_a_line(pairs, asked, said):
    client, known, _ = pairs
    answer = ask(client, "api/typed", known, **asked)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    if "among" in asked:
        assert said in ask(client, "api/nearest", known, row=0, among="x").json()["error"]


def test_the_model_is_loaded_once_and_asked_beside_the_event_loop(pairs, monkeypatch):
    client, known, _ = pairs
    threads = []
    whole = typed.features_of

    def noted(*arguments):
        threads.append(threading.current_thread())
        with pytest.raises(RuntimeError, match="no running event loop"):
            __import__("asyncio").get_running_loop()
        return whole(*arguments)

    monkeypatch.setattr(typed, "features_of", noted)
    monkeypatch.setattr("nearfar.web.nearest.load_encoder", None)
    monkeypatch.setattr("nearfar.web.across.load_encoder", None)
    for text in TEXTS[:3]:
        assert ask(client, "api/typed", known, text=text).status_code == 200
    assert len(threads) == 3
    assert threading.main_thread() not in threads


def test_pairs_without_a_test_part_are_looked_among_whole(tmp_path):
    leave_pairs(tmp_path / "site" / "pairs", TEXTS, test_fraction=0)
    client = client_of(tmp_path / "site")
    known = ids(client)["pairs"]
    assert until_ready(client, known)["asks"]["among"] == ["training"]
    found = ask(client, "api/nearest", known, row=0, among="training").json()["across"]
    assert found["own"].endswith("of 8.")


class _Damaged(StreamedExamples):
    """Examples of which the first, called a, could not be read."""

    def __init__(self, rows):
        self.rows, self.shape = rows, tuple(rows.shape[1:])
        self.faults = Faults("x", total=5, kind="vector", max_corrupt=0.5)
        self.faults.add([("a", "cut short")])

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


@pytest.mark.parametrize("first", ["texts", "vectors"])
def test_any_two_kinds_find_one_another_and_words_are_asked_of_the_one_that_is_texts(
    tmp_path, first
):
    """As a plug-in's source may pair them: texts with vectors, or vectors with vectors."""
    numbers = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    vectors = Part(numbers, modality="vectors")
    texts = Part(encoded(TEXTS[:5], 40)[0], modality="texts")
    rows = torch.tensor([[0, 1], [1, -1], [2, -1], [3, -1], [4, -1]])
    partners = Partners(rows, vectors.examples, "vectors")
    part = replace(texts if first == "texts" else vectors, partners=partners)
    run = begin_run(tmp_path / "run")
    spec = {"texts": TextBagSpec(width=16, buckets=64, dropout=0.0), "vectors": MLPSpec(width=8)}
    leave_encoder(run, spec[first], part.example_shape, LinearHeadSpec(dim=6))
    leave_encoder(run, spec["vectors"], (3,), LinearHeadSpec(dim=6), "second")
    with torch.no_grad():
        features = load_encoder(run.path)(part.examples)
        cosines = cosine_similarity(
            load_encoder(run.path, "embedding")(part.examples)[:, None],
            load_encoder(run.path, "embedding", tower="second")(numbers)[None],
            dim=2,
        )
    shelf = Shelf(part, (), Sights.fitting(part), Searchable(features))
    across = both_kinds(run.path, {"training": shelf}, {"training": features}, lambda _: None)
    assert across.finds == "vectors"
    found = across.nearest(0, "training")
    assert [near["row"] for near in found["nearest"]] == cosines[0].argsort(
        descending=True
    ).tolist()
    assert {near["row"] for near in found["nearest"] if near.get("right")} == {0, 1}
    place = int((cosines[0] > cosines[0, :2].max()).sum()) + 1
    assert found["own"] == f"Its own stands at place {place} of 5."
    if first == "vectors":
        assert across.typed is None
        lost = replace(part, examples=_Damaged(part.examples), names=list("abcde"))
        shelves = {"training": replace(shelf, part=lost)}
        across = both_kinds(run.path, shelves, {"training": features}, lambda _: None)
        unread, read = across.nearest(0, "training"), across.nearest(1, "training")
        assert unread["own"] == "It cannot be read, and another stands in for it."
        assert not any(near.get("right") for near in unread["nearest"])
        assert read["own"].startswith("Its own stands at place")
        return
    answer = across.typed.nearest(TEXTS[2], "training")["nearest"]
    assert [near["row"] for near in answer] == cosines[2].argsort(descending=True).tolist()


def test_words_find_texts_in_a_run_of_texts(tmp_path):
    (tmp_path / "lines.txt").write_text("\n".join(TEXTS * 3) + "\n")
    data = {"name": "text-lines", "root": str(tmp_path / "lines.txt"), "length": 48}
    runs = tmp_path / "site"
    run = begin_run(runs / "texts", data=data, encoder={"name": "text-bag"}, views={"name": "text"})
    leave_encoder(run, TextBagSpec(width=16, buckets=512, dropout=0.0), (48,))
    client = client_of(runs)
    known = ids(client)
    asks = until_ready(client, known["texts"])["asks"]
    assert (asks["typed"], asks["across"], asks["among"]) == ("texts", None, ["training", "test"])
    for part in asks["among"]:
        answer = ask(client, "api/typed", known["texts"], text="the sea", among=part).json()
        assert answer["nearest"][0]["words"] == "the sea"
        assert answer["nearest"][0]["similarity"] == pytest.approx(1)
        assert part in answer["title"]
