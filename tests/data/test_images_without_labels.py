"""Images of tables and inside larger files of which some have no label."""

import pytest
import torch
from test_image_tables import table

from nearfar.data import late_checks
from nearfar.data.batches import TrainingBatches
from nearfar.data.source import JoinedExamples
from nearfar.data.sources import load_source, part_to_learn_from
from nearfar.data.specs import NpzSpec
from shards import COUNT, SPECS, write

SIX = """file,kind,split
0.png,a,train
1.png,,train
2.png,b,train
3.png, ,train
4.png,b,test
5.png,,test
"""
BARE = tuple(n for n in range(COUNT) if n % 3)


def greys(part):
    return [int(part.examples[row][0, 0, 0]) for row in range(len(part))]


def test_files_without_a_label_are_a_part_or_left_out_of_the_test_part(tmp_path):
    source = table(tmp_path, SIX, count=6)
    assert (source.train.names, source.train.labels.tolist()) == (["0.png", "2.png"], [0, 1])
    assert (source.unlabelled.names, source.unlabelled.labels) == (["1.png", "3.png"], None)
    assert (source.test.names, source.test.labels.tolist()) == (["4.png"], [1])
    assert source.class_names == ("a", "b")
    notes = "\n".join(source.notes)
    assert "2 of 4 images have no label" in notes
    assert "left out 1 of 2 test images without a label" in notes
    both = part_to_learn_from(source, NpzSpec())
    assert both.names == ["0.png", "2.png", "1.png", "3.png"]
    assert greys(both) == [0, 2, 1, 3]


def test_a_part_of_which_nothing_has_a_label(tmp_path):
    hidden = table(tmp_path, SIX.replace("4.png,b", "4.png,"), count=6, test_fraction=0.4)
    assert (len(hidden.train), len(hidden.unlabelled), hidden.test) == (2, 2, None)
    one = SIX.replace(",a,", ",,")
    for text, told in (
        (one.replace("2.png,b", "2.png,"), "not one of 4 images has a label"),
        (one, "1 of 4 images have a label, all of one class"),
    ):
        source = table(tmp_path, text, count=6, label_column="kind")
        assert [part.labels for part in (source.train, source.test)] == [None, None]
        assert (len(source.train), len(source.test), source.unlabelled) == (4, 2, None)
        assert source.class_names is None
        assert any(told in note for note in source.notes)


def test_beside_numbers_a_word_for_nothing_is_none(tmp_path):
    text = "file,label\n0.png,1\n1.png,NA\n2.png,2\n3.png,1\n"
    source = table(tmp_path, text)
    assert (source.class_names, source.unlabelled.names) == (("1", "2"), ["1.png"])


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", sorted(SPECS))
def test_images_in_larger_files(tmp_path, monkeypatch, kind, late):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = write(kind, tmp_path / "data", bare=BARE)
    held = load_source(SPECS[kind](root=root, test_fraction=0.25))
    assert greys(held.unlabelled) == list(BARE)
    assert sorted(greys(held.train) + greys(held.test)) == list(range(0, COUNT, 3))
    assert held.train.labels.tolist() == [grey % 2 for grey in greys(held.train)]
    assert "labelled images are held out" in held.notes[-1]
    if late:
        monkeypatch.setattr(late_checks, "AT_ONCE", 10)
    spec = SPECS[kind](root=root, test_fraction=0.25, in_memory_mib=0)
    streamed = load_source(spec)
    for ours, theirs in ((held.train, streamed.train), (held.unlabelled, streamed.unlabelled)):
        assert (ours.names, greys(ours)) == (theirs.names, greys(theirs))
    assert torch.equal(streamed.test.labels, held.test.labels)
    both = part_to_learn_from(streamed, spec)
    assert isinstance(both.examples, JoinedExamples)
    assert both.examples.faults is streamed.faults
    whole = part_to_learn_from(held, spec)
    drawn = [
        [batch[:, 0, 0, 0].tolist() for batch, _, _ in
         TrainingBatches(part.examples, None, batch_size=6, seed=1, device="cpu").epoch(1)]
        for part in (both, whole)
    ]  # fmt: skip
    assert drawn[0] == drawn[1]
