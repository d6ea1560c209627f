"""Folders named query and gallery: what is learnt from, what asks, and what is refused."""

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from source_files import write_images
from torch import nn

from nearfar.data.fingerprint import source_fingerprint
from nearfar.data.folder_parts import search_named
from nearfar.data.sources import load_source
from nearfar.data.specs import FolderSpec, WavSpec
from nearfar.errors import NearfarError
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.uses.embeddable import of_source

ALL_BUT = tuple(name for name in ProtocolSpec.known() if name != "retrieval")


def _load(root, **settings):
    return load_source(FolderSpec(root=root, **settings))


def _write(root, *folders, each=2):
    write_images(root, [f"{folder}/{n}.png" for folder in folders for n in range(each)])


def _both(query, gallery, *more):
    return [*(f"query/{name}" for name in query), *(f"gallery/{name}" for name in gallery), *more]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *[(name, "query") for name in ("query", "Queries", "probe", "probe_images")],
        *[(name, "gallery") for name in ("gallery", "GALLERY", "gallery_set", "galleries")],
        *[(name, None) for name in ("art_gallery", "probed", "queried", "train", "")],
    ],
)
def test_names_of_the_two_sets(name, part):
    assert search_named(name) == part


def test_beside_train_their_classes_are_their_own(tmp_path):
    _write(tmp_path, "train/a", "train/b", "train/c", *_both("xy", "xyz"), each=3)
    source = _load(tmp_path)
    assert source.class_names == ("a", "b", "c")
    # As ever, a test part is cut from the training part where there is none.
    assert source.test is not None
    assert len(source.train) + len(source.test) == 9
    assert source.search is not None
    assert source.search.class_names == ("x", "y", "z")
    queries, gallery = source.search.queries, source.search.gallery
    assert queries.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert gallery.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert queries.names[0] == "query/x/0.png"
    assert any("query/ (6 images) asks gallery/ (9 images)" in note for note in source.notes)
    assert list(source.parts) == ["train", "test", "query", "gallery"]
    # What embed saves names every class once.
    held = of_source(source, {})
    assert held.class_names == ("a", "b", "c", "x", "y", "z")
    assert held.parts["query"].labels.tolist() == [3, 3, 3, 4, 4, 4]


@pytest.mark.parametrize("inside", ["", "test/"])
def test_in_a_test_folder_too_and_a_test_part_stays(tmp_path, inside):
    sets = [f"{inside}{folder}" for folder in _both("xy", "xy")]
    _write(tmp_path, "train/a", "train/b", *sets, *([] if inside else ["test/a", "test/b"]))
    source = _load(tmp_path, test_fraction=0.0)
    assert len(source.search.queries) == len(source.search.gallery) == 4
    assert (source.test is None) == bool(inside)
    assert len(source.train) == 4


def test_without_train_the_gallery_is_learnt_from_and_no_query(tmp_path):
    _write(tmp_path, *_both("abq", "abcd"))
    source = _load(tmp_path)
    assert source.class_names == ("a", "b", "c", "d")
    assert {name.split("/")[0] for name in source.train.names} == {"gallery"}
    # Of a class that the gallery lacks there is nothing to find.
    assert {name.rpartition("/")[0] for name in source.test.names} == {"query/a", "query/b"}
    assert source.search.queries is source.test
    assert source.search.gallery is source.train
    said = " ".join(source.notes)
    assert "there is no train/: the encoder learns from gallery/" in said
    assert "left out 2 of query/: gallery/ has nothing of q" in said
    assert list(source.parts) == ["train", "test"]


def test_sets_without_classes(tmp_path):
    write_images(tmp_path / "flat", ["query/0.png", "query/1.png", "gallery/2.png"])
    flat = _load(tmp_path / "flat")
    assert (len(flat.train), len(flat.test), flat.search) == (1, 2, None)
    _write(tmp_path / "beside", "train/a", "train/b", "query/x", "query/y")
    write_images(tmp_path / "beside", ["gallery/0.png"])
    beside = _load(tmp_path / "beside")
    assert beside.search is None
    said = "gallery/ has fewer than two class folders, so it is not known"
    assert any(said in note for note in beside.notes)
    _write(tmp_path / "one", "train/a", "train/b", *_both("xy", "x"))
    assert any(said in note for note in _load(tmp_path / "one").notes)


def test_one_of_the_two_is_a_class_like_any_other(tmp_path):
    _write(tmp_path, "gallery", "kitchen", "query_room")
    assert _load(tmp_path).class_names == ("gallery", "kitchen", "query_room")


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (_both("xy", "ab"), "no class folder of query/ is in gallery/"),
        (_both("ab", "ab", "probe/a", "probe/b"), "probe/ and query/ are named as the same set"),
        (
            _both("ab", "ab", "test/a", "test/b"),
            "test/ is a part to judge by, and there is no train/",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(tmp_path, folders, words):
    _write(tmp_path, *folders)
    with pytest.raises(NearfarError, match=words):
        _load(tmp_path)


def test_folders_beside_the_two_are_passed_over(tmp_path):
    _write(tmp_path, *_both("ab", "ab", "masks/a", "masks/b"))
    source = _load(tmp_path)
    assert len(source.train) == 4
    assert any("passed over masks/ (4 images): only" in note for note in source.notes)


def test_sounds_have_them_too(tmp_path):
    draws = np.random.default_rng(0)
    for folder in _both("ab", "ab"):
        for name in range(2):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            sound = draws.integers(-99, 99, 40).astype(np.int16)
            wavfile.write(tmp_path / folder / f"{name}.wav", 8000, sound)
    source = load_source(WavSpec(root=tmp_path))
    assert source.search.gallery is source.train


def test_retrieval_asks_the_gallery_also_where_train_has_no_labels(tmp_path):
    write_images(tmp_path, [f"train/{n}.png" for n in range(4)])
    _write(tmp_path, *_both("xy", "xyz"), each=3)
    source = _load(tmp_path)
    # Every picture of a class alike, and the classes apart.
    for part in (source.search.queries, source.search.gallery):
        part.examples[:] = (80 * part.labels)[:, None, None, None].to(torch.uint8)
        part.examples[:, :, 0] = 255
    spec = EvaluationSpec.by(leave_out=ALL_BUT)
    found = evaluate(nn.Flatten(), source, spec)
    values = {(r.protocol, r.features, r.parameters.get("k")): r for r in found.records}
    assert values["recall", "encoder", 1].value == 1
    assert values["map_at_r", "raw", None].value == 1
    assert {r.parameters["gallery"] for r in found.records} == {"gallery"}
    assert {r.n for r in found.records} == {6}
    assert any(note.startswith("no accuracies") for note in found.notes)


def test_what_is_asked_is_part_of_what_was_judged(tmp_path):
    _write(tmp_path, "train/a", "train/b", *_both("xy", "xy"), each=3)
    before = source_fingerprint(_load(tmp_path))
    (tmp_path / "query" / "x" / "2.png").unlink()
    assert source_fingerprint(_load(tmp_path)) != before
