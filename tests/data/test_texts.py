import csv

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.data.texts import write_wordnet
from tools import debian_data

from nearfar.data.fingerprint import part_fingerprint
from nearfar.data.source import Part, Partners, choose
from nearfar.data.sources import load_source
from nearfar.data.splits import split_part
from nearfar.data.text_specs import TextLinesSpec, TextTableSpec, WordNetSpec
from nearfar.data.texts import neighbours
from nearfar.data.wordnet import LEXICOGRAPHER_FILES
from nearfar.errors import NearfarError, SettingError
from nearfar.text_bytes import decoded, encoded, lengths


@given(st.lists(st.text(), max_size=5), st.integers(1, 12))
def test_texts_are_their_bytes_cut_between_two_characters(texts, length):
    rows, cut = encoded(texts, length)
    assert rows.shape == (len(texts), length)
    whole = [text.replace("\0", " ").encode("utf-8", "replace") for text in texts]
    assert cut == sum(len(each) > length for each in whole)
    expected = [each[:length].decode("utf-8", "ignore") for each in whole]
    assert decoded(rows) == [each.rstrip("\0") for each in expected]
    assert lengths(rows).tolist() == [len(each.encode()) for each in expected]


def test_half_of_a_surrogate_pair_and_an_end_inside_a_text_are_no_harm():
    rows, _ = encoded(["a\ud800b", "a\0b"], 8)
    assert decoded(rows) == ["a?b", "a b"]


def _lines(root, **settings):
    return load_source(TextLinesSpec(root=root, **settings))


def test_lines_of_a_file_in_order_whatever_ends_them(tmp_path):
    file = tmp_path / "book.txt"
    file.write_bytes("\ufeffone\r\n\r\n  two \rthree\n\n".encode())
    source = _lines(file, test_fraction=0.0)
    assert decoded(source.train.examples) == ["one", "two", "three"]
    assert source.train.names == ["book.txt:1", "book.txt:3", "book.txt:4"]
    assert source.notes == ("left out 2 empty lines",)
    assert (source.modality, source.train.example_shape) == ("texts", (256,))


def test_paragraphs_and_files_are_texts_too(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n\n\nthree\n")
    (tmp_path / "b.text").write_text("\n\n")
    source = _lines(tmp_path, unit="paragraph", test_fraction=0.0)
    assert decoded(source.train.examples) == ["one two", "three"]
    assert source.train.names == ["a.txt:1", "a.txt:5"]
    source = _lines(tmp_path, unit="file", test_fraction=0.0)
    assert decoded(source.train.examples) == ["one two three"]
    assert source.train.names == ["a.txt"]
    assert "left out 1 empty file" in source.notes


def test_folders_are_classes_and_parts(tmp_path):
    for part, kind in (("train", "sea"), ("train", "land"), ("test", "sea"), ("test", "land")):
        folder = tmp_path / part / kind
        folder.mkdir(parents=True)
        (folder / "1.txt").write_text(f"{kind} {part}\nsecond\n")
    (tmp_path / "train/sea/2.txt").write_text("\n")
    source = _lines(tmp_path)
    assert source.class_names == ("land", "sea")
    assert source.train.labels.tolist() == [0, 0, 1, 1]
    assert source.test.names[0] == "test/land/1.txt:1"
    (tmp_path / "train/none").mkdir()
    (tmp_path / "train/none/1.txt").write_text(" \n")
    assert "there is no text of none: no class is made of it" in _lines(tmp_path).notes


def test_long_lines_are_cut_and_counted(tmp_path):
    file = tmp_path / "long.txt"
    file.write_text("short\n" + "☃" * 3_500_000 + "\n")  # 10 MB
    source = _lines(file, length=64, test_fraction=0.0)
    assert decoded(source.train.examples) == ["short", "☃" * 21]
    assert source.notes == ("1 of 2 texts are longer than data.length=64 bytes: cut",)


def test_what_is_no_text_is_refused_in_one_line(tmp_path):
    file = tmp_path / "bad\x1b.txt"
    file.write_bytes(b"good\nb\xff\xfed\n")
    with pytest.raises(NearfarError, match=r"bad\\x1b.txt.*not in UTF-8 \(at byte 6\)") as caught:
        _lines(file)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    file.write_text(" \n\n")
    with pytest.raises(NearfarError, match="there is no text in it"):
        _lines(file)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NearfarError, match=r"no text in it \(TXT\)"):
        _lines(tmp_path / "empty")
    with pytest.raises(SettingError, match=r"over data\.in_memory_mib=0"):
        _lines(file, in_memory_mib=0)
    with pytest.raises(SettingError, match=r"with data\.unit file a file is one text"):
        TextLinesSpec(unit="file", neighbours=1)


