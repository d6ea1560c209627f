"""Fine-tuning and the probe by SGD: what is trained, what is chosen on what, and what is kept."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nearfar.data.source import Part, Source
from nearfar.data.sources import load_source
from nearfar.data.specs import DigitsSpec
from nearfar.encoders.encoder_files import EncoderDescription
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.encoders.stages import layers
from nearfar.errors import SettingError
from nearfar.evaluation import fine_tuning, sgd_probe
from nearfar.evaluation.adapting import Adapted, Course, adapt, answers, where_only
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.finished_work import FinishedWork, fingerprint
from nearfar.evaluation.judged import Judged
from nearfar.evaluation.label_draws import draws_of
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.evaluation.sgd_probe import ProbeCourse, train_probes
from nearfar.evaluation.trained_specs import FineTuningSpec, SGDProbeSpec
from nearfar.report.build import write_report
from nearfar.run_folder.folder import RunFolder
from nearfar.training.generators import OwnDraws
from nearfar.training.parameter_groups import parameter_groups
from nearfar.views.specs import DigitsViewsSpec, SeriesViewsSpec, SimCLRViewsSpec, VectorViewsSpec

COURSE = Course(epochs=2, least_steps=1, batch_size=16, learning_rate=0.05, weight_decay=1e-4)
VIEWS = DigitsViewsSpec().build((1, 8, 8), mean=(0.3,), std=(0.3,))
QUICK = FineTuningSpec(
    labels=("10%", "2", "100%"),
    draws=2,
    learning_rates=(0.02, 0.1),
    weight_decays=(0.0, 1e-3),
    epochs=1,
    least_steps=4,
)


@pytest.fixture(scope="module")
def source():
    digits = load_source(DigitsSpec())
    train, test = (
        Part(part.examples[:count], part.labels[:count])
        for part, count in ((digits.train, 120), (digits.test, 40))
    )
    return Source("digits", train, test)


def saved(seed=0):
    with OwnDraws(seed):
        backbone = SmallResNetSpec(width=4).build((1, 8, 8))
    about = EncoderDescription(
        SmallResNetSpec(width=4), (1, 8, 8), (0.3,), (0.3,), backbone.num_features, ""
    )
    return SavedEncoder(backbone, about)


def only(spec, **more):
    left_out = tuple(name for name in ProtocolSpec.known() if name != spec.name)
    return EvaluationSpec.by(spec, leave_out=left_out, also=(spec.name,), **more)


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(before, module):
    return [n for n, v in module.state_dict().items() if not torch.equal(v, before[n])] == []


@pytest.mark.parametrize("freeze", [None, 1, "backbone"])
def test_the_encoder_that_is_given_stays_and_frozen_parts_do(source, freeze):
    encoder = saved()
    before, frozen = state(encoder), Adapted(encoder, 10, freeze)
    adapted = adapt(encoder, source.train, 10, replace(COURSE, freeze=freeze), views=VIEWS)
    assert same(before, encoder)
    assert not encoder.training
    assert not adapted.training
    assert not same(state(frozen.classifier), adapted.classifier)
    kept = {n for n, p in frozen.encoder.named_parameters() if not p.requires_grad}
    after = adapted.encoder.state_dict()
    moved = {name for name, v in after.items() if not torch.equal(v, before[f"backbone.{name}"])}
    assert not kept & moved
    assert bool(moved) == (freeze != "backbone")
    assert bool(kept) == (freeze is not None)


def test_layers_and_classifier_have_rates_of_their_own(source):
    encoder, part = saved(), Part(source.train.examples[:16], source.train.labels[:16])
    one, two = (replace(COURSE, epochs=epochs, weight_decay=0.0) for epochs in (1, 2))
    plain, faster = (
        adapt(encoder, part, 10, each, seed=1).classifier.weight
        for each in (one, replace(one, layer_decay=0.5, head_rate=4.0))
    )
    torch.testing.assert_close(faster, 4 * plain)
    told = layers(encoder.backbone)
    assert len(told) > 2
    groups = parameter_groups(Adapted(encoder, 10, None), layer_decay=0.5, head_rate=4.0)
    assert {g["rate_factor"] for g in groups} == {4.0, *(0.5**n for n in range(1, len(told) + 1))}
    # The first step moves the classifier alone, which begins at 0; the second, all.
    first = dict(encoder.backbone.named_parameters())
    moved = []
    for course in (two, replace(two, layer_decay=0.5)):
        after = dict(adapt(encoder, part, 10, course, seed=1).encoder.named_parameters())
        moved.append(
            {name: (after[name] - first[name]).detach() for layer in told for name in layer}
        )
    for place, layer in enumerate(told):
        factor = 0.5 ** (len(told) - place)
        for name in layer:
            found, expected = (float(each[name].norm()) for each in moved[::-1])
            assert found == pytest.approx(factor * expected, rel=0.05, abs=1e-7), name


def test_rates_of_layers_are_told_and_refused(source):
    spec = replace(QUICK, labels=("2",), learning_rates=(0.02,), weight_decays=(0.0,), draws=1)
    found = evaluate(
        saved(), source, only(replace(spec, layer_decay=0.5, head_rate=4.0), baselines=False)
    )
    (record,) = found.records
    assert record.parameters["layer_decay"] == 0.5
    told = FineTuningSpec.measures[0].detail(record.parameters)
    assert told == "2 labels per class, rates ×0.5 a layer down, the classifier's ×4"
    with pytest.raises(SettingError, match="with the backbone frozen it would change nothing"):
        FineTuningSpec(freeze="backbone", layer_decay=0.5)
    blind = saved()
    blind.backbone.group_matcher = None
    found = evaluate(blind, source, only(replace(spec, layer_decay=0.5), baselines=False))
    assert not found.records
    assert any("does not tell its layers" in note for note in found.notes)


def test_it_is_plain_sgd_with_nesterov(source):
    """Against the equations, step by step, with autograd's gradients (Sutskever et al. 2013)."""
    encoder, part = saved(), Part(source.train.examples[:16], source.train.labels[:16])
    course = replace(COURSE, epochs=3, batch_size=16)
    adapted = adapt(encoder, part, 10, course, seed=1)
    slow = Adapted(encoder, 10, None)
    slow.train()
    velocity = {name: torch.zeros_like(p) for name, p in slow.named_parameters()}
    rates = [0.05 * 0.5 * (1 + np.cos(np.pi * (step + 1) / 4)) for step in range(3)]
    for epoch, rate in enumerate(rates):
        mixed = np.random.SeedSequence([1, epoch]).generate_state(1, np.uint64)[0]
        order = torch.randperm(
            16, generator=torch.Generator().manual_seed(int(mixed >> np.uint64(1)))
        )
        loss = F.cross_entropy(slow(part.examples[order]), part.labels[order])
        gradients = torch.autograd.grad(loss, list(slow.parameters()))
        with torch.no_grad():
            for (name, weight), gradient in zip(slow.named_parameters(), gradients, strict=True):
                step = gradient + (1e-4 * weight if weight.ndim >= 2 else 0)
                velocity[name] = 0.9 * velocity[name] + step
                weight -= rate * (step + 0.9 * velocity[name])
    for name, weight in slow.named_parameters():
        torch.testing.assert_close(
            dict(adapted.named_parameters())[name], weight, rtol=1e-4, atol=1e-6
        )


