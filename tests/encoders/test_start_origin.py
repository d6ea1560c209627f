"""Weights of every origin are read, and never executed."""

import logging
import os
import pickle
from argparse import Namespace

import pytest
import safetensors.torch
import timm
import torch

from nearfar.encoders.saved import save_encoder
from nearfar.encoders.specs import EncoderSpec, SmallResNetSpec, TimmSpec
from nearfar.encoders.start_origin import Origin, read_start
from nearfar.errors import NearfarError, SettingError
from nearfar.spec import as_spec
from nearfar.training.generators import OwnDraws


def spec(start) -> EncoderSpec:
    return SmallResNetSpec(width=4, start=str(start))


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    return SmallResNetSpec(width=4).build((1, 8, 8)).state_dict()


@pytest.mark.parametrize(
    "start", ["hf-hub:someone/model", "https://example.org/weights.pth", "local-dir:models"]
)
def test_what_would_be_fetched_from_elsewhere_is_refused(start):
    for name in ("small-resnet", "timm/resnet18"):
        with pytest.raises(SettingError, match="download the file of weights yourself"):
            as_spec(EncoderSpec, {"name": name, "start": start})


def test_timms_weights_are_for_timms_models():
    with pytest.raises(SettingError, match="small-resnet is none: choose --encoder timm/resnet18"):
        SmallResNetSpec(start="pretrained")
    assert TimmSpec(start="pretrained:a1_in1k").gets_pretrained


def test_paths_become_absolute_and_words_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert spec("run").with_absolute_start().start == str(tmp_path / "run")
    assert TimmSpec(start="pretrained").with_absolute_start().start == "pretrained"
    assert SmallResNetSpec().with_absolute_start().start is None


def test_a_run_gives_its_weights_and_how_its_examples_were_normalised(tmp_path, weights):
    torch.manual_seed(0)
    config = SmallResNetSpec(width=4)
    encoder = config.build((1, 8, 8))
    save_encoder(tmp_path, encoder, config, shape=(1, 8, 8), mean=(0.25,), std=(0.5,))
    for place in ("", "encoder.safetensors", "encoder.json"):
        origin, state = read_start(spec(tmp_path / place))
        assert (origin.shape, origin.mean, origin.std) == ((1, 8, 8), (0.25,), (0.5,))
        assert str(tmp_path) in origin.title
        assert all(torch.equal(state[name], weights[name]) for name in weights)
    assert Origin.from_json(origin.as_json()) == origin


@pytest.mark.parametrize("nested", [None, "state_dict", "model", "model_state_dict", "teacher"])
def test_a_torch_checkpoint_gives_its_weights_wherever_it_keeps_them(tmp_path, weights, nested):
    file = tmp_path / "checkpoint.pth.tar"
    held = {"epoch": 3, "args": Namespace(lr=0.1), nested: weights} if nested else weights
    torch.save(held, file)
    origin, state = read_start(spec(file))
    assert state.keys() == weights.keys()
    safetensors.torch.save_file(dict(reversed(weights.items())), tmp_path / "same.safetensors")
    assert read_start(spec(tmp_path / "same.safetensors"))[0].sha256 == origin.sha256
    assert origin.mean is None


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def write_pickle(held, file) -> None:
    file.write_bytes(pickle.dumps(held))


@pytest.mark.parametrize("write", [torch.save, write_pickle])
def test_code_in_a_checkpoint_is_refused_and_not_executed(tmp_path, weights, write):
    file = tmp_path / "evil.pth"
    write({"state_dict": weights, "more": Hostile(tmp_path / "executed")}, file)
    with pytest.raises(NearfarError, match=r"nothing of it was executed|cannot be read as a torch"):
        read_start(spec(file))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.pth", None, "no such run or file of weights; timm's own are called pretrained"),
        ("cut.safetensors", b"\x10\0\0\0\0\0\0\0{", "no safetensors file"),
        ("text.pth", b"hello", "cannot be read as a torch checkpoint|more than weights"),
        ("empty.pth", {}, "holds no weights by name"),
        ("numbers.pth", {"state_dict": {"epoch": 3}}, "holds no weights by name"),
        ("list.pth", [torch.zeros(2)], "holds no weights by name"),
    ],
)
def test_what_is_no_file_of_weights_is_refused(tmp_path, name, content, said):
    file = tmp_path / name
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save(content, file)
    with pytest.raises(NearfarError, match=said):
        read_start(spec(file))


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(NearfarError, match="no trained encoder in"):
        read_start(spec(tmp_path))


def test_timms_weights_come_from_its_cache(tmp_path, monkeypatch):
    """The Hub's cache, filled by hand as a download would: no network is needed."""
    config = timm.get_pretrained_cfg("resnet18")
    revision = "0" * 40
    repo = tmp_path / f"models--{config.hf_hub_id.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(revision)
    snapshot = repo / "snapshots" / revision
    snapshot.mkdir(parents=True)
    torch.manual_seed(1)
    planted = timm.create_model("resnet18").state_dict()
    safetensors.torch.save_file(planted, snapshot / "model.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    before = torch.get_rng_state()
    with OwnDraws(0):  # as recipes.start reads it
        origin, state = read_start(TimmSpec(start="pretrained"))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(state["conv1.weight"], planted["conv1.weight"])
    assert origin.title == f"timm's weights resnet18.{config.tag}"
    assert (origin.shape, origin.mean, origin.std) == ((3, 224, 224), config.mean, config.std)


def test_offline_without_a_cache_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(NearfarError, match="neither in the cache nor to be had") as told:
        read_start(TimmSpec(start="pretrained"))
    assert "HF_HOME" in str(told.value)
    assert "\n" not in str(told.value)


def test_the_hubs_own_warnings_are_not_shown_beside_the_one_line(monkeypatch, caplog):
    def tries(*_, **__):
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s [Retry 1/5].")
        raise OSError("no network")

    monkeypatch.setattr("timm.create_model", tries)
    level = logging.getLogger("huggingface_hub").level
    with pytest.raises(NearfarError, match="no network"):
        read_start(TimmSpec(start="pretrained"))
    assert not caplog.records
    assert logging.getLogger("huggingface_hub").level == level


def test_weights_that_timm_does_not_have_are_refused():
    with pytest.raises(SettingError, match=r"timm has no such weights of resnet18; it has .*a1_"):
        read_start(TimmSpec(start="pretrained:mine"))


@pytest.mark.parametrize(
    ("channels", "modality", "mean"),
    [
        (3, "images", (0.1, 0.2, 0.6)),
        (1, "images", (0.3,)),
        (5, "images", (0.1, 0.2, 0.6, 0.1, 0.2)),
        (2, "series", None),
    ],
)
def test_the_normalisation_of_other_channels(channels, modality, mean):
    origin = Origin("", "", (3, 8, 8), (0.1, 0.2, 0.6), (0.3, 0.3, 0.3))
    found = origin.statistics(channels, modality)
    if mean is None:
        assert found is None
    else:
        assert found == (pytest.approx(mean), pytest.approx((0.3,) * channels))
    assert Origin("", "").statistics(3, "images") is None
