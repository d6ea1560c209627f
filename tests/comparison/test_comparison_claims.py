"""A claim is decided by the interval of the differences, and stands beside its figures."""

from dataclasses import replace

import pytest
from tests.comparison.fake_runs import fake_scores
from tools.comparison.claims import Claim, Difference, claims, few_shot, knn, outcome, untrained
from tools.comparison.experiments import experiments
from tools.comparison.scores import KNN, Scores

BETTER = Difference("a over b", ((1, knn("a")), (-1, knn("b"))))


@pytest.fixture
def scores(tmp_path):
    """Differences of a and b: 4, 5 and 6 points; of a and c: 0, 1 and −1."""
    return fake_scores(
        tmp_path,
        {"a": (0.84, 0.86, 0.88), "b": (0.80, 0.81, 0.82), "c": (0.84, 0.85, 0.89), "d": (0.5,)},
    )


def test_the_interval_is_students_of_the_differences_seed_by_seed(scores):
    verdict = BETTER.verdict(scores)
    assert verdict is not None
    assert verdict.seeds == 3
    assert verdict.mean == pytest.approx(5)
    assert verdict.sd == pytest.approx(1)
    # 4.302653 is the 97.5 % quantile of Student's t with two degrees of freedom.
    assert verdict.interval == pytest.approx((5 - 4.302653 / 3**0.5, 5 + 4.302653 / 3**0.5))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "holds"),
        ({"above": 2.5}, "holds"),
        ({"above": 3.0}, "not decided"),
        ({"above": 8.0}, "does not hold"),
        ({"within": 7.6}, "holds"),
        ({"within": 5.0}, "not decided"),
        ({"within": 2.0}, "does not hold"),
    ],
)
def test_a_claim_holds_where_the_whole_interval_lies(scores, change, expected):
    verdict = replace(BETTER, **change).verdict(scores)
    assert verdict is not None
    assert verdict.outcome == expected


def test_the_row_is_made_from_the_figures(scores):
    assert BETTER.row(scores) == ["a over b", "above 0", "+5.0 ± 1.0", "3", "+2.5 to +7.5", "holds"]
    turned = Difference("b over a", ((1, knn("b")), (-1, knn("a"))))
    assert turned.row(scores)[2:] == ["-5.0 ± 1.0", "3", "-7.5 to -2.5", "does not hold"]
    level = Difference("a over c", ((1, knn("a")), (-1, knn("c"))), within=1.0)
    assert level.row(scores)[1:] == ["within ±1", "+0.0 ± 1.0", "3", "-2.5 to +2.5", "not decided"]


def test_runs_that_are_not_there_decide_nothing(scores):
    missing = Difference("a over e", ((1, knn("a")), (-1, knn("e"))))
    assert missing.row(scores)[2:] == ["", "0", "", "not measured yet"]
    one_seed = Difference("a over d", ((1, knn("a")), (-1, knn("d"))))
    assert one_seed.row(scores)[2:] == ["+34.0", "1", "", "not decided"]


def test_a_whole_claim_is_as_good_as_its_worst_difference(scores):
    parts = {
        "holds": BETTER,
        "not measured yet": Difference("", ((1, knn("e")),)),
        "not decided": replace(BETTER, above=5.0),
        "does not hold": replace(BETTER, above=9.0),
    }
    so_far = ()
    for expected, part in parts.items():
        so_far = (*so_far, part)
        assert outcome(Claim("", "", so_far), scores) == expected


def test_few_shot_accuracy_is_of_the_smallest_third_by_the_methods_own_decision(tmp_path):
    scores = fake_scores(tmp_path, {"a": (0.8, 0.9)}, classifier=True)
    # Of 10, 60, 40, 6, 25 and 90 examples, classes 0 and 3 have fewest: right 0 and 3 tenths.
    assert few_shot("a")(scores) == pytest.approx({0: 15.0, 1: 15.0})


def test_an_encoder_of_its_own_is_compared_with_its_own_beginnings(tmp_path):
    """Baselines of made-up runs are a tenth worse."""
    runs = dict(fake_scores(tmp_path, {"cpc-fashion": (0.6,)}, baselines=True).runs)
    runs |= fake_scores(tmp_path, {"simclr-fashion-short": (0.8,)}, baselines=True).runs
    scores = Scores(runs | dict(fake_scores(tmp_path, {"byol-fashion": (0.9,)}).runs))
    assert untrained("cpc-fashion", KNN)(scores) == pytest.approx({0: 50.0})
    assert untrained("byol-fashion", KNN)(scores) == pytest.approx({0: 70.0})


def test_every_claim_speaks_of_runs_that_there_are(tmp_path):
    """Each becomes decided once all runs are there, and none before."""
    wanted = experiments()
    plain = {name: recipe for name, recipe in wanted.items() if recipe.recipe == name}
    assert set(plain) < set(wanted)
    everything = fake_scores(tmp_path, dict.fromkeys(wanted, (0.5, 0.6)), baselines=True)
    nothing = fake_scores(tmp_path, {})
    for claim in claims(wanted, plain):
        assert outcome(claim, nothing) == "not measured yet"
        assert outcome(claim, everything) in ("holds", "does not hold", "not decided")
