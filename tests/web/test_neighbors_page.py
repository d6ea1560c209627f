"""Neighbours on the site: made ready beside the server, asked for in words, bounded."""

import threading
import time

import numpy as np
import pytest
import torch
from web_runs import ask, begin_run, client_of, ids, leave_encoder, until_ready

from nearfar.data.source import Part, Source
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.encoders.text_specs import TextBagSpec
from nearfar.errors import NearfarError
from nearfar.web import nearest
from nearfar.web.nearest import search
from nearfar.web.searches import Searches
from nearfar.web.sights import Sights


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    run = begin_run(folder / "digits")
    leave_encoder(run, SmallResNetSpec(width=4), (1, 8, 8))
    return folder


def test_examples_are_found_and_their_neighbours_are_the_nearest(digits):
    client = client_of(digits)
    run = ids(client)["digits"]
    assert "not ready yet" in ask(client, "api/examples", run).json()["error"]
    state = until_ready(client, run)
    assert state["told"] == "500 test images beside 1,297 training images"
    assert state["asks"] == {"typed": None, "across": None, "among": [], "letters": 300}
    refused = ask(client, "api/typed", run, text="seven").json()["error"]
    assert "no encoder of this run takes texts" in refused

    found = ask(client, "api/examples", run, find="7").json()
    assert {example["label"] for example in found["examples"][:3]} <= {"7"} | {
        example["label"] for example in found["examples"] if "7" in example["name"]
    }
    assert len(found["examples"]) == 48 < found["total"]
    after = ask(client, "api/examples", run, find="7", first=str(found["total"] - 1)).json()
    assert len(after["examples"]) == 1
    assert ask(client, "api/examples", run, find="no such thing").json()["total"] == 0

    answer = ask(client, "api/nearest", run, row="3").json()
    similarities = [near["similarity"] for near in answer["nearest"]]
    assert len(similarities) == 16
    assert similarities == sorted(similarities, reverse=True)
    assert similarities == pytest.approx(slowly(digits / "digits", 3), abs=2e-3)
    for near in answer["nearest"]:
        assert near["right"] == (near["label"] == answer["query"]["label"])
        assert near["uri"].startswith("data:image/png;base64,")
    assert "they end at 499" in ask(client, "api/nearest", run, row="500").json()["error"]


def slowly(run, row):
    """The largest cosines of a query, by NumPy in float64."""
    from nearfar.data.sources import load_source
    from nearfar.data.specs import DigitsSpec
    from nearfar.encoders.saved import load_encoder

    encoder, source = load_encoder(run), load_source(DigitsSpec())
    with torch.no_grad():
        bank = encoder(source.train.examples).double().numpy()
        query = encoder(source.test.examples[row : row + 1]).double().numpy()[0]
    cosines = bank @ query / np.linalg.norm(bank, axis=1) / np.linalg.norm(query)
    return np.sort(cosines)[::-1][:16]


def test_texts_are_found_by_their_words_and_shown_as_text(tmp_path):
    lines = ["the waves break", "<b>salt</b> and \x1b[31mwaves", "the hill", "a tree", "a stone"]
    (tmp_path / "lines.txt").write_text("\n".join(lines * 4) + "\n")
    runs = tmp_path / "runs"
    data = {"name": "text-lines", "root": str(tmp_path / "lines.txt"), "length": 48}
    run = begin_run(runs / "texts", data=data, encoder={"name": "text-bag"}, views={"name": "text"})
    leave_encoder(run, TextBagSpec(width=16, buckets=512, dropout=0.0), (48,))
    client = client_of(runs)
    known = ids(client)["texts"]
    assert "failed" not in until_ready(client, known)
    found = ask(client, "api/examples", known, find="SALT").json()
    assert found["total"] >= 1
    assert found["examples"][0]["words"] == r"<b>salt</b> and \x1b[31mwaves"
    answer = ask(client, "api/nearest", known, row=str(found["examples"][0]["row"])).json()
    assert answer["nearest"][0]["words"] == answer["query"]["words"]