def test_it_repeats_to_the_bit_whatever_is_drawn_beside(source):
    first = adapt(saved(), source.train, 10, COURSE, views=VIEWS, seed=2)
    torch.manual_seed(123)
    assert same(state(first), adapt(saved(), source.train, 10, COURSE, views=VIEWS, seed=2))
    assert not same(state(first), adapt(saved(), source.train, 10, COURSE, views=VIEWS, seed=3))


def test_few_labels_get_steps_enough(source):
    said = []
    few = Part(source.train.examples[:5], source.train.labels[:5])
    adapt(saved(), few, 10, replace(COURSE, least_steps=7), told=lambda what, _: said.append(what))
    assert said[-1] == "epoch 7 of 7"


@pytest.mark.parametrize(
    ("spec", "shape", "kept", "gone"),
    [
        (SimCLRViewsSpec(), (3, 16, 16), {"crop_scale": (0.08, 1.0)}, ("jitter", "grey")),
        (SeriesViewsSpec(), (2, 40), {"crop_length": (0.5, 1.0)}, ("noise", "scaling")),
        (VectorViewsSpec(), (6,), {}, ("corruption", "mixup", "noise")),
    ],
)  # fmt: skip
def test_views_while_labels_are_learnt_change_places_alone(spec, shape, kept, gone):
    views = spec.build(shape, mean=(0.5,) * shape[0], std=(0.2,) * shape[0])
    before = copy.deepcopy(views.parameters)
    first, second = where_only(views).parameters
    assert first == second
    assert all(getattr(first, name) == value for name, value in kept.items())
    assert all(getattr(first, name) == 0 for name in gone)
    assert views.parameters == before


