import pytest

from nearfar.report.score_tables import score_cell
from nearfar.report.scores import score_rows, shown_interval
from nearfar.report.uncertainty import Score


def record(protocol, features, metric="top1", **parameters):
    return {
        "protocol": protocol,
        "features": features,
        "metric": metric,
        "value": 0.5,
        "sd": None,
        "n": 100,
        "parameters": parameters,
    }


def test_records_of_one_protocol_share_a_row_and_others_do_not():
    rows = score_rows(
        [
            record("linear_probe", "encoder", l2=0.1),
            record("linear_probe", "raw", l2=10.0),
            record("knn", "encoder", k=200, temperature=0.1),
            record("knn", "encoder", k=200, temperature=0.5),
            record("knn", "encoder", metric="top5", k=200, temperature=0.1),
            record("few_labels", "raw", labels_per_class=10, draws=5),
            record("few_labels", "encoder", labels_per_class=1, draws=5),
        ]
    )
    assert [(row.title, row.detail, sorted(row.scores)) for row in rows] == [
        ("1 label per class", "", ["encoder"]),
        ("10 labels per class", "", ["raw"]),
        ("kNN", "k = 200, T = 0.1", ["encoder"]),
        ("kNN", "k = 200, T = 0.5", ["encoder"]),
        ("kNN", "top-5, k = 200, T = 0.1", ["encoder"]),
        ("Linear probe, all labels", "", ["encoder", "raw"]),
    ]
    assert rows[0].scores["encoder"].draws == 5


def test_scores_by_size_of_class_belong_to_the_row_of_all_classes():
    few = record("knn", "encoder", k=5, temperature=0.1, shots="few", classes=3) | {"value": 0.2}
    rows = score_rows(
        [
            record("knn", "encoder", k=5, temperature=0.1),
            few,
            few | {"features": "raw", "value": 0.1, "n": 7},
            record("classifier", "encoder"),
        ]
    )
    assert [(row.title, row.detail) for row in rows] == [
        ("kNN", "k = 5, T = 0.1"),
        ("The method's own classifier", ""),
    ]
    assert rows[0].scores["encoder"].value == 0.5
    assert list(rows[0].scores) == ["encoder"]
    assert rows[0].of("few")["raw"] == Score(0.1, 7)
    assert rows[0].of("few")["encoder"].value == 0.2
    assert rows[0].of(None) is rows[0].scores
    assert rows[0].classes == {"few": 3}
    assert rows[0].of("many") == rows[1].of("few") == {}


def test_an_unknown_protocol_is_shown_last_and_not_lost():
    rows = score_rows([record("transfer", "encoder"), record("uniformity", "encoder", "mean", t=2)])
    assert [row.title for row in rows] == ["Uniformity", "Transfer"]
    assert rows[0].scores["encoder"].n is None


def test_what_is_drawn_is_the_spread_or_else_the_binomial_interval():
    assert shown_interval(Score(0.5, 100, 0.1, 5)) == pytest.approx((0.4, 0.6))
    assert shown_interval(Score(0.5, 100)) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert shown_interval(Score(0.5)) == (0.5, 0.5)


def test_what_guessing_gives_has_no_interval():
    (row,) = score_rows([record("zero_shot", kind, templates=1) for kind in ("encoder", "chance")])
    told = {name: score_cell(score, is_accuracy=True) for name, score in row.scores.items()}
    assert told["chance"] == {"value": "50.0", "spread": "", "share": 0.5}
    assert told["encoder"]["spread"] == "40.4–59.6"