def test_few_files_that_are_no_text_are_skipped_by_name(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("a line\n")
    (tmp_path / "bad.txt").write_bytes(b"\xff")
    assert "skipped 1 of 4 files: bad.txt" in " ".join(_lines(tmp_path, max_corrupt=0.5).notes)
    with pytest.raises(NearfarError, match="1 of 4 files cannot be read"):
        _lines(tmp_path)


def test_neighbours_stand_within_the_window_in_the_same_file(tmp_path):
    for name in "ab":
        lines = [f"{name}{number}" for number in range(10)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
    part = _lines(tmp_path, neighbours=2).train
    texts = decoded(part.examples)
    for row, text in enumerate(texts):
        found = {texts[other] for other in part.partners.rows[row].tolist() if other >= 0}
        near = {f"{text[0]}{int(text[1:]) + step}" for step in (-2, -1, 1, 2)}
        assert found == near & set(texts), "what is held out for test is no neighbour"


def test_a_partner_is_drawn_as_often_as_another_and_its_own_text_where_there_is_none():
    partners = neighbours(torch.tensor([0, 1, 2, 5000]), 1)
    assert partners.rows.tolist() == [[-1, 1], [0, 2], [1, -1], [-1, -1]]
    examples = torch.arange(4)[:, None].to(torch.uint8)
    generator = torch.Generator().manual_seed(0)
    asked = torch.arange(4).repeat_interleave(500)
    drawn = partners.drawn(examples, asked, generator).view(4, 500)
    assert set(drawn[0].tolist()) == {1}
    assert set(drawn[3].tolist()) == {3}
    assert set(drawn[1].tolist()) == {0, 2}
    assert 0.4 < float((drawn[1] == 0).float().mean()) < 0.6
    others = Partners(torch.tensor([[1], [0], [-1]]), torch.tensor([[10], [11]]).to(torch.uint8))
    given_others = others.drawn(examples[:3], torch.arange(3), generator)
    assert given_others[:, 0].tolist() == [11, 10, 2]


def test_of_what_is_left_out_no_partner_remains():
    part = Part(torch.arange(4)[:, None].to(torch.uint8), partners=neighbours(torch.arange(4), 1))
    assert choose(part, torch.tensor([0, 2, 3])).partners.rows.tolist() == [
        [-1, -1],
        [-1, 2],
        [1, -1],
    ]
    kept, test = split_part(part, 0.25)
    assert len(kept.partners.rows) == 3
    assert len(test.partners.rows) == 1
    plain = Part(part.examples)
    assert part_fingerprint(part) != part_fingerprint(plain)


ROWS = [
    ("id", "text", "kind", "reply"),
    ("1", "hello there, you", "a", "and hello to you"),
    ("2", "what is it", "b", "it is a table"),
    ("3", "", "a", "nothing said"),
    ("4", "one more of these", "b", "as many as you want"),
]


def _csv(folder):
    with (folder / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows(ROWS)
    return folder / "t.csv"


def _parquet(folder):
    columns = dict(zip(ROWS[0], zip(*ROWS[1:], strict=True), strict=True))
    columns["text"] = [each or None for each in columns["text"]]
    pq.write_table(
        pa.table({name: list(each) for name, each in columns.items()}), folder / "t.parquet"
    )
    return folder / "t.parquet"


@pytest.mark.parametrize("write", [_csv, _parquet])
def test_a_column_of_a_table_with_labels_and_pairs(tmp_path, write):
    spec = TextTableSpec(
        root=write(tmp_path), label_column="kind", pair_column="reply", test_fraction=0.0
    )
    source = load_source(spec)
    assert decoded(source.train.examples) == ["hello there, you", "what is it", "one more of these"]
    assert source.class_names == ("a", "b")
    assert source.train.labels.tolist() == [0, 1, 1]
    drawn = source.train.partners.drawn(
        source.train.examples, torch.arange(3), torch.Generator().manual_seed(0)
    )
    assert decoded(drawn) == ["and hello to you", "it is a table", "as many as you want"]
    assert source.notes == (
        "texts are in column text",
        "left out 1 row without a text or its pair",
        "second views are of column reply",
    )


def test_cells_of_any_size_and_tables_without_texts(tmp_path):
    file = tmp_path / "big.csv"
    file.write_text("words,n\n" + f"{'many words ' * 100_000},1\nfew words here,2\n")
    source = load_source(TextTableSpec(root=file, test_fraction=0.0, length=16))
    assert decoded(source.train.examples) == ["many words many ", "few words here"]
    assert csv.field_size_limit() == 131072, "the limit of the process is what it was"
    file.write_text("name,n\nann,1\nbob,2\n")
    with pytest.raises(NearfarError, match="no column of several words a row"):
        load_source(TextTableSpec(root=file))
    with pytest.raises(SettingError, match="column"):
        load_source(TextTableSpec(root=file, text_column="nane"))
    with pytest.raises(SettingError, match="each is another column"):
        TextTableSpec(root=file, text_column="name", label_column="name")


def test_wordnet_by_its_lexicographer_files(tmp_path):
    spec = WordNetSpec(root=write_wordnet(tmp_path), words=True)
    source = load_source(spec)
    assert source.class_names == tuple(
        LEXICOGRAPHER_FILES[number] for number in (0, 2, 5, 20, 29, 38, 44)
    )
    assert len(LEXICOGRAPHER_FILES) == 45
    assert len(source.train) + len(source.test) == 40
    text, name = decoded(source.train.examples[:1])[0], source.train.names[0]
    assert text.startswith("a noun of kind 5; ")
    assert name.startswith("data.noun:000017")
    beside = decoded(source.train.partners.others[:1])[0]
    assert beside.startswith("some noun")
    assert "(a)" not in beside


def test_wordnet_draws_runs_and_refuses_what_is_no_data_file(tmp_path, monkeypatch):
    root = write_wordnet(tmp_path / "wordnet", 400)
    part = load_source(WordNetSpec(root=root, examples=100, neighbours=1, test_fraction=0.0)).train
    assert len(part) == 100
    assert (part.partners.rows >= 0).any(dim=1).float().mean() > 0.9
    (root / "data.adv").write_text("00001740 99 r 01 word 0 000 | of no file\n")
    with pytest.raises(NearfarError, match=r"data.adv: line 1 is none of a data file"):
        load_source(WordNetSpec(root=root))
    (root / "data.adv").unlink()
    with pytest.raises(NearfarError, match=r"data.adv: No such file"):
        load_source(WordNetSpec(root=root))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    with pytest.raises(SettingError, match=r"`make wordnet` fetches them"):
        WordNetSpec().require_root()
    with pytest.raises(SettingError, match="leave one out"):
        WordNetSpec(words=True, neighbours=1)


def test_of_debians_package_the_data_files_are_kept():
    wanted = ["usr/share/wordnet/data.noun", "usr/share/doc/wordnet-base/copyright"]
    unwanted = ["usr/share/wordnet/index.noun", "usr/share/man/data.5"]
    place = debian_data.wordnet_place
    kept = [str(place("wordnet-base", debian_data.PurePosixPath(name))) for name in wanted]
    assert kept == ["data.noun", ".copyright"]
    assert not any(place("wordnet-base", debian_data.PurePosixPath(name)) for name in unwanted)