def test_a_share_takes_of_every_class_and_a_number_as_few_labels_do():
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 3)
    first, second = draws_of(labels, "10%", 2, seed=4)
    assert torch.bincount(labels[first]).tolist() == [5, 3, 1]
    assert not torch.equal(first, second)
    assert torch.equal(first, draws_of(labels, "10%", 1, seed=4)[0])
    (five,) = draws_of(labels, "5", 1, seed=4)
    assert torch.bincount(labels[five]).tolist() == [5, 5, 3]
    assert draws_of(labels, "100%", 2, seed=0)[1].tolist() == list(range(83))


@pytest.mark.parametrize("asked", ["0%", "101%", "0", "-3", "some", "%", "1.5", ""])
def test_what_is_no_number_of_labels_is_refused(asked):
    with pytest.raises(SettingError, match=r"evaluation.fine_tuning.labels has"):
        FineTuningSpec(labels=(asked,))


def test_its_records_stand_beside_random_initialisation_and_on_the_page(source, tmp_path):
    folder = RunFolder.create(tmp_path / "run")
    folder.write_config({"format": 2, "evaluation": {}})
    found = evaluate(
        saved(), source, only(QUICK), untrained=saved(1), views=VIEWS, run_folder=folder
    )
    told = [(r.features, r.parameters["labels"], r.parameters["labelled"]) for r in found.records]
    by_kind = [("10%", 13), ("2", 20), ("100%", 120)]
    assert [each[1] for each in told] == [name for name, _ in by_kind] * 2
    assert [each[2] for each in told][-1] == 120
    assert {each[0] for each in told} == {"encoder", "untrained"}
    for record in found.records:
        values = record.parameters["values"]
        assert record.value == pytest.approx(np.mean(values))
        assert len(values) == 2
        assert record.parameters["learning_rate"] in QUICK.learning_rates
        assert record.parameters["weight_decay"] in QUICK.weight_decays
        assert record.n == 40
    page = write_report([folder.path], folder.report).read_text()
    assert "Fine-tuning" in page
    assert "10% of the labels" in page
    assert "Fine-tuned: accuracy by number of labels" in page
    assert not folder.finished_work.exists()


def test_nothing_of_the_test_part_chooses(source, monkeypatch):
    seen = []

    def answered(adapted, part, **_):
        seen.append(len(part))
        return torch.zeros(len(part), dtype=torch.int64)

    monkeypatch.setattr(fine_tuning, "answers", answered)
    spec = replace(QUICK, labels=("10%",))
    evaluate(saved(), source, only(spec, baselines=False))
    # Two rates and one more decay on a fifth of the training part, then two draws on the test part.
    assert [count == 40 for count in seen] == [False] * 3 + [True] * 2
    assert all(10 <= count <= 36 for count in seen[:3])


def test_work_that_was_done_before_a_kill_is_not_done_again(source, tmp_path, monkeypatch):
    spec, folder = only(replace(QUICK, labels=("10%",)), baselines=False), tmp_path / "run"
    whole = evaluate(saved(), source, spec, run_folder=RunFolder.create(tmp_path / "whole"))
    fits, real = [], fine_tuning.adapt

    def killed(*given, **named):
        if len(fits) == 4:
            raise KeyboardInterrupt
        fits.append(real(*given, **named))
        return fits[-1]

    monkeypatch.setattr(fine_tuning, "adapt", killed)
    run = RunFolder.create(folder)
    with pytest.raises(KeyboardInterrupt):
        evaluate(saved(), source, spec, run_folder=run)
    with run.finished_work.open("a") as file:
        file.write('{"key": "torn')
    again = []
    monkeypatch.setattr(fine_tuning, "adapt", lambda *g, **n: again.append(1) or real(*g, **n))
    resumed = evaluate(saved(), source, spec, run_folder=run)
    assert len(again) == 1
    assert resumed.records == whole.records
    assert not run.finished_work.exists()


def test_work_on_disk_is_of_its_key_alone(tmp_path):
    path = tmp_path / "work.jsonl"
    kept = FinishedWork(path)
    assert kept.once("a", lambda: [1, 2]) == [1, 2]
    assert kept.once("a", lambda: pytest.fail("done already")) == [1, 2]
    path.write_text(path.read_text() + 'no json\n{"key": "b", "value"')
    other = FinishedWork(path)
    assert other.once("a", lambda: pytest.fail("done already")) == [1, 2]
    assert other.once("b", lambda: 3) == 3
    assert json.loads(path.read_text().splitlines()[-1]) == {"key": "b", "value": 3}
    assert FinishedWork(path).once("b", lambda: pytest.fail("done already")) == 3


