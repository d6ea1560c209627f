import io
import math
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from gaussians import gaussian_pairs
from rich.console import Console

import nearfar
from nearfar.errors import NearfarError, SettingError
from nearfar.information.result import read_mutual_information
from nearfar.information.specs import CriticSpec

SMALL = CriticSpec(hidden=32, layers=1, embedding_dim=8)
QUICK = {"critic": SMALL, "batch_size": 64, "max_steps": 200, "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def one_nat():
    """Two columns each that share 1 nat."""
    steps = {**QUICK, "max_steps": 300}
    return nearfar.estimate_mi(*gaussian_pairs(6000, 2, 1.0), bounds=("info_nce", "nwj"), **steps)


def test_gaussians_are_estimated_near_the_closed_form_without_warnings(one_nat):
    for estimate in one_nat.estimates:
        # Sampling alone moves the mean over 1500 pairs by 0.03; the small critics lose some.
        assert estimate.value == pytest.approx(1.0, abs=0.2), estimate.bound
        low, high = estimate.interval
        assert low < estimate.value < high
        assert high - low < 0.3
        assert estimate.warnings == ()
    assert one_nat.ksg == pytest.approx(1.0, abs=0.15)
    assert one_nat.ceiling == pytest.approx(math.log(64))
    assert one_nat.warnings == ()


def test_the_interval_is_students_over_the_batches_of_the_test_part(one_nat):
    estimate = one_nat["info_nce"]
    assert estimate.batches == one_nat.samples.test // 64 == 23
    half = 2.0739 * estimate.sd / 23**0.5  # t of 22 degrees of freedom at 97.5 %
    assert estimate.interval[1] - estimate.value == pytest.approx(half, rel=1e-4)


def test_independent_pairs_share_nothing():
    x, _ = gaussian_pairs(3000, 2, 1.0)
    z, _ = gaussian_pairs(3000, 2, 1.0, seed=1)
    found = nearfar.estimate_mi(x, z, bounds=("info_nce", "smile"), **{**QUICK, "max_steps": 100})
    for estimate in found.estimates:
        assert abs(estimate.value) < 0.1
        assert estimate.warnings == ()
    assert abs(found.ksg) < 0.1


def test_much_more_than_log_n_is_warned_of():
    x, z = gaussian_pairs(2000, 10, 20.0)
    found = nearfar.estimate_mi(
        x, z, bounds=("info_nce",), **{**QUICK, "batch_size": 16, "max_steps": 100}
    )
    estimate = found["info_nce"]
    assert math.log(16) - 1 < estimate.value <= math.log(16)
    assert any("cannot exceed" in warning for warning in estimate.warnings)
    assert found.ksg is None  # ten columns


def test_a_mean_of_few_exponentials_is_warned_of():
    # Discrete pairs of 400 cells: e^f lives on one in 400 of the pairs of a batch.
    cells = np.random.default_rng(0).integers(0, 400, 1500)
    codes = np.random.default_rng(1).normal(size=(400, 6))
    found = nearfar.estimate_mi(
        codes[cells], codes[cells], bounds=("nwj",), **{**QUICK, "batch_size": 32, "max_steps": 100}
    )
    effective = found["nwj"].effective_samples
    warned = any("exponentials rests on" in warning for warning in found["nwj"].warnings)
    assert warned == (effective < 25)
    assert any("to the last bit" in warning for warning in found.warnings)


def test_over_fitting_is_warned_of():
    x, z = gaussian_pairs(400, 20, 6.0)
    quick = {**QUICK, "batch_size": 16, "max_steps": 200}
    found = nearfar.estimate_mi(x, z, bounds=("info_nce",), **quick)
    estimate = found["info_nce"]
    assert estimate.training_value > estimate.value + 0.5
    assert any("over-fits" in warning for warning in estimate.warnings)


def test_labels_bring_barber_agakov_and_their_entropy():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 3000)
    x = random.normal(size=(3000, 2)) + 8 * np.eye(3)[labels][:, :2]  # all but told apart
    found = nearfar.estimate_mi(x, labels, bounds=("info_nce",), **{**QUICK, "max_steps": 100})
    assert [estimate.bound for estimate in found.estimates] == ["info_nce", "barber_agakov"]
    assert found.label_entropy == pytest.approx(math.log(3), abs=0.01)
    assert found.classes == 3
    for estimate in found.estimates:
        assert estimate.value == pytest.approx(math.log(3), abs=0.06)
    assert found.ksg == pytest.approx(math.log(3), abs=0.06)
    assert found["barber_agakov"].effective_samples is None


def test_the_same_seed_gives_the_same_values_whatever_else_is_asked_or_drawn():
    x, z = gaussian_pairs(600, 2, 1.0)
    quick = {**QUICK, "batch_size": 32, "max_steps": 20}
    first = nearfar.estimate_mi(x, z, bounds=("info_nce", "nwj"), **quick)
    torch.manual_seed(99)
    np.random.seed(99)
    state = torch.get_rng_state()
    again = nearfar.estimate_mi(x, z, bounds=("nwj",), **quick)
    assert again["nwj"] == first["nwj"]
    assert again.ksg == first.ksg
    assert (torch.get_rng_state() == state).all()
    other = nearfar.estimate_mi(x, z, bounds=("nwj",), seed=1, **quick)
    assert other["nwj"].value != first["nwj"].value


