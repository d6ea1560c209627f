"""CPC's loss is that of loops over its definition, on one rank or two, whole or in parts."""

import math
import re

import pytest
import torch
from torch import nn

from nearfar.encoders.specs import EncoderSpec, PatchGRUSpec, SeriesGRUSpec, SmallResNetSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.methods.cpc import CPC, jittered, moved_crops
from nearfar.methods.cpc_spec import CPCSpec
from nearfar.methods.labelled_specs import CrossEntropySpec
from nearfar.methods.method import Method
from nearfar.methods.unlabelled_specs import BYOLSpec, SimCLRSpec
from nearfar.spec import as_spec
from nearfar.testing import run_on_ranks
from nearfar.testing.resuming import resumes_to_the_same_bits
from nearfar.training.averaging import StepAverage
from nearfar.training.gradient_caching import cached_gradients
from nearfar.training.ranks import Ranks

EXACT = {"rtol": 1e-10, "atol": 1e-10}
KINDS = {"series-gru": (2, 13), "patch-gru": (1, 11, 11)}


def cpc(kind: str = "series-gru", steps: int = 3, **changes: float) -> CPC:
    with torch.random.fork_rng():
        torch.manual_seed(6)
        encoder = as_spec(EncoderSpec, {"name": kind, "width": 2}).build(KINDS[kind])
        return CPC(CPCSpec(prediction_steps=steps, **changes), encoder).double()


def views_of(kind: str, batch: int, count: int = 1) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(batch)
    drawn = torch.randn(count, batch, *KINDS[kind], generator=generator).double()
    return tuple(3 * view for view in drawn)


