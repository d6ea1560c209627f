import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nearfar.encoders.saved_classifier import load_classifier, save_classifier
from nearfar.errors import NearfarError
from nearfar.run_folder.names import CLASSIFIER


def test_it_comes_back_as_it_was(tmp_path):
    classifier = nn.Linear(5, 3).to(torch.bfloat16)
    save_classifier(tmp_path / "new", classifier)
    state = torch.get_rng_state()
    again = load_classifier(tmp_path / "new", num_features=5)
    assert torch.equal(torch.get_rng_state(), state)
    features = torch.randn(4, 5)
    assert torch.equal(again(features), classifier.float()(features))
    assert again.weight.dtype == torch.float32
    assert not again.training


def test_a_run_without_one_has_none(tmp_path):
    assert load_classifier(tmp_path, num_features=5) is None


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"weight": torch.zeros(3, 4), "bias": torch.zeros(3)}, r"a weight \(classes, 5\)"),
        ({"weight": torch.zeros(3, 5), "bias": torch.zeros(2)}, "does not fit"),
        ({"weight": torch.zeros(3, 5), "bias": torch.zeros(3, 1)}, "does not fit"),
        ({"weight": torch.zeros(0, 5), "bias": torch.zeros(0)}, "does not fit"),
        ({"weight": torch.zeros(3, 5)}, "does not fit"),
        ({"weight": torch.zeros(3, 5), "bias": torch.zeros(3), "x": torch.zeros(1)}, "not fit"),
        ({"weight": torch.full((3, 5), torch.nan), "bias": torch.zeros(3)}, "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_one_line(tmp_path, tensors, words):
    save_file(tensors, tmp_path / CLASSIFIER)
    with pytest.raises(NearfarError, match=words) as caught:
        load_classifier(tmp_path, num_features=5)
    assert "\n" not in str(caught.value)


def test_damage_is_told_and_nothing_is_unpickled(tmp_path):
    save_classifier(tmp_path, nn.Linear(5, 3))
    file = tmp_path / CLASSIFIER
    whole = file.read_bytes()
    for content in (whole[:-1], whole[:20], b"", b"\x80\x04N."):
        file.write_bytes(content)
        with pytest.raises(NearfarError, match=r"classifier.safetensors is no safetensors file"):
            load_classifier(tmp_path, num_features=5)