def test_units_do_not_matter():
    x, z = gaussian_pairs(600, 2, 1.0)
    quick = {**QUICK, "batch_size": 32, "max_steps": 20, "bounds": ("info_nce",)}
    plain = nearfar.estimate_mi(x, z, **quick)
    scaled = nearfar.estimate_mi(1e4 * x + 1e9, 1e-30 * z, **quick)
    assert scaled["info_nce"].value == pytest.approx(plain["info_nce"].value, abs=1e-3)
    assert scaled.ksg == pytest.approx(plain.ksg, abs=1e-3)


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("kind", ["separable", "joint"])
@pytest.mark.parametrize("labelled", [False, True])
def test_what_is_set_around_the_call_changes_nothing(kind, labelled):
    x, z = (torch.from_numpy(side) for side in gaussian_pairs(600, 2, 1.0))
    quick = {**QUICK, "critic": replace(SMALL, kind=kind), "max_steps": 3, "batch_size": 32}
    bounds = ("info_nce", "tuba", "mine")

    def values():
        partner = (z[:, 0] > 0).clone() if labelled else z.clone()
        found = nearfar.estimate_mi(x.clone(), partner, bounds=bounds, **quick)
        return [estimate.curve for estimate in found.estimates]

    expected = values()
    for setting in (torch.no_grad(), torch.inference_mode()):
        with setting:
            assert values() == expected
            assert not torch.is_grad_enabled()
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        with default_dtype(dtype):
            assert values() == expected


def test_a_joint_critic_estimates_too():
    x, z = gaussian_pairs(2000, 1, 0.8)
    joint = {**QUICK, "critic": replace(SMALL, kind="joint"), "batch_size": 32}
    found = nearfar.estimate_mi(x, z, bounds=("info_nce",), **joint)
    assert found["info_nce"].value == pytest.approx(0.8, abs=0.2)


def test_what_was_saved_is_what_is_read(one_nat, tmp_path):
    one_nat.save(tmp_path / "found.json")
    assert read_mutual_information(tmp_path / "found.json") == one_nat
    assert one_nat.as_json()["settings"]["critic"]["hidden"] == 32


def test_a_value_that_is_not_finite_survives_the_file(one_nat, tmp_path):
    broken = replace(one_nat.estimates[0], value=-math.inf)
    replace(one_nat, estimates=(broken,)).save(tmp_path / "found.json")
    assert '"value": null' in (tmp_path / "found.json").read_text()
    assert math.isnan(read_mutual_information(tmp_path / "found.json")["info_nce"].value)


def test_a_damaged_file_is_refused_in_one_line(one_nat, tmp_path):
    file = tmp_path / "found.json"
    one_nat.save(file)
    file.write_text(file.read_text().replace('"ceiling"', '"sealing"'))
    with pytest.raises(NearfarError, match=r"found.json is damaged \(ceiling: Field required\)"):
        read_mutual_information(file)
    file.write_text(file.read_text()[:100])
    with pytest.raises(NearfarError, match="is damaged"):
        read_mutual_information(file)


def test_a_bound_that_was_not_asked_for_is_an_error_that_names_the_nearest(one_nat):
    with pytest.raises(SettingError, match="did you mean 'info_nce'"):
        one_nat["info-nce"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bounds": ("info_nec",)}, "unknown bound 'info_nec': did you mean 'info_nce'"),
        ({"bounds": ()}, "name one or more"),
        ({"bounds": ("nwj", "nwj")}, "each once"),
        ({"bounds": ("barber_agakov",)}, "needs labels"),
        ({"batch_size": 1}, "batch_size is 1"),
        ({"batch_size": 26}, "200 samples are too few .* lower batch_size to 25"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"device": "cpuu"}, "unknown device"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(settings, words):
    with pytest.raises(NearfarError, match=words) as refused:
        nearfar.estimate_mi(*gaussian_pairs(200, 1, 1.0), **settings)
    assert "\n" not in str(refused.value)


def test_an_impossible_critic_is_refused_when_it_is_described():
    with pytest.raises(SettingError, match=r"critic\.layers is 0"):
        CriticSpec(layers=0)


def test_progress_tells_rate_and_time_left(monkeypatch):
    monkeypatch.setattr("nearfar.training.progress.LINE_SECONDS", 0.0)
    told = io.StringIO()
    x, z = gaussian_pairs(200, 1, 1.0)
    quick = {**QUICK, "batch_size": 16, "max_steps": 3, "bounds": ("info_nce", "nwj")}
    nearfar.estimate_mi(x, z, console=Console(file=told, width=200), **quick)
    lines = told.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("InfoNCE (1/2) · step 1/3 · ")
    assert "steps/s" in lines[3]
    assert lines[3].startswith("NWJ (2/2) · step 1/3")
    assert "left" in lines[3]