def test_fingerprints_tell_apart_what_differs():
    one, other = saved(0), saved(1)
    assert fingerprint(one, COURSE) == fingerprint(saved(0), COURSE)
    others = [(other, COURSE), (one, replace(COURSE, epochs=3)), (one, COURSE, torch.zeros(2))]
    assert len({fingerprint(*each) for each in [(one, COURSE), *others]}) == 4


def test_a_loss_without_end_counts_as_wrong(source):
    course = replace(COURSE, learning_rate=1e30)
    adapted = adapt(saved(), source.train, 10, course)
    assert (answers(adapted, source.test) == -1).all()


def test_the_probe_leaves_the_encoder_as_it_is_and_rates_apart(source):
    encoder = saved()
    before, course = state(encoder), ProbeCourse(epochs=3, batch_size=16)
    slow, fast = train_probes(encoder, source.train, 10, course, [0.1, 5.0], views=VIEWS)
    assert same(before, encoder)
    (alone,) = train_probes(encoder, source.train, 10, course, [5.0], views=VIEWS)
    assert same(state(fast), alone)
    assert not same(state(slow), fast)


def test_the_probe_is_sgd_on_features(source):
    encoder, part = saved(), Part(source.train.examples[:16], source.train.labels[:16])
    (probe,) = train_probes(encoder, part, 10, ProbeCourse(2, 16, 0.01), [4.0])
    with torch.no_grad():
        features = encoder(part.examples)
    slow, velocity = nn.Linear(encoder.num_features, 10), None
    nn.init.zeros_(slow.weight)
    nn.init.zeros_(slow.bias)
    for step in range(2):
        loss = F.cross_entropy(slow(features), part.labels)
        gradients = torch.autograd.grad(loss, [slow.weight, slow.bias])
        rate = 4.0 * 16 / 256 * 0.5 * (1 + np.cos(np.pi * (step + 1) / 3))
        with torch.no_grad():
            steps = [g + 0.01 * w for g, w in zip(gradients, slow.parameters(), strict=True)]
            velocity = steps if velocity is None else [
                0.9 * v + s for v, s in zip(velocity, steps, strict=True)
            ]  # fmt: skip
            for weight, v in zip(slow.parameters(), velocity, strict=True):
                weight -= rate * v
    torch.testing.assert_close(probe.weight, slow.weight, rtol=1e-3, atol=1e-5)


def test_the_probe_s_records_and_its_choice(source, monkeypatch):
    asked, real = [], sgd_probe.logits
    monkeypatch.setattr(
        sgd_probe, "logits", lambda *g, **n: asked.append(len(g[2])) or real(*g, **n)
    )
    spec = SGDProbeSpec(epochs=2, batch_size=32, learning_rates=(0.1, 1.0))
    found = evaluate(saved(), source, only(spec), untrained=saved(1), views=VIEWS)
    assert [(r.features, r.metric) for r in found.records] == [
        (kind, metric) for kind in ("encoder", "untrained") for metric in ("top1", "top5")
    ]
    assert {r.parameters["learning_rate"] for r in found.records} <= {0.1, 1.0}
    assert [count == 40 for count in asked] == [False, True] * 2
    assert 0 < found.records[0].value <= 1


def test_the_probe_takes_the_rate_that_serves_examples_it_did_not_learn_from(source):
    spec = SGDProbeSpec(epochs=3, batch_size=32, learning_rates=(1e-6, 1.0, 1e-5), augment=False)
    found = evaluate(saved(), source, only(spec, baselines=False))
    assert {record.parameters["learning_rate"] for record in found.records} == {1.0}


def test_copies_of_an_example_are_on_one_side_of_the_choice(source):
    images = torch.cat([source.train.examples, source.train.examples])
    twice = Source("digits", Part(images, source.train.labels.repeat(2)), source.test)
    choice = Judged("encoder", saved(), twice).choice
    fitting, choosing = (set(rows.tolist()) for rows in (choice.fitting, choice.choosing))
    assert fitting | choosing == set(range(240))
    assert len(choosing) > 20
    assert all((row + 120) % 240 in choosing for row in choosing)


def test_a_share_of_the_labels_is_rounded_in_each_class_and_never_nothing():
    labels = torch.tensor([0] * 18 + [1] * 2 + [2] * 25)
    for rows in draws_of(labels, "10%", 3, seed=0):
        assert torch.bincount(labels[rows]).tolist() == [2, 1, 2]


def test_an_encoder_without_a_network_is_left_out(source):
    for spec in (QUICK, SGDProbeSpec(epochs=1)):
        found = evaluate(nn.Flatten(), source, only(spec, baselines=False))
        assert found.records == ()
        assert "left out" in " ".join(found.notes)
