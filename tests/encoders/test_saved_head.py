"""The projection head of a run: built as it always was, saved with the encoder, and had again."""

import json

import pytest
import torch
from torch import nn

from nearfar.cli.app import main
from nearfar.encoders.head_specs import HeadSpec, IdentityHeadSpec, LinearHeadSpec, MLPHeadSpec
from nearfar.encoders.saved import load_encoder, load_head, save_encoder
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.errors import NearfarError
from nearfar.methods.labelled_specs import PaCoSpec, SupConSpec
from nearfar.methods.unlabelled_specs import BYOLSpec, MoCoSpec, SimCLRSpec
from nearfar.run_folder.manifest import Manifest
from nearfar.run_folder.names import ENCODER_SETTINGS, ENCODER_WEIGHTS, HEAD

SPECS = [IdentityHeadSpec(), LinearHeadSpec(dim=3), MLPHeadSpec(hidden=5, dim=3)]
IMAGES = torch.arange(5 * 64).view(5, 1, 8, 8).to(torch.uint8)


def save(folder, spec):
    """An encoder with a head whose batch-norm has seen something."""
    encoder_spec = SmallResNetSpec(width=4)
    encoder = encoder_spec.build((1, 8, 8))
    head = spec.build(encoder.num_features)
    head(encoder(torch.randn(8, 1, 8, 8)))
    shared = {"shape": (1, 8, 8), "mean": [0.3], "std": [0.4]}
    save_encoder(folder, encoder, encoder_spec, **shared, head=(spec, head))
    return encoder.eval(), head.eval()


@pytest.mark.parametrize("spec", SPECS, ids=lambda each: each.name)
def test_the_embedding_is_the_heads_of_the_features(tmp_path, spec):
    encoder, head = save(tmp_path, spec)
    with torch.no_grad():
        expected = head(encoder((IMAGES / 255 - 0.3) / 0.4))
        for file in ("", ENCODER_WEIGHTS, ENCODER_SETTINGS, HEAD):
            loaded = load_encoder(tmp_path / file, output="embedding")
            torch.testing.assert_close(loaded(IMAGES), expected)
            assert loaded.num_features == expected.shape[1] == spec.width(encoder.num_features)
            assert not loaded.head.training
    plain = load_encoder(tmp_path)
    assert plain.num_features == 16
    assert "head.0.weight" not in plain.state_dict()
    found, _ = load_head(tmp_path)
    assert found == spec


@pytest.mark.parametrize("spec", SPECS[1:], ids=lambda each: each.name)
def test_another_heads_weights_are_refused(tmp_path, spec):
    save(tmp_path / "one", spec)
    save(tmp_path / "two", spec)
    (tmp_path / "one" / HEAD).write_bytes((tmp_path / "two" / HEAD).read_bytes())
    load_encoder(tmp_path / "one")
    with pytest.raises(NearfarError, match=r"head.safetensors is damaged or of another run"):
        load_encoder(tmp_path / "one", "embedding")
    assert main(["accept", str(tmp_path / "one"), HEAD]) == 0
    load_encoder(tmp_path / "one", "embedding")


def test_in_a_run_the_manifest_holds_it_too(tmp_path):
    Manifest(tmp_path).begin()
    save(tmp_path, LinearHeadSpec(dim=3))
    file = tmp_path / HEAD
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(NearfarError, match=r"head.safetensors is not as nearfar wrote it"):
        load_encoder(tmp_path, "embedding")


def test_a_missing_head_and_an_encoder_without_one_are_told(tmp_path):
    save(tmp_path, LinearHeadSpec(dim=3))
    (tmp_path / HEAD).unlink()
    with pytest.raises(NearfarError, match=r"there is no head.safetensors"):
        load_encoder(tmp_path, "embedding")
    spec = SmallResNetSpec(width=4)
    shared = {"shape": (1, 8, 8), "mean": [0.3], "std": [0.4]}
    save_encoder(tmp_path, spec.build((1, 8, 8)), spec, **shared)
    assert load_head(tmp_path) is None
    with pytest.raises(NearfarError, match=r"holds no head.safetensors, so it has no embedding"):
        load_encoder(tmp_path, "embedding")


def test_a_description_of_an_earlier_nearfar_names_no_head(tmp_path):
    spec = SmallResNetSpec(width=4)
    shared = {"shape": (1, 8, 8), "mean": [0.3], "std": [0.4]}
    save_encoder(tmp_path, spec.build((1, 8, 8)), spec, **shared)
    file = tmp_path / ENCODER_SETTINGS
    record = json.loads(file.read_text())
    del record["head"]
    file.write_text(json.dumps(record))
    assert main(["accept", str(tmp_path), ENCODER_SETTINGS]) == 0
    assert load_encoder(tmp_path).num_features == 16
    assert load_head(tmp_path) is None


def test_a_head_that_is_none_of_ours_is_damage(tmp_path):
    save(tmp_path, LinearHeadSpec(dim=3))
    file = tmp_path / ENCODER_SETTINGS
    record = json.loads(file.read_text())
    record["head"]["spec"] = {"name": "linaer", "dim": 3}
    file.write_text(json.dumps(record))
    assert main(["accept", str(tmp_path), ENCODER_SETTINGS]) == 0
    with pytest.raises(NearfarError, match=r"encoder.json is damaged: .*'linaer'.*'linear'"):
        load_encoder(tmp_path)


def published(method, features=6):
    """The heads as they were written before they had specs, layer by layer."""
    hidden, dim = 5, 4
    return {
        "simclr": lambda: [
            nn.Linear(features, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, dim),
        ],
        "moco": lambda: [nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, dim)],
        "byol": lambda: [
            nn.Linear(features, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, dim, bias=False),
        ],
        "three-layer": lambda: [
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, dim),
        ],
    }[method]()


SIZES = {"projection_hidden": 5, "projection_dim": 4}


@pytest.mark.parametrize(
    ("spec", "like"),
    [
        (SimCLRSpec(**SIZES), "simclr"),
        (SupConSpec(**SIZES), "simclr"),
        (PaCoSpec(**SIZES), "simclr"),
        (PaCoSpec(**SIZES, head="three-layer"), "three-layer"),
        (MoCoSpec(**SIZES), "moco"),
        (BYOLSpec(**SIZES), "byol"),
    ],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
def test_the_default_heads_are_the_published_ones_to_the_bit(spec, like):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        ours = spec.projection.build(6)
        after = torch.get_rng_state()
        torch.manual_seed(3)
        theirs = nn.Sequential(*published(like))
        assert torch.equal(torch.get_rng_state(), after)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    features = torch.randn(7, 6)
    assert torch.equal(ours(features), theirs(features))


def test_every_head_is_in_the_catalogue_by_its_name():
    assert list(HeadSpec.known()) == ["identity", "linear", "mlp"]
