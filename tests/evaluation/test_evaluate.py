"""The whole evaluation: the contract of its records and arrays, and that test stays unseen."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from nearfar.data.fingerprint import source_fingerprint
from nearfar.data.source import Part, Source, StreamedExamples
from nearfar.data.sources import load_source
from nearfar.data.specs import DigitsSpec
from nearfar.errors import NearfarError
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.run_folder.folder import RunFolder
from nearfar.views.specs import DigitsViewsSpec


class Projecting(nn.Module):
    """A fixed random linear map of the pixels: an encoder that takes no time."""

    def __init__(self, size=64, dim=24, seed=0):
        super().__init__()
        weight = torch.randn(dim, size, generator=torch.Generator().manual_seed(seed))
        self.weight = nn.Parameter(weight)
        self.shown = []

    def forward(self, images):
        self.shown.append(images)
        return (images.float() / 255).flatten(1) @ self.weight.T


@pytest.fixture(scope="module")
def digits():
    return load_source(DigitsSpec())


def some(part, count, labels=True):
    return Part(part.examples[:count], part.labels[:count] if labels else None)


def small(source, train=200, test=60):
    return Source(
        "digits",
        some(source.train, train),
        some(source.test, test),
        class_names=tuple(str(c) for c in range(10)),
    )


VIEWS = DigitsViewsSpec().build((1, 8, 8), mean=(0.3,), std=(0.3,))
FORMS = ("as is", "centred", "standardised", "whitened 1", "whitened 0.1")
QUICK = EvaluationSpec.by(
    KNNSpec(votes=((20, 0.07), (5, 0.5))), FewLabelsSpec(labels_per_class=(1, 5), draws=3)
)


def only(*protocols):
    """`QUICK` without all that a test does not look at."""
    left_out = tuple(each for each in ProtocolSpec.known() if each not in protocols)
    return replace(QUICK, leave_out=left_out)


def by(evaluation, **wanted):
    """The records with these attributes."""
    return [r for r in evaluation.records if all(getattr(r, k) == v for k, v in wanted.items())]


def test_records_and_arrays_are_those_of_the_contract(digits, tmp_path):
    source = small(digits)
    folder = RunFolder.create(tmp_path / "run")
    said = []
    evaluation = evaluate(
        Projecting(),
        source,
        QUICK,
        views=VIEWS,
        untrained=Projecting(seed=1),
        run_folder=folder,
        say=lambda what, *_: said.append(what),
    )
    records = folder.read_evaluation()
    assert records == [record.as_json() for record in evaluation.records]
    assert {tuple(r) for r in records} == {
        ("protocol", "features", "metric", "value", "sd", "n", "parameters")
    }
    found = {(r["protocol"], r["features"], r["metric"]) for r in records}
    kinds = ("encoder", "untrained", "raw")
    accuracies = {("knn", kind, top) for kind in kinds for top in ("top1", "top5")}
    accuracies |= {("linear_probe", kind, top) for kind in kinds for top in ("top1", "top5")}
    accuracies |= {("few_labels", kind, "top1") for kind in kinds}
    means = {(p, k, "mean") for p in ("alignment", "uniformity") for k in kinds[:2]}
    retrieval = ("recall", "map_at_r", "reciprocal_rank")
    means |= {(p, kind, "mean") for p in retrieval for kind in kinds}
    ranks = {("effective_rank", kind, "rank") for kind in kinds}
    assert found == accuracies | means | ranks
    assert len(records) == 3 * (2 * 2 + 2 + 2) + 4 + 3 * (3 + 2) + 3 * 2
    for r in records:
        if r["metric"] in ("top1", "top5") or r["protocol"] in retrieval:
            assert 0 <= r["value"] <= 1
        assert (r["sd"] is not None) == (r["protocol"] == "few_labels")
        assert r["n"] == (200 if r["protocol"] == "effective_rank" else 60)

    arrays = folder.read_evaluation_arrays()
    expected = {
        "shown_images": ((60, 8, 8, 1), "uint8"),
        "shown_labels": ((60,), "int64"),
        "shown_predictions": ((60,), "int64"),
        "shown_map": ((60, 2), "float32"),
        "neighbor_indices": ((60, 8), "int64"),
        "neighbor_similarities": ((60, 8), "float32"),
        "neighbor_labels": ((60, 8), "int64"),
        "gallery_queries": ((16,), "int64"),
        "positive_distances": ((60,), "float32"),
        "random_distances": ((60,), "float32"),
        "untrained_positive_distances": ((60,), "float32"),
        "untrained_random_distances": ((60,), "float32"),
        "view_originals": ((6, 8, 8, 1), "uint8"),
        "view_samples": ((6, 6, 8, 8, 1), "uint8"),
    }
    for name, (shape, dtype) in expected.items():
        assert arrays[name].shape == shape, name
        assert arrays[name].dtype == dtype, name
    assert set(arrays) == {
        *expected,
        "confusion_cells",
        "gallery_images",
        "gallery_bank_indices",
        "class_names",
        "evaluation_settings",
        "judged_on",
        "notes",
    }
    assert str(arrays["judged_on"]) == source_fingerprint(source)
    assert arrays["class_names"].tolist() == [str(c) for c in range(10)]
    assert said

    bank = source.train.examples.permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(arrays["gallery_images"], bank[arrays["gallery_bank_indices"]])
    used = arrays["neighbor_indices"][arrays["gallery_queries"]]
    assert set(used.ravel()) == set(arrays["gallery_bank_indices"])
    np.testing.assert_array_equal(
        arrays["neighbor_labels"], source.train.labels.numpy()[arrays["neighbor_indices"]]
    )
    top1 = by(evaluation, protocol="knn", features="encoder", metric="top1")[0]
    assert top1.parameters.pop("transform") in FORMS
    assert top1.parameters == {"k": 20, "temperature": 0.07}
    right = arrays["shown_predictions"] == arrays["shown_labels"]
    assert right.mean() == pytest.approx(top1.value)
    pairs = zip(arrays["shown_labels"].tolist(), arrays["shown_predictions"].tolist(), strict=True)
    assert arrays["confusion_cells"].dtype == "int64"
    assert arrays["confusion_cells"].tolist() == [
        [*pair, count] for pair, count in sorted(Counter(pairs).items())
    ]


def test_every_test_image_is_encoded_exactly_once_for_the_accuracies(digits):
    encoder = Projecting()
    source = small(digits, test=53)
    evaluate(encoder, source, QUICK, batch_size=16)
    shown = torch.cat(encoder.shown)
    assert torch.equal(shown, torch.cat([source.train.examples, source.test.examples]))


def test_test_labels_change_no_choice_and_no_prediction(digits):
    source = small(digits)
    permuted = source.test.labels[torch.randperm(60)]
    other = Source("digits", source.train, Part(source.test.examples, permuted))
    config = only("knn", "linear_probe", "map")
    first, second = (evaluate(Projecting(), s, config) for s in (source, other))
    chosen = [[r.parameters["l2"] for r in by(e, protocol="linear_probe")] for e in (first, second)]
    assert chosen[0] == chosen[1]
    np.testing.assert_array_equal(
        first.arrays["shown_predictions"], second.arrays["shown_predictions"]
    )
    np.testing.assert_array_equal(first.arrays["shown_map"], second.arrays["shown_map"])
    # The same figures against other labels: the test can tell.
    assert by(first, protocol="knn")[0].value != by(second, protocol="knn")[0].value


def test_test_images_change_nothing_that_is_learnt(digits):
    source = small(digits)
    other = Source("digits", source.train, Part(source.test.examples.flip(0), source.test.labels))
    found = [evaluate(Projecting(), s, only("linear_probe")) for s in (source, other)]
    chosen = [[r.parameters["l2"] for r in by(e, protocol="linear_probe")] for e in found]
    assert len(chosen[0]) == 4  # top1 and top5 of the encoder and of raw data
    assert chosen[0] == chosen[1]


def test_draws_are_paired_between_features(digits):
    """An untrained encoder that is the trained one gets its figures, draw by draw."""
    config = only("few_labels")
    evaluation = evaluate(Projecting(), small(digits), config, untrained=Projecting())
    few = {
        kind: [r.parameters["values"] for r in by(evaluation, protocol="few_labels", features=kind)]
        for kind in ("encoder", "untrained", "raw")
    }
    assert few["encoder"] == few["untrained"] != few["raw"]
    assert all(len(set(values)) > 1 for values in few["encoder"])
    record = by(evaluation, protocol="few_labels", features="raw")[0]
    assert record.value == pytest.approx(np.mean(few["raw"][0]))
    assert record.sd == pytest.approx(np.std(few["raw"][0], ddof=1))


def test_the_same_call_gives_the_same_evaluation(digits):
    first, second = (evaluate(Projecting(), small(digits), QUICK, views=VIEWS) for _ in range(2))
    assert first.records == second.records
    assert first.arrays.keys() == second.arrays.keys()
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, second.arrays[name], err_msg=name)


def test_without_labels_there_is_still_something_to_see(digits):
    source = Source("pictures", some(digits.train, 80, False), some(digits.test, 30, False))
    evaluation = evaluate(Projecting(), source, QUICK, views=VIEWS, untrained=Projecting(seed=1))
    assert evaluation.notes == ("no accuracies: the training examples have no labels",)
    assert {r.protocol for r in evaluation.records} == {"alignment", "uniformity", "effective_rank"}
    labelled = {
        "shown_labels",
        "shown_predictions",
        "neighbor_labels",
        "confusion_cells",
        "class_names",
    }
    assert not labelled & set(evaluation.arrays)
    assert evaluation.arrays["shown_map"].shape == (30, 2)
    assert evaluation.arrays["gallery_queries"].shape == (16,)


def test_without_a_test_part_training_images_are_shown_but_not_judged(digits):
    source = Source("digits", some(digits.train, 90))
    evaluation = evaluate(Projecting(), source, QUICK, views=VIEWS)
    assert "no test part" in evaluation.notes[0]
    assert {r.protocol for r in evaluation.records} == {"alignment", "uniformity", "effective_rank"}
    arrays = evaluation.arrays
    assert "shown_predictions" not in arrays
    assert arrays["neighbor_indices"].shape == (90, 8)
    assert (arrays["neighbor_indices"] != np.arange(90)[:, None]).all()
    assert arrays["shown_labels"].shape == (90,)


@pytest.mark.parametrize("with_test_part", [True, False])
def test_what_is_shown_is_drawn_from_all_classes(digits, monkeypatch, with_test_part):
    monkeypatch.setattr("nearfar.evaluation.judged.MOST_SHOWN", 60)
    order = digits.train.labels[:300].argsort(stable=True)  # as a folder's classes lie
    by_class = Part(digits.train.examples[order], digits.train.labels[order])
    test = by_class if with_test_part else None
    encoder = Projecting()
    config = only("knn", "map", "gallery")
    arrays = evaluate(encoder, Source("sorted", by_class, test), config).arrays
    assert set(arrays["shown_labels"].tolist()) == set(range(10))
    rows = [
        int(
            (by_class.examples == torch.from_numpy(image).permute(2, 0, 1))
            .flatten(1)
            .all(1)
            .nonzero()
        )
        for image in arrays["shown_images"]
    ]
    assert rows == sorted(set(rows))
    assert by_class.labels[rows].tolist() == arrays["shown_labels"].tolist()
    features = nn.functional.normalize(encoder(by_class.examples), dim=1).detach()
    similarities = features[rows] @ features.T
    if not with_test_part:
        similarities[torch.arange(60), rows] = -1
    nearest = similarities.topk(8).values.numpy()
    np.testing.assert_allclose(arrays["neighbor_similarities"], nearest, atol=1e-5)
    found = similarities.gather(1, torch.from_numpy(arrays["neighbor_indices"]))
    np.testing.assert_allclose(found.numpy(), nearest, atol=1e-5)


def test_twins_are_not_their_own_neighbors(digits):
    images = digits.train.examples[:1].expand(20, -1, -1, -1).contiguous()
    arrays = evaluate(Projecting(), Source("twins", Part(images)), QUICK, views=VIEWS).arrays
    assert arrays["neighbor_indices"].shape == (20, 8)
    assert (arrays["neighbor_indices"] != np.arange(20)[:, None]).all()


def test_what_the_data_cannot_give_is_said(digits):
    train = some(digits.train, 60)
    keep = torch.cat([(train.labels != 3).nonzero().squeeze(1), (train.labels == 3).nonzero()[0]])
    source = Source("digits", Part(train.examples[keep], train.labels[keep]), some(digits.test, 20))
    config = EvaluationSpec.by(
        KNNSpec(votes=((200, 0.1),)), FewLabelsSpec(labels_per_class=(1, 2, 50), draws=2)
    )
    evaluation = evaluate(Projecting(), source, config)
    assert evaluation.notes == (
        "few labels: 1 of 10 classes have fewer than 2 training examples and give all they have",
        "few labels: no class has 50 training examples, left out",
        f"kNN with k=200: the bank holds {len(keep)} examples, all vote",
        "retrieval: 5 queries have none of their class to find",
    )
    assert evaluation.arrays["notes"].tolist() == list(evaluation.notes)
    knn = by(evaluation, protocol="knn", features="encoder")[0]
    assert knn.parameters.pop("transform") in FORMS
    assert knn.parameters == {"k": 200, "temperature": 0.1, "k_used": len(keep)}
    counts = [r.parameters["labels_per_class"] for r in by(evaluation, protocol="few_labels")]
    assert counts == [1, 2] * 2


def test_a_probe_that_did_not_come_to_rest_is_named(digits, monkeypatch):
    assert not any("rest" in note for note in evaluate(Projecting(), small(digits), QUICK).notes)
    monkeypatch.setattr("nearfar.evaluation.softmax_regression.MAX_STEPS", 2)
    notes = evaluate(Projecting(), small(digits), QUICK, untrained=Projecting(seed=1)).notes
    assert [note.partition(":")[0] for note in notes if "not at rest" in note] == [
        "linear probe of the encoder",
        "linear probe of the untrained encoder",
        "linear probe of raw data",
    ]


def test_features_too_many_to_be_whitened_are_named(digits, monkeypatch):
    by_knn = only("knn")
    assert not any(
        "whitened" in note for note in evaluate(Projecting(), small(digits), by_knn).notes
    )
    monkeypatch.setattr("nearfar.evaluation.forms.MOST_FEATURES", 40)
    evaluation = evaluate(Projecting(), small(digits), by_knn, untrained=Projecting(seed=1))
    assert [note for note in evaluation.notes if "whitened" in note] == [
        "raw data: never whitened, "
        "for the axes of 64 features of 200 examples take too long to find"
    ]
    raw = [r.parameters.get("transform", "") for r in by(evaluation, features="raw")]
    assert any(raw)
    assert not any(form.startswith("whitened") for form in raw)


def test_one_class_gives_no_accuracy(digits):
    part = Part(digits.train.examples[:20], torch.zeros(20, dtype=torch.int64))
    evaluation = evaluate(Projecting(), Source("one", part, part), QUICK)
    assert evaluation.notes == ("no accuracies: the training examples are all of one class",)


def test_a_class_known_to_test_alone_counts_as_wrong(digits):
    train = some(digits.train, 100)
    keep = train.labels < 9
    source = Source(
        "digits", Part(train.examples[keep], train.labels[keep]), some(digits.test, 100)
    )
    evaluation = evaluate(Projecting(), source, QUICK)
    true, answered, _ = evaluation.arrays["confusion_cells"].T
    assert 9 in true
    assert 9 not in answered


def test_an_evaluation_of_any_number_of_classes_can_be_read_again(digits, tmp_path):
    """All pairs of 12 000 classes are 1.1 GiB of numbers, more than is read of a file."""
    classes = 12_000
    far = {
        part: Part(examples.examples, examples.labels * (classes // 10))
        for part, examples in (
            ("train", some(digits.train, 200)),
            ("test", some(digits.test, 60)),
        )
    }
    names = tuple(f"kind {label}" for label in range(classes))
    config = EvaluationSpec.by(
        KNNSpec(votes=((5, 0.1),)), leave_out=("linear_probe", "few_labels", "map", "gallery")
    )
    folder = RunFolder.create(tmp_path / "run")
    evaluate(Projecting(), Source("far", **far, class_names=names), config, run_folder=folder)
    cells = folder.read_evaluation_arrays()["confusion_cells"]
    assert cells[:, 2].sum() == 60
    assert set(cells[:, 0]) == set(far["test"].labels.tolist())


def test_without_baselines_only_the_encoder_is_judged(digits):
    config = EvaluationSpec.by(
        KNNSpec(votes=((5, 0.1),)), FewLabelsSpec(labels_per_class=(1,), draws=2), baselines=False
    )
    evaluation = evaluate(Projecting(), small(digits), config, untrained=Projecting(), views=VIEWS)
    assert {r.features for r in evaluation.records} == {"encoder"}


class Large(StreamedExamples):
    """Images that do not lie in memory and are larger than a thumbnail."""

    def __init__(self, count):
        self.count = count
        self.shape = (3, 100, 150)

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return torch.randint(256, self.shape, dtype=torch.uint8, generator=generator)


def test_large_streamed_images_are_stored_as_thumbnails():
    labels = torch.arange(24) % 2
    source = Source("large", Part(Large(24), labels), Part(Large(12), labels[:12]))
    config = EvaluationSpec.by(
        KNNSpec(votes=((5, 0.1),)), FewLabelsSpec(labels_per_class=(1,), draws=2)
    )
    encoder = Projecting(3 * 100 * 150, 8)
    arrays = evaluate(encoder, source, config).arrays
    assert arrays["shown_images"].shape == (12, 43, 64, 3)
    assert arrays["gallery_images"].shape[1:] == (43, 64, 3)
    # Test images are training images here: the nearest neighbour is the image itself.
    assert arrays["neighbor_indices"][:, 0].tolist() == list(range(12))


def test_a_diverged_encoder_is_refused(digits, tmp_path):
    encoder = Projecting()
    encoder.weight.data[0, 5] = torch.nan
    folder = RunFolder.create(tmp_path / "run")
    with pytest.raises(NearfarError, match="NaN or infinite"):
        evaluate(encoder, small(digits), QUICK, run_folder=folder)
    assert [file.name for file in folder.path.iterdir()] == ["run.json"]