def slow_loss(method: CPC, views: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """The definition, one prediction at a time."""
    by_step = []
    for ahead, predictor in enumerate(method.predictors, start=1):
        losses = []
        for view in views:
            z, c = method.encoder.steps(view)
            batch, steps, columns, _ = z.shape
            for t in range(steps - ahead):
                for column in range(columns):
                    for i in range(batch):
                        predicted = predictor.weight @ c[i, t, column]
                        fits = [(z[j, t + ahead, column] @ predicted).exp() for j in range(batch)]
                        losses.append(-(fits[i] / sum(fits)).log())
        by_step.append(sum(losses) / len(losses))
    return sum(by_step) / len(by_step)


def gradients_of(method: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weights.grad for name, weights in method.named_parameters()}


@pytest.mark.parametrize(
    ("kind", "count"), [("series-gru", 1), ("series-gru", 2), ("patch-gru", 1)]
)
def test_loss_and_gradient_are_those_of_the_definition(kind, count):
    found, expected, views = cpc(kind), cpc(kind), views_of(kind, 4, count)
    loss = found(views)
    loss.backward()
    slow = slow_loss(expected, views)
    slow.backward()
    torch.testing.assert_close(loss, slow, **EXACT)
    torch.testing.assert_close(gradients_of(found), gradients_of(expected), **EXACT)
    assert abs(float(slow.detach()) - math.log(4)) > 1e-3


def test_gradcheck():
    method = cpc(steps=2)
    series = torch.randn(3, 2, 6, generator=torch.Generator().manual_seed(1)).double()
    assert torch.autograd.gradcheck(lambda x: method((x,)), series.requires_grad_())


def test_where_all_examples_are_one_the_loss_is_that_of_guessing():
    series = torch.randn(1, *KINDS["series-gru"]).double().expand(5, -1, -1)
    method = cpc()
    assert float(method((series,)).detach()) == pytest.approx(math.log(5))
    scalars = method.scalars
    assert [scalars[f"bound_{ahead}"] for ahead in (1, 2, 3)] == pytest.approx([0, 0, 0], abs=1e-6)


def test_it_is_a_method_all_of_whose_weights_are_trained_but_those_of_no_future():
    for kind in KINDS:
        method = cpc(kind)
        assert isinstance(method, Method)
        assert len(method.predictors) == 3
        assert all(layer.bias is None for layer in method.predictors)
        embedded = method.embed(views_of(kind, 4, 2))
        assert [len(rows) for rows in embedded] == [4, 4, 4, 4]
        method.loss(embedded).backward()
        assert all(float(grad.abs().sum()) > 0 for grad in gradients_of(method).values())


@pytest.mark.parametrize("kind", KINDS)
def test_in_parts_the_gradient_is_that_of_the_whole_batch(kind):
    whole, parts, views = cpc(kind), cpc(kind), views_of(kind, 7, 2)
    expected = whole(views)
    expected.backward()
    found = cached_gradients(parts, views, None, 3)
    torch.testing.assert_close(found, expected.detach(), **EXACT)
    torch.testing.assert_close(gradients_of(parts), gradients_of(whole), **EXACT)
    assert parts.scalars == pytest.approx(whole.scalars, abs=1e-6)


COUNTS = (3, 5)
CHANGES = {"patch_crop": 0.75, "patch_jitter": 0.5}


def step_on_a_rank(rank: int, world: int, kind: str, in_parts: bool, changes: dict) -> dict:
    """One step of a rank's own rows; gradients averaged as training does."""
    torch.manual_seed(rank)
    method = cpc(kind, **changes)
    views = tuple(view.split(COUNTS)[rank] for view in views_of(kind, 8))
    if in_parts:
        loss = cached_gradients(method, views, None, 2)
    else:
        loss = method(views)
        loss.backward()
    loss = loss.detach()
    StepAverage(method, list(method.parameters()), Ranks(rank, world)).finish(loss)
    return {"loss": loss, "gradients": gradients_of(method), "scalars": method.scalars}


@pytest.mark.parametrize(("kind", "in_parts"), [("series-gru", True), ("patch-gru", False)])
def test_two_ranks_are_one_process_with_the_global_batch(tmp_path, kind, in_parts):
    found = run_on_ranks(2, step_on_a_rank, tmp_path, kind, in_parts, {})
    whole = cpc(kind)
    loss = whole(views_of(kind, 8))
    loss.backward()
    for each in found:
        torch.testing.assert_close(each["loss"], loss.detach(), **EXACT)
        torch.testing.assert_close(each["gradients"], gradients_of(whole), **EXACT)
        assert each["scalars"] == pytest.approx(whole.scalars, abs=1e-6)


def test_two_ranks_whose_patches_differ_are_one_batch_of_them(tmp_path):
    found = run_on_ranks(2, step_on_a_rank, tmp_path, "patch-gru", False, CHANGES)
    whole, drawn = cpc("patch-gru", **CHANGES), []
    for rank, view in enumerate(views_of("patch-gru", 8)[0].split(COUNTS)):
        torch.manual_seed(rank)
        drawn.append(whole.embed((view,)))
    loss = whole.loss(tuple(torch.cat(grids) for grids in zip(*drawn, strict=True)))
    loss.backward()
    for each in found:
        torch.testing.assert_close(each["loss"], loss.detach(), **EXACT)
        torch.testing.assert_close(each["gradients"], gradients_of(whole), **EXACT)


def test_scalars_are_of_the_last_call():
    method, views = cpc(), views_of("series-gru", 6)
    assert method.scalars == {}
    method(views_of("series-gru", 4))
    method(views)
    with torch.no_grad():
        z, c = (grid.squeeze(2) for grid in method.embed(views))
        right = [
            int((z[:, t + 1] @ (method.predictors[0].weight @ c[i, t])).argmax()) == i
            for t in range(z.shape[1] - 1)
            for i in range(6)
        ]
        one, two = cpc(steps=1), cpc(steps=2)
        expected = [float(slow_loss(each, views)) for each in (one, two)]
        one.predictors[0].weight.copy_(method.predictors[0].weight)
        two.predictors.load_state_dict(method.predictors[:2].state_dict())
        expected = [float(slow_loss(each, views)) for each in (one, two)]
    scalars = method.scalars
    assert 0 < sum(right) < len(right)
    assert scalars["nearest_is_positive"] == pytest.approx(sum(right) / len(right), abs=1e-6)
    assert scalars["bound_1"] == pytest.approx(math.log(6) - expected[0], abs=1e-6)
    second = 2 * expected[1] - expected[0]
    assert scalars["bound_2"] == pytest.approx(math.log(6) - second, abs=1e-6)
    assert scalars["mutual_information_ceiling"] == pytest.approx(math.log(6))
    expected_names = {"nearest_is_positive", "mutual_information_ceiling"}
    assert set(scalars) == expected_names | {"bound_1", "bound_2", "bound_3"}
    # They are of the weights that made the loss, and stay so when a step has moved them.
    with torch.no_grad():
        method.predictors[0].weight.zero_()
    assert method.scalars == scalars


def test_a_run_stopped_in_an_epoch_goes_on_to_the_same_bits_with_changed_patches():
    config = CPCSpec(prediction_steps=1, patch_jitter=0.5)

    def build() -> CPC:
        with torch.random.fork_rng():
            torch.manual_seed(6)
            encoder = PatchGRUSpec(width=2).build((1, 8, 8))
            return CPC(config, encoder)

    state = resumes_to_the_same_bits(build)
    assert "method.predictors.0.weight" in state


def test_in_training_every_patch_is_changed_by_itself():
    method, (view,) = cpc("patch-gru", **CHANGES), views_of("patch-gru", 5)
    side, stride = 4, 2
    torch.manual_seed(1)
    z, c = method.embed((view,))
    torch.manual_seed(1)
    cut = view.unfold(2, side, stride).unfold(3, side, stride).permute(0, 2, 3, 1, 4, 5)
    patches = jittered(moved_crops(cut.reshape(-1, 1, side, side), 0.75), 0.5)
    torch.testing.assert_close(z.flatten(0, 2), method.encoder.patches(patches).flatten(1))
    torch.testing.assert_close(c, method.encoder.gru(z))
    # Judged, and used, are patches as they are; in training small maps are products of matrices.
    for expected, found in zip(
        method.encoder.steps(view), method.eval().embed((view,)), strict=True
    ):
        torch.testing.assert_close(expected, found)


@pytest.mark.parametrize(
    ("changes", "change"),
    [
        ({"patch_crop": 0.5}, lambda patches: moved_crops(patches, 0.5)),
        ({"patch_jitter": 0.3}, lambda patches: jittered(patches, 0.3)),
    ],
)
def test_a_change_by_itself_draws_nothing_for_the_other(changes, change):
    method, (view,) = cpc("patch-gru", **changes), views_of("patch-gru", 3)
    torch.manual_seed(1)
    found = method.embed((view,))
    torch.manual_seed(1)
    for each, expected in zip(found, method.encoder.steps(view, change), strict=True):
        assert torch.equal(each, expected)


def test_parts_keep_the_patches_that_were_drawn_for_them():
    whole, parts = (cpc("patch-gru", **CHANGES) for _ in range(2))
    (view,) = views_of("patch-gru", 7)
    torch.manual_seed(2)
    drawn = [whole.embed((part,)) for part in view.tensor_split(3)]
    expected = whole.loss(tuple(torch.cat(grids) for grids in zip(*drawn, strict=True)))
    expected.backward()
    torch.manual_seed(2)
    found = cached_gradients(parts, (view,), None, 3)
    torch.testing.assert_close(found, expected.detach(), **EXACT)
    torch.testing.assert_close(gradients_of(parts), gradients_of(whole), **EXACT)


def test_what_cannot_be_predicted_is_refused():
    with pytest.raises(SettingError, match=r"method.prediction_steps is 0: it must be 1 or more"):
        cpc(steps=0)
    with pytest.raises(SettingError, match=r"is 6: the encoder makes 6 steps .* at most 5 to"):
        cpc(steps=6)
    with pytest.raises(SettingError, match=r"is 4: the encoder makes 4 steps .* at most 3 to"):
        cpc("patch-gru", steps=4)
    assert len(cpc(steps=5).predictors) == 5
    with pytest.raises(SettingError, match=r"Linear gives none: choose encoder.name series-gru"):
        CPC(CPCSpec(), nn.Linear(3, 3))
    with pytest.raises(NearfarError, match="batch"):
        cpc()(views_of("series-gru", 1))


def test_an_encoder_without_steps_is_refused_before_it_is_built():
    with pytest.raises(
        SettingError,
        match=r"small-resnet gives none: choose patch-gru \(images\) or series-gru \(series\)",
    ):
        CPCSpec().require_encoder(SmallResNetSpec())
    for kind in KINDS:
        CPCSpec().require_encoder(as_spec(EncoderSpec, {"name": kind}))
        SimCLRSpec().require_encoder(as_spec(EncoderSpec, {"name": kind}))
    SimCLRSpec().require_encoder(SmallResNetSpec())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch_crop": 0.0}, "patch_crop is 0.0: it must be above 0 and at most 1"),
        ({"patch_crop": 1.5}, "patch_crop is 1.5: it must be above 0 and at most 1"),
        ({"patch_crop": math.nan}, "patch_crop is nan: it must be a finite number"),
        ({"patch_jitter": -0.1}, "patch_jitter is -0.1: it must be 0 or more"),
        ({"patch_jitter": math.inf}, "patch_jitter is inf: it must be a finite number"),
        ({"patch_crop": 0.9}, "keeps all 4 px of a patch: choose 0.75 or less, or 1"),
    ],
)
def test_changes_of_patches_out_of_range_are_refused(changes, message):
    with pytest.raises(SettingError, match=re.escape(message)):
        cpc("patch-gru", **changes)


@pytest.mark.parametrize("changes", [{"patch_crop": 0.75}, {"patch_jitter": 0.5}])
def test_changes_of_patches_are_refused_where_none_are_cut(changes):
    (name,) = changes
    with pytest.raises(SettingError, match=f"method.{name} is .* SeriesGRU cuts no patches"):
        cpc("series-gru", **changes)
    config = CPCSpec(**changes)
    with pytest.raises(SettingError, match=r"encoder.name series-gru cuts no patches: leave it"):
        config.require_encoder(SeriesGRUSpec())
    config.require_encoder(PatchGRUSpec())


def test_one_view_is_enough_where_views_are_not_compared():
    for config in (CPCSpec(), CrossEntropySpec()):
        for count in (1, 2, 3):
            config.require_views(count)
    for config, name in ((SimCLRSpec(), "SimCLR"), (BYOLSpec(), "BYOL")):
        with pytest.raises(SettingError, match=f"views.count is 1: {name} compares views"):
            config.require_views(1)
