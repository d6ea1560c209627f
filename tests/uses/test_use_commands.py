"""The commands on saved features: tables, pages and JSON, from pictures with hostile names."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from tests.uses.tiny_encoder import tiny_encoder

from nearfar.cli import main
from nearfar.data.fingerprint import part_fingerprint
from nearfar.data.source import Part
from nearfar.data.tolerant_files import all_images
from nearfar.uses.embed import embed
from nearfar.uses.embeddable import of_folder
from nearfar.uses.features_file import load_features

HOSTILE = "<script>alert(1)</script> & é.png"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Features of twelve pictures: three are one file, one of them is saved otherwise."""
    root = tmp_path_factory.mktemp("uses")
    folder = root / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (9, 16, 16), dtype=np.uint8)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number}.png")
    (folder / HOSTILE.replace("/", "|")).write_bytes((folder / "0.png").read_bytes())
    (folder / "again.png").write_bytes((folder / "0.png").read_bytes())
    Image.fromarray(pictures[0]).save(folder / "other.bmp")
    encoder = tiny_encoder(root / "encoder")
    embed(encoder, of_folder(encoder, folder), root / "saved.npz")
    return root / "saved.npz"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Features of another program: three clusters with two wrong labels."""
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = np.eye(3)[labels] + 0.1 * random.normal(size=(90, 3))
    wrong = labels.copy()
    wrong[[4, 20]] = (wrong[[4, 20]] + 1) % 3
    names = [f"\x1b[31m<b>{row}</b>" for row in range(90)]
    file = tmp_path_factory.mktemp("labelled") / "features.npz"
    np.savez(file, features=features, names=names, labels=np.array(["x", "<i>y", "z"])[wrong])
    return file


def lines_of(file):
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_duplicates_tell_bytes_from_pixels(saved, tmp_path, capsys):
    table, page = tmp_path / "copies.csv", tmp_path / "copies.html"
    words = ["duplicates", str(saved), "--out", str(table), "--page", str(page)]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "3 of 12 examples are copies of another (2 equal files, 1 equal pixels" in told
    lines = lines_of(table)
    assert len(lines) == 4
    assert {line["name"]: line["copy"] for line in lines} == {
        "0.png": "",
        HOSTILE.replace("/", "|"): "bytes",
        "again.png": "bytes",
        "other.bmp": "values",
    }
    text = page.read_text()
    assert "<script>alert" not in text
    assert text.count("<img") == 4
    assert main(["duplicates", str(saved), "--json", "--threshold", "0"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["superfluous"] == 3
    assert facts["reason"] is None


def test_pictures_that_have_moved_are_found_or_missed_with_a_note(saved, tmp_path):
    page, other = tmp_path / "copies.html", tmp_path / "elsewhere"
    folder = saved.parent / "pictures"
    folder.rename(other)
    try:
        assert main(["duplicates", str(saved), "--page", str(page)]) == 0
        assert "no picture of 4 of 4 examples (--pictures FOLDER)" in page.read_text()
        words = ["duplicates", str(saved), "--page", str(page), "--pictures", str(other)]
        assert main(words) == 0
        assert page.read_text().count("<img") == 4
    finally:
        other.rename(folder)


@pytest.mark.parametrize("named", ["path", "source", "saved"])
def test_a_query_is_no_neighbour_of_its_own_however_the_data_is_named(named, saved, capsys):
    folder = saved.parent / "pictures"
    source = ["folder", "--data.root", str(folder), "--data.test-fraction", "0"]
    data = {"path": [str(folder)], "source": source, "saved": [str(saved)]}[named]
    words = ["neighbors", str(saved.parent / "encoder"), str(folder / "5.png"), "--json"]
    assert main([*words, "--k", "100", "--data", *data]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    near = [each["name"] for each in found["neighbors"]]
    assert len(near) == 11
    assert "5.png" not in near


def test_suspects_are_listed_and_counted(labelled, tmp_path, capsys):
    table, page = tmp_path / "suspects.parquet", tmp_path / "suspects.html"
    assert main(["suspects", str(labelled), "--out", str(table), "--page", str(page)]) == 0
    told = capsys.readouterr().out
    assert "About 2 of 90 labels look wrong" in told
    assert "\x1b[31m" not in told
    import pandas as pd

    found = pd.read_parquet(table)
    assert sorted(found["row"]) == [4, 20]
    assert "<i>y" not in page.read_text()
    assert main(["suspects", str(labelled), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert len(facts["suspects"]) == 2
    assert facts["classes"] == ["<i>y", "x", "z"]


@pytest.mark.parametrize("by", ["distance", "factor"])
def test_outliers_are_ordered(by, labelled, tmp_path, capsys):
    table, page = tmp_path / "outliers.csv", tmp_path / "outliers.html"
    words = ["outliers", str(labelled), "--by", by, "--k", "5", "--out", str(table)]
    assert main([*words, "--page", str(page)]) == 0
    scores = [float(line[by]) for line in lines_of(table)]
    assert len(scores) == 90
    assert scores == sorted(scores, reverse=True)
    assert "<b>" not in page.read_text()


@pytest.mark.parametrize("by", ["typicality", "k-centre"])
def test_select_takes_as_many_as_asked(by, labelled, tmp_path, capsys):
    page = tmp_path / "first.html"
    words = ["select", str(labelled), "--count", "3", "--by", by]
    assert main([*words, "--json", "--page", str(page)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {each["class"] for each in facts} == {"x", "<i>y", "z"}
    assert "<b>" not in page.read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("duplicates none.npz", 1, "no file none.npz"),
        ("duplicates none.txt", 2, "features end in .parquet, .npz or .npy"),
        ("duplicates x.npz --threshold 3", 2, "--threshold is 3: it must be 0 to 2"),
        ("outliers x.npz --out x.txt", 2, "must end in .csv or .parquet"),
        ("outliers x.npz --page x.txt", 2, "must end in .html"),
        ("outliers x.npz --k 0", 2, "--k is 0"),
        ("select x.npz --count 0", 2, "--count is 0"),
        ("select x.npz --by typical", 2, "typical"),
        ("suspects x.npz --temperature 0", 2, "--temperature is 0.0"),
        ("suspects x.npz --out no/where.csv", 2, "there is no folder no"),
    ],
)
def test_impossible_words_are_refused(words, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "x.npz", features=np.eye(3))
    assert main(words.split()) == code
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_suspects_without_labels_and_a_choice_of_too_many_are_refused(saved, capsys):
    assert main(["suspects", str(saved)]) == 2
    assert "holds no labels" in capsys.readouterr().err
    assert main(["select", str(saved), "--count", "13"]) == 2
    assert "13 of 12 examples" in capsys.readouterr().err


def test_names_that_lead_out_of_the_folder_are_not_followed(saved, tmp_path):
    from nearfar.uses.examples import file_of

    outside = tmp_path / "secret.png"
    Image.new("L", (4, 4)).save(outside)
    folder = saved.parent / "pictures"
    assert file_of(folder, str(outside)) is None
    assert file_of(folder, "../saved.npz") is None
    assert file_of(folder, "0.png") == folder / "0.png"


def test_streamed_pictures_have_a_fingerprint_of_their_content(saved):
    examples, _, _ = all_images(saved.parent / "pictures", (1, 8, 8), "squash")
    other, _, _ = all_images(saved.parent / "pictures", (1, 8, 8), "squash")
    assert part_fingerprint(Part(examples)) == part_fingerprint(Part(other))
    assert len(load_features(saved)) == len(examples) == 12
