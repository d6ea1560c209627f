import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfar.data.scored_pairs import read_scored_pairs
from nearfar.errors import NearfarError, SettingError

ROWS = [
    ("a cat sat", "a dog sat", 3.5),
    ("the sea", "a wave", 2),
    ("one way", "a road", 4),
    ("x y", "y z", 1),
]


def _written(folder, name, heading, rows=ROWS, by=","):
    file = folder / name
    lines = [by.join(map(str, each)) for each in (*([heading] if heading else []), *rows)]
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize(
    ("name", "heading", "by"),
    [
        ("a.csv", ("sentence1", "sentence2", "score"), ","),
        ("a.tsv", ("Sentence_A", "Sentence_B", "relatedness_score"), "\t"),
        ("a.csv", ("left side", "right side", "n"), ";"),
        ("a.csv", None, ","),
    ],
)
def test_columns_are_told_by_names_and_by_what_they_hold(tmp_path, name, heading, by):
    found = read_scored_pairs(_written(tmp_path, name, heading, by=by))
    assert found.first == [each for each, _, _ in ROWS]
    assert found.second == [each for _, each, _ in ROWS]
    assert found.scores == [3.5, 2, 4, 1]
    assert found.notes == ()


def test_other_columns_and_quotes_that_are_characters_are_no_harm(tmp_path):
    heading = ("index", "genre", "year", "sentence1", "sentence2", "score")
    rows = [(n, "news", 2012, f'"It is {n}", he said', 'no"', n / 2) for n in range(5)]
    found = read_scored_pairs(_written(tmp_path, "sts.tsv", heading, rows, "\t"))
    assert found.first[1] == '"It is 1", he said'
    assert found.scores == [0, 0.5, 1, 1.5, 2]
    words = [("cat", "dog", 1, n) for n in range(4)]
    found = read_scored_pairs(_written(tmp_path, "w.csv", ("w", "v", "id", "score"), words))
    assert (found.first[0], found.second[0], found.scores[2]) == ("cat", "dog", 2)


def test_parquet_with_missing_values_and_names_that_are_given(tmp_path):
    texts = {
        "q": ["a b", None, "c d", "e f", "g h", "i j", "k l"],
        "r": ["b c", "c d", "d e", " ", "f g", "g h", "h i"],
    }
    numbers = {"id": list(range(7)), "s": [1.0, 2.0, float("nan"), 4.0, 5.0, None, 7.0]}
    pq.write_table(pa.table(texts | numbers), tmp_path / "t.parquet")
    with pytest.raises(NearfarError, match=r"id, s all hold numbers: name .*score_column"):
        read_scored_pairs(tmp_path / "t.parquet")
    with pytest.raises(NearfarError, match=r"3 pairs with both texts and a score: 4 at least"):
        read_scored_pairs(tmp_path / "t.parquet", score_column="s")
    found = read_scored_pairs(tmp_path / "t.parquet", "r", "q", "id")
    assert found.first == ["b c", "d e", "f g", "g h", "h i"]
    assert found.scores == [0, 2, 4, 5, 6]
    assert found.notes == ("semantic similarity: left out 2 pairs without a text",)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            [(*ROWS[0][:2], "high"), *ROWS[1:]],
            r"1 of 4 scores are no finite numbers \(such as 'high'\)",
        ),
        ([(*ROWS[0][:2], "inf"), *ROWS[1:]], r"no finite numbers \(such as 'inf'\)"),
        ([(*each[:2], 3) for each in ROWS], r"all scores in column score are 3"),
        (ROWS[:1], r"1 pair with both texts and a score: 4 at least"),
        ([("", *each[1:]) for each in ROWS], r"0 pairs with both texts"),
        ([(*each[:2], "NaN") for each in ROWS], r"0 pairs with both texts"),
    ],
)
def test_what_cannot_be_ranked_is_refused_in_one_line(tmp_path, rows, told):
    file = _written(tmp_path, "p\x1b.csv", ("sentence1", "sentence2", "score"), rows)
    with pytest.raises(NearfarError, match=told) as caught:
        read_scored_pairs(file)
    assert str(caught.value).count("\n") == 0
    assert "\x1b" not in str(caught.value)


def test_columns_that_are_not_there_or_cannot_be_told_are_refused(tmp_path):
    file = _written(tmp_path, "p.csv", ("aa", "bb", "cc"))
    with pytest.raises(SettingError, match=r"semantic_similarity.first_column 'ab': did you mean"):
        read_scored_pairs(file, "ab")
    with pytest.raises(SettingError, match="one column each"):
        read_scored_pairs(file, "aa", "aa")
    three = [(*each[:2], "third text", each[2]) for each in ROWS]
    _written(tmp_path, "p.csv", ("aa", "bb", "dd", "cc"), three)
    with pytest.raises(NearfarError, match=r"which columns hold the two texts, of aa, bb, dd, cc"):
        read_scored_pairs(file)
    with pytest.raises(NearfarError, match=r"which columns hold the two texts"):
        read_scored_pairs(file, first_column="aa")
    assert read_scored_pairs(file, "aa", "dd").second == ["third text"] * 4
    with pytest.raises(NearfarError, match=r"no\.csv: No such file"):
        read_scored_pairs(tmp_path / "no.csv")
