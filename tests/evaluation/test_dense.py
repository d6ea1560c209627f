"""Depth and segmentation: figures against slow loops, what heads learn, and what is left out."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.data.source import Part, Source, StreamedExamples
from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.specs import PatchGRUSpec, SmallResNetSpec
from nearfar.errors import SettingError
from nearfar.evaluation.dense_heads import raw_patches, train_heads
from nearfar.evaluation.dense_judging import smaller_maps
from nearfar.evaluation.dense_metrics import (
    depth_figures,
    depth_sums,
    overlaps,
    segmentation_figures,
)
from nearfar.evaluation.dense_specs import DepthSpec, SegmentationSpec
from nearfar.evaluation.depth import Depths, cropped
from nearfar.evaluation.evaluate import evaluate
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.segmentation import pixel_loss
from nearfar.run_folder.folder import RunFolder

NAN = float("nan")
QUICK = {"epochs": 12, "learning_rates": (0.03,), "batch_size": 8}


# --- figures ---------------------------------------------------------------------------------


def slow_depth(answers, depths):
    """Pixel by pixel, from the equations."""
    errors, relative, ratios = [], [], []
    for said, true in zip(answers.flatten().tolist(), depths.flatten().tolist(), strict=True):
        if math.isnan(true):
            continue
        errors.append(abs(said - true))
        relative.append(abs(said - true) / true)
        ratios.append(max(said / true, true / said))
    count = len(errors)
    return {
        "rmse": math.sqrt(sum(each**2 for each in errors) / count),
        "mae": sum(errors) / count,
        "rel": sum(relative) / count,
        **{f"within {f}": sum(r < f for r in ratios) / count for f in (1.25, 1.25**2, 1.25**3)},
    }


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), missing=st.floats(0, 0.8), images=st.integers(1, 4))
def test_depth_figures_are_those_of_the_equations(seed, missing, images):
    random = np.random.RandomState(seed)
    depths = torch.tensor(random.uniform(0.1, 10, (images, 3, 4)))
    answers = depths * torch.tensor(random.uniform(0.5, 2, depths.shape))
    depths[torch.tensor(random.random_sample(depths.shape) < missing)] = NAN
    depths[0, 0, 0] = 2.0
    found = depth_figures(depth_sums(answers, depths))
    for name, value in slow_depth(answers, depths).items():
        assert found[name].value == pytest.approx(value, rel=1e-9), name


def test_the_standard_error_is_that_of_means_of_images():
    random = np.random.RandomState(0)
    depths = torch.ones(50, 4, 4)
    answers = 1 + torch.tensor(random.uniform(0, 1, (50, 1, 1))).expand(50, 4, 4)
    of_images = (answers - 1).mean(dim=(1, 2))
    found = depth_figures(depth_sums(answers, depths))
    expected = float(of_images.std(unbiased=True)) / math.sqrt(50)
    assert found["mae"].standard_error == pytest.approx(expected, rel=1e-9)
    one = depth_figures(depth_sums(answers[:1], depths[:1]))
    assert one["mae"].standard_error is None


def slow_iou(answers, masks, classes):
    shares = []
    for number in range(classes):
        both = either = 0
        for said, true in zip(answers.flatten().tolist(), masks.flatten().tolist(), strict=True):
            if true < 0:
                continue
            both += said == number == true
            either += number in (said, true)
        if either:
            shares.append(both / either)
    return sum(shares) / len(shares)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), images=st.integers(1, 4))
def test_segmentation_figures_are_those_of_the_equations(seed, images):
    random = np.random.RandomState(seed)
    masks = torch.tensor(random.randint(-1, 4, (images, 3, 4)))  # of 6 classes, two never are
    masks[0, 0, 0] = 1
    answers = torch.tensor(random.randint(0, 5, masks.shape))
    found = segmentation_figures(overlaps(answers, masks.to(torch.int16), 6))
    assert found["mean_iou"].value == pytest.approx(slow_iou(answers, masks, 6), rel=1e-9)
    judged = masks >= 0
    right = float((answers[judged] == masks[judged]).double().mean())
    assert found["pixel_accuracy"].value == pytest.approx(right, rel=1e-9)


def test_the_error_of_the_mean_iou_is_that_of_drawing_images_again():
    random = np.random.RandomState(1)
    masks = torch.tensor(random.randint(0, 3, (60, 5, 5)))
    wrong = torch.tensor(random.random_sample((60, 1, 1)) * 0.8 > random.random_sample((60, 5, 5)))
    found = overlaps(torch.where(wrong, (masks + 1) % 3, masks), masks, 3)
    error = segmentation_figures(found)["mean_iou"].standard_error
    drawn = [
        segmentation_figures(found[random.randint(60, size=60)])["mean_iou"].value
        for _ in range(400)
    ]
    assert error == pytest.approx(np.std(drawn), rel=0.2)


# --- losses ----------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["log", "l1"])
def test_what_is_missing_or_out_of_range_teaches_nothing(loss):
    depths = torch.tensor([[[1.0, 2.0, NAN, 0.0005, 50.0]]])
    task = Depths(DepthSpec(loss=loss, max_depth=10.0), depths)
    assert task.known == 2
    outputs = torch.full((1, 1, 1, 5), 0.3, requires_grad=True)
    task.loss(outputs, depths).backward()
    assert (outputs.grad[0, 0, 0] != 0).tolist() == [True, True, False, False, False]
    expected = {
        "log": lambda d: (0.3 + math.log(2) / 2 - math.log(d)) ** 2,
        "l1": lambda d: abs(1.3 - d / 1.5),
    }[loss]
    assert float(task.loss(outputs.detach(), depths)) == pytest.approx(
        (expected(1) + expected(2)) / 2
    )
    middle = math.sqrt(2) if loss == "log" else 1.5
    assert float(task.of(torch.zeros(1, 1, 1, 1))) == pytest.approx(middle)
    assert task.of(torch.tensor([-9e9, 9e9]).view(1, 1, 1, 2)).tolist() == [[[1e-3, 10.0]]]


def test_pixels_without_a_class_teach_nothing():
    masks = torch.tensor([[[0, -1, 2]]], dtype=torch.int16)
    outputs = torch.randn(1, 3, 1, 3, requires_grad=True)
    pixel_loss(outputs, masks).backward()
    assert (outputs.grad.abs().sum(dim=1)[0, 0] > 0).tolist() == [True, False, True]
    assert float(pixel_loss(outputs, torch.full_like(masks, -1))) == 0


def test_crops_keep_what_they_say_and_never_nothing():
    maps = torch.arange(480.0 * 640).view(1, 480, 640)
    eigen = cropped(maps, (45 / 480, 471 / 480, 41 / 640, 601 / 640))
    assert torch.equal(eigen, maps[:, 45:471, 41:601])
    assert cropped(maps[:, :3, :3], (0.99, 1.0, 0.0, 0.01)).shape == (1, 1, 1)


def test_raw_patches_are_the_pixels_of_their_places():
    images = torch.randint(0, 256, (2, 3, 8, 12), dtype=torch.uint8)
    patches = raw_patches(images, 4)
    assert patches.shape == (2, 48, 2, 3)
    expected = images[1, :, 4:8, 8:12].float().flatten() / 255
    torch.testing.assert_close(patches[1, :, 1, 2], expected)
    assert raw_patches(images, 5).shape == (2, 75, 2, 2)


# --- protocols -------------------------------------------------------------------------------


def made_source(count=48, side=8, seed=0):
    """Grey pictures of blocks of 4 px; each is as deep, and of a class, as its brightness says."""
    draws = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 256, (count, 1, side // 4, side // 4), generator=draws)
    images = blocks.repeat_interleave(4, 2).repeat_interleave(4, 3).to(torch.uint8)
    depths = torch.exp(images[:, 0].float() / 128)
    depths[:, 0, 0] = NAN
    masks = (images[:, 0] > 127).to(torch.int16)
    masks[:, 0, 1] = -1

    def part(rows):
        return Part(images[rows], depths=depths[rows], masks=masks[rows])

    third = count // 3
    return Source(
        "made", part(slice(third, None)), part(slice(third)), mask_names=("dark", "bright")
    )


@pytest.fixture
def encoder(tmp_path):
    torch.manual_seed(0)
    spec = SmallResNetSpec(width=4)
    network = spec.build((1, 8, 8))
    save_encoder(tmp_path / "e", network, spec, shape=(1, 8, 8), mean=[0.5], std=[0.3])
    return load_encoder(tmp_path / "e")


def judged(encoder, source, *protocols, untrained=None, run_folder=None, **more):
    names = (
        {"depth", "segmentation"} - {each.name for each in protocols} - set(more.get("also", ()))
    )
    leave_out = ("map", "gallery", "effective_rank", *names)
    spec = EvaluationSpec.by(*protocols, leave_out=leave_out, **more)
    return evaluate(encoder, source, spec, untrained=untrained, run_folder=run_folder)


def of(found, protocol, kind, **parameters):
    values = [
        each.value
        for each in found.records
        if (each.protocol, each.features) == (protocol, kind)
        and parameters.items() <= each.parameters.items()
    ]
    assert len(values) == 1
    return values[0]


def test_a_linear_head_reads_what_pixels_say(encoder):
    """Depth is exponential in brightness, so that log depth is linear in a pixel."""
    source = made_source(90)
    depth = DepthSpec(raw_patch=4, heads=("linear",), **QUICK | {"epochs": 30})
    found = judged(encoder, source, depth, SegmentationSpec(raw_patch=4, **QUICK))
    constant = torch.full_like(source.test.depths, float(source.train.depths.nanmean()))
    guess = slow_depth(constant, source.test.depths)
    # Between the middles of two blocks what is said goes over: no pixel there is right.
    assert of(found, "depth_rel", "raw", head="linear") < 0.6 * guess["rel"]
    assert of(found, "depth_within", "raw", within=1.25) > 0.5
    assert of(found, "mean_iou", "raw", head="linear") > 0.6
    assert of(found, "pixel_accuracy", "raw") > 0.75
    records = [each for each in found.records if each.protocol.startswith("depth")]
    assert {each.features for each in records} == {"encoder", "raw"}
    assert all(each.n == len(source.test) for each in records)
    assert all("standard_error" in each.parameters for each in records)


@pytest.mark.parametrize("stage", [-1, -2])
def test_every_head_is_judged_on_every_kind_of_features(encoder, stage):
    depth = DepthSpec(stage=stage, loss="l1", max_depth=6.0, crop=(0.25, 1, 0, 1), **QUICK)
    found = judged(encoder, made_source(), depth, untrained=encoder)
    for kind in ("encoder", "untrained", "raw"):
        for head in ("linear", "conv"):
            assert 0 < of(found, "depth_rmse", kind, head=head, trained="head") < 4
    told = {each.parameters.get("judged") for each in found.records if "rmse" in each.protocol}
    assert told == {"depths from 0.001 to 6, cropped to 0.25 1 0 1"}
    stages = {each.parameters.get("stage") for each in found.records if each.features == "encoder"}
    assert stages - {None} == ({-2} if stage == -2 else set())


def test_the_whole_network_is_trained_where_it_is_asked_for_and_the_encoder_stays(encoder):
    before = {name: each.clone() for name, each in encoder.state_dict().items()}
    depth = DepthSpec(whole_network=True, heads=("linear",), **QUICK | {"epochs": 20})
    found = judged(encoder, made_source(), depth, untrained=encoder)
    frozen = of(found, "depth_rmse", "encoder", trained="head")
    assert of(found, "depth_rmse", "encoder", trained="all") < frozen
    assert of(found, "depth_rmse", "untrained", trained="all") < frozen
    assert not [
        each
        for each in found.records
        if each.parameters.get("trained") == "all" and each.features == "raw"
    ]
    after = encoder.state_dict()
    assert all(torch.equal(each, after[name]) for name, each in before.items())
    assert not encoder.training


def test_maps_that_are_not_held_give_the_same_figures(encoder, monkeypatch):
    depth = DepthSpec(heads=("linear",), **QUICK)
    held = judged(encoder, made_source(), depth, baselines=False)
    monkeypatch.setattr("nearfar.evaluation.dense_heads._MOST_HELD", 0)
    anew = judged(encoder, made_source(), depth, baselines=False)
    for one, other in zip(held.records, anew.records, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-5)


class Streamed(StreamedExamples):
    def __init__(self, held):
        self.held, self.shape = held, tuple(held.shape[1:])

    def __len__(self):
        return len(self.held)

    def __getitem__(self, index):
        return self.held[index]


def test_streamed_examples_and_targets_give_the_same_figures(encoder, monkeypatch):
    source = made_source()

    def streamed(part):
        held = {name: Streamed(getattr(part, name)) for name in ("examples", "depths", "masks")}
        return replace(part, **held)

    other = replace(source, train=streamed(source.train), test=streamed(source.test))
    depth = DepthSpec(heads=("linear",), whole_network=True, **QUICK | {"epochs": 2})
    alike = [judged(encoder, each, depth, baselines=False) for each in (source, other)]
    for one, two in zip(*(each.records for each in alike), strict=True):
        assert one.value == pytest.approx(two.value, rel=1e-5)


def test_the_rate_is_chosen_on_training_images_alone(encoder):
    source = made_source()
    depth = DepthSpec(heads=("linear",), **QUICK | {"learning_rates": (1e-6, 0.03)})
    other = replace(source, test=replace(source.test, depths=source.test.depths.flip(0) + 5))
    for each in (source, other):
        found = judged(encoder, each, depth, baselines=False)
        rates = {r.parameters["learning_rate"] for r in found.records if "depth" in r.protocol}
        assert rates == {0.03}


def test_an_evaluation_that_was_cut_goes_on_to_the_same_figures(encoder, tmp_path, monkeypatch):
    depth = DepthSpec(heads=("linear", "conv"), **QUICK | {"epochs": 2})
    whole = judged(encoder, made_source(), depth, baselines=False)
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    fitted = []

    def stopping(*given, **named):
        if len(fitted) == 1:
            raise InterruptedError
        fitted.append(1)
        return train_heads(*given, **named)

    monkeypatch.setattr("nearfar.evaluation.dense_judging.train_heads", stopping)
    with pytest.raises(InterruptedError):
        judged(encoder, made_source(), depth, baselines=False, run_folder=folder)
    fitted.clear()
    again = judged(encoder, made_source(), depth, baselines=False, run_folder=folder)
    assert len(fitted) == 1  # the second head alone
    assert [each.value for each in again.records] == [each.value for each in whole.records]


def test_sources_without_targets_are_not_judged_by_them(encoder):
    source = made_source()
    bare = replace(source, train=Part(source.train.examples), test=Part(source.test.examples))
    found = evaluate(encoder, bare, EvaluationSpec(leave_out=("map", "gallery"), baselines=False))
    assert not [each for each in found.records if "depth" in each.protocol]
    assert not [note for note in found.notes if "depth" in note]
    found = judged(encoder, bare, baselines=False, also=("depth",))
    assert "depth left out: the examples have no depths" in found.notes


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: replace(s, test=None), "depth left out: no test part with depths"),
        (
            lambda s: replace(s, train=replace(s.train, depths=s.train.depths * NAN)),
            "depth left out: no training pixel has a depth in range",
        ),
        (
            lambda s: replace(s, test=replace(s.test, depths=s.test.depths * NAN)),
            "depth left out: no test pixel has a depth in range",
        ),
    ],
)
def test_what_cannot_be_judged_is_a_note(encoder, change, told):
    source = change(made_source())
    found = judged(encoder, source, DepthSpec(heads=("linear",), **QUICK), baselines=False)
    assert told in found.notes
    assert not [each for each in found.records if "depth" in each.protocol]


def test_an_encoder_without_places_is_a_note(tmp_path):
    spec = PatchGRUSpec(width=4)
    network = spec.build((1, 8, 8))
    save_encoder(tmp_path, network, spec, shape=(1, 8, 8), mean=[0.5], std=[0.3])
    found = judged(load_encoder(tmp_path), made_source(), DepthSpec(**QUICK))
    assert any("depth left out: PatchGRU has no features by place" in each for each in found.notes)
    assert {each.features for each in found.records if "depth" in each.protocol} == {"raw"}


def test_one_image_is_enough_to_learn_from(encoder):
    source = made_source(3)  # two to learn from, one for test
    one = replace(
        source,
        train=Part(
            source.train.examples[:1],
            depths=source.train.depths[:1],
            masks=source.train.masks[:1],
        ),
    )
    found = judged(encoder, one, DepthSpec(whole_network=True, **QUICK), baselines=False)
    record = next(each for each in found.records if each.protocol == "depth_rmse")
    assert math.isfinite(record.value)
    assert "standard_error" not in record.parameters
    assert {each.parameters.get("trained") for each in found.records} <= {None, "head"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"heads": ()}, "evaluation.depth.heads is empty"),
        ({"heads": ("conv", "conv")}, "has conv twice"),
        ({"learning_rates": ()}, "evaluation.depth.learning_rates is empty"),
        ({"max_depth": 1e-4}, "max_depth is 0.0001: it must be above min_depth, 0.001"),
        ({"crop": (0.5, 0.5, 0.0, 1.0)}, "give first and last row, then first and last column"),
        ({"stage": 0}, "evaluation.depth.stage is 0"),
    ],
)
def test_settings_that_hold_nothing_are_refused(settings, told):
    with pytest.raises(SettingError, match=told):
        DepthSpec(**settings)


def test_maps_on_show_are_those_of_their_images_and_no_larger_than_thumbnails(encoder):
    """The raw head knows blocks by their brightness: what is shown answers for its own image."""
    source = made_source(90)
    depth = DepthSpec(raw_patch=4, heads=("linear",), **QUICK | {"epochs": 30})
    found = judged(encoder, source, depth, SegmentationSpec(raw_patch=4, **QUICK))
    rows = torch.linspace(0, 29, 6).round().long()
    np.testing.assert_array_equal(found.arrays["depth_truth"], source.test.depths[rows].numpy())
    np.testing.assert_array_equal(
        found.arrays["depth_images"][..., 0], source.test.examples[rows, 0]
    )
    for kind in ("", "raw_"):
        assert found.arrays[f"{kind}depth_answers"].shape == (6, 8, 8)
    answers = torch.from_numpy(found.arrays["raw_depth_answers"])
    own = depth_sums(answers, source.test.depths[rows])
    other = depth_sums(answers, source.test.depths[rows.roll(1)])
    assert depth_figures(own)["rel"].value < 0.5 * depth_figures(other)["rel"].value
    assert found.arrays["segmentation_truth"].dtype == np.int16
    right = found.arrays["raw_segmentation_answers"] == found.arrays["segmentation_truth"]
    assert right.mean() > 0.6
    assert found.arrays["segmentation_names"].tolist() == ["dark", "bright"]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (64, 100), (300, 7), (1000, 1)])
def test_a_small_map_takes_pixels_from_all_of_the_map(height, width):
    maps = torch.arange(height * width, dtype=torch.float64).view(1, height, width)
    small = smaller_maps(maps)
    assert max(small.shape[1:]) == min(64, max(height, width))
    down, across = small[0] // width, small[0] % width
    for taken, side in ((down[:, 0], height), (across[0], width)):
        steps = taken.diff()
        assert len(steps) == 0 or (steps > 0).all()
        assert abs(float(taken.mean()) - (side - 1) / 2) <= 0.5
