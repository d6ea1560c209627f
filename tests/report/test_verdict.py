from nearfar.report.scores import score_rows
from nearfar.report.verdict import forms, run_verdict, verdict


def record(protocol, features, value, *, metric="top1", n=500, sd=None, **parameters):
    return {
        "protocol": protocol,
        "features": features,
        "metric": metric,
        "value": value,
        "sd": sd,
        "n": n,
        "parameters": parameters,
    }


def few(features, value, labels=10, sd=0.005):
    return record("few_labels", features, value, sd=sd, labels_per_class=labels, draws=5)


def knn(features, value, k=200):
    return record("knn", features, value, k=k, temperature=0.1)


def test_it_says_who_leads_by_how_much_under_what():
    rows = score_rows(
        [few("encoder", 0.95), few("raw", 0.876), knn("encoder", 0.988), knn("raw", 0.982)]
    )
    assert verdict(rows) == [
        "The encoder beats raw data by 7.4 points with 10 labels per class; "
        "under kNN (k = 200, T = 0.1) the two are level within the noise."
    ]


def test_it_does_not_hide_a_loss():
    rows = score_rows(
        [
            *(few("encoder", 0.7), few("raw", 0.9), few("untrained", 0.703)),
            *(knn("encoder", 0.99), knn("raw", 0.8), knn("untrained", 0.5)),
        ]
    )
    assert verdict(rows) == [
        "The encoder falls short of raw data by 20.0 points with 10 labels per class; "
        "under kNN (k = 200, T = 0.1) it leads by 19.0 points.",
        "The encoder and the same network before training are level within the noise "
        "with 10 labels per class; under kNN (k = 200, T = 0.1) the encoder leads by 49.0 points.",
    ]


def test_it_speaks_of_the_count_of_labels_nearest_to_ten_and_of_the_first_knn():
    rows = score_rows(
        [
            *(few("encoder", 0.5, 1), few("raw", 0.1, 1), few("encoder", 0.9, 8)),
            *(few("raw", 0.8, 8), knn("encoder", 0.9), knn("raw", 0.5)),
            *(knn("encoder", 0.5, 20), knn("raw", 0.9, 20)),
        ]
    )
    assert verdict(rows) == [
        "The encoder beats raw data by 10.0 points with 8 labels per class; "
        "under kNN (k = 200, T = 0.1) it leads by 40.0 points."
    ]


def test_one_label_and_one_point_are_singular():
    many = {"n": 10_000_000, "sd": 0.0001, "labels_per_class": 1, "draws": 5}
    rows = score_rows(
        [record("few_labels", "encoder", 0.51, **many), record("few_labels", "raw", 0.50, **many)]
    )
    assert verdict(rows) == ["The encoder beats raw data by 1.0 point with 1 label per class."]


def test_a_single_draw_of_labels_is_said_to_be_one():
    one = {"labels_per_class": 10, "draws": 1, "values": [0.9]}
    rows = score_rows(
        [record("few_labels", "encoder", 0.9, **one), record("few_labels", "raw", 0.5, **one)]
    )
    assert verdict(rows) == [
        "The encoder beats raw data by 40.0 points with 10 labels per class, drawn once."
    ]


def test_without_baselines_or_accuracies_it_says_nothing():
    assert verdict([]) == []
    assert verdict(score_rows([knn("encoder", 0.9)])) == []
    assert verdict(score_rows([record("alignment", "encoder", 0.3, metric="mean")])) == []


def test_runs_are_ranked_by_what_they_share():
    good = score_rows([few("encoder", 0.95), knn("encoder", 0.99)])
    poor = score_rows([few("encoder", 0.80), knn("encoder", 0.99)])
    near = score_rows([few("encoder", 0.948)])
    assert run_verdict(["a", "b"], [poor, good]) == (
        "b leads with 10 labels per class, 15.0 points ahead of a."
    )
    assert run_verdict(["a", "b", "c"], [good, poor, near]) == (
        "a and c are the best with 10 labels per class, level within the noise (0.2 points apart)."
    )
    assert run_verdict(["a", "b"], [good, []]) is None
    assert run_verdict(["b", "c"], [score_rows([knn("encoder", 0.9)]), near]) is None


def test_a_probe_that_is_not_at_rest_is_said_in_the_verdict():
    probes = [
        record("linear_probe", kind, 0.5, l2=1e-6, converged=kind == "encoder")
        for kind in ("encoder", "raw", "untrained")
    ]
    assert verdict(score_rows(probes))[-1] == (
        "The linear probe of raw data and of the untrained encoder had not come to rest: its "
        "figure is no measure of these features yet."
    )
    rested = [record("linear_probe", "encoder", 0.5, l2=1e-6, converged=True)]
    assert verdict(score_rows(rested)) == []


def test_the_form_of_each_kind_of_features_is_told():
    records = [
        record("knn", "encoder", 0.9, k=20, temperature=0.07, transform="as is"),
        record("knn", "encoder", 0.9, k=200, temperature=0.1, transform="centred"),
        record("knn", "raw", 0.9, k=20, temperature=0.07, transform="whitened 1"),
        record("linear_probe", "raw", 0.9, l2=1e-4, transform="standardised, lengths kept"),
    ]
    assert forms(score_rows(records)) == (
        "Each in the form that serves it best on training data: the encoder as is or centred "
        "(kNN); raw data whitened 1 (kNN), standardised, lengths kept (linear probe)."
    )
    assert forms(score_rows([knn("encoder", 0.9)])) is None