def test_series_are_drawn_on_one_scale_and_vectors_told_in_numbers():
    rising = torch.linspace(0, 1, 20).expand(6, 2, 20) * torch.arange(1.0, 7.0)[:, None, None]
    part = Part(rising.clone(), modality="series")
    one, *_ = Sights.fitting(part).of(Part(part.examples[:1], modality="series"))
    again = Sights.fitting(part).of(part)[0]
    assert one["uri"] == again["uri"]
    assert one["uri"].startswith("data:image/png")
    vectors = Part(torch.arange(16.0).reshape(2, 8), modality="vectors")
    assert Sights.fitting(vectors).of(vectors)[1] == {"words": "8, 9, 10, 11, 12, 13, …"}


def test_without_a_test_part_examples_look_among_the_others(digits, monkeypatch):
    whole = nearest.load_source

    def without_test(spec):
        source = whole(spec)
        few = nearest.choose(source.train, torch.arange(40))
        return Source("digits", few, class_names=source.class_names)

    monkeypatch.setattr(nearest, "load_source", without_test)
    ready = search(digits / "digits", lambda _: None)
    assert ready.told == "40 training images; no test part"
    assert all(row not in ready.similar[row].tolist() for row in range(40))


def test_large_parts_are_thinned_evenly_and_that_is_told(digits, monkeypatch):
    monkeypatch.setattr(nearest, "MOST_GALLERY", 100)
    monkeypatch.setattr(nearest, "MOST_QUERIES", 7)
    said = []
    ready = search(digits / "digits", said.append)
    assert ready.told == "7 of 500 test images beside 100 of 1,297 training images"
    assert (len(ready.queries), len(ready.gallery)) == (7, 100)
    assert said[-1] == "107 of 107 embedded"


def test_what_stands_in_the_way_is_told(tmp_path):
    begin_run(tmp_path / "unfinished")
    lost = begin_run(tmp_path / "lost", data={"name": "npz", "root": str(tmp_path / "gone.npz")})
    leave_encoder(lost, SmallResNetSpec(width=4), (1, 8, 8))
    broken = begin_run(tmp_path / "broken")
    leave_encoder(broken, SmallResNetSpec(width=4), (1, 8, 8))
    broken_weights = broken.encoder_weights.read_bytes()
    broken.encoder_weights.write_bytes(broken_weights[:-1] + b"x")
    client = client_of(tmp_path)
    known = ids(client)
    assert "no encoder yet" in ask(client, "api/search", known["unfinished"]).json()["error"]
    assert "gone.npz" in until_ready(client, known["lost"])["failed"]
    failed = until_ready(client, known["broken"])["failed"]
    assert "encoder.safetensors" in failed
    # Asked again, it is tried again: the file may have been put right meanwhile.
    broken.encoder_weights.write_bytes(broken_weights)
    assert until_ready(client, known["broken"]).get("ready")


def test_nothing_is_fetched_for_the_page(tmp_path, monkeypatch):
    data = {"name": "fashion-mnist", "root": str(tmp_path / "empty"), "download": True}
    run = begin_run(tmp_path / "runs" / "one", data=data)
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr("urllib.request.urlopen", None)
    with pytest.raises(NearfarError, match="download"):
        nearest._source(run.path)


def test_one_run_at_a_time_and_what_was_not_asked_for_long_is_forgotten(tmp_path):
    for name in "abcd":
        begin_run(tmp_path / name).encoder_weights.write_bytes(b"")
    made, go = [], threading.Event()

    def make(path, say):
        say("making")
        made.append(path.name)
        assert go.wait(20)
        if path.name == "d":
            raise RuntimeError("a \x1b library")
        return path.name

    def finished(name):
        deadline = time.monotonic() + 20
        while "doing" in (state := searches.state(tmp_path / name)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return state

    searches = Searches(make)
    for name in "abcd":
        searches.state(tmp_path / name)
    assert searches.state(tmp_path / "b") == {"doing": "waiting for another run's"}
    go.set()
    assert finished("d") == {"failed": r"RuntimeError: a \x1b library"}
    assert made == ["a", "b", "c", "d"]
    assert searches.ready(tmp_path / "c") == "c"
    with pytest.raises(NearfarError, match="not ready yet"):
        searches.ready(tmp_path / "a")
    assert finished("a") == {"ready": True}
    assert made == ["a", "b", "c", "d", "a"]
