"""An encoder as ONNX answers as torch does, or is not written."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from nearfar.cli.app import main
from nearfar.encoders.head_specs import MLPHeadSpec
from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.specs import MLPSpec, SmallResNetSpec
from nearfar.errors import NearfarError
from nearfar.exports import onnx_model as module
from nearfar.exports.onnx_model import onnx_model
from nearfar.run_folder.names import ENCODER_WEIGHTS


def saved(folder, spec, shape, *, mean, std):
    """An encoder whose batch-norm has seen something, with a head."""
    encoder, head = spec.build(shape), MLPHeadSpec(hidden=5, dim=3)
    built = head.build(encoder.num_features)
    built(encoder(torch.randn(16, *shape)))
    save_encoder(folder, encoder, spec, shape=shape, mean=mean, std=std, head=(head, built))
    return folder


@pytest.fixture
def images(tmp_path):
    return saved(tmp_path / "run", SmallResNetSpec(width=4), (1, 8, 8), mean=[0.3], std=[0.4])


def test_images_of_any_number_are_answered_as_by_torch(images, tmp_path, capsys):
    out = tmp_path / "encoder.onnx"
    assert main(["export", str(images), "--to", "onnx", "--out", str(out)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "input examples, uint8, any number of images of 1 channel, 8×8" in said
    assert "onnxruntime differs from torch by" in said
    model = onnx.load(out)
    onnx.checker.check_model(model)
    known = json.loads(next(each.value for each in model.metadata_props if each.key == "nearfar"))
    assert known["mean"] == [0.3]
    assert known["shape"] == [1, 8, 8]
    assert "bilinear" in known["resize"]
    session = onnxruntime.InferenceSession(out)
    examples = np.random.default_rng(7).integers(0, 256, (11, 1, 8, 8), dtype=np.uint8)
    (found,) = session.run(["features"], {"examples": examples})
    with torch.no_grad():
        wanted = load_encoder(images)(torch.from_numpy(examples))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_an_offset_of_a_column_costs_no_digits_and_the_embedding_can_be_had(tmp_path):
    offset = [1e12, 0.0, -3.0]
    folder = saved(tmp_path, MLPSpec(width=8), (3,), mean=offset, std=[2.0, 1e-3, 1.0])
    encoder = load_encoder(folder, "embedding")
    made = onnx_model(encoder, output="embedding")
    assert made.kind == "float64"
    assert made.error < 1e-5
    session = onnxruntime.InferenceSession(made.content)
    rows = np.array(offset) + np.random.default_rng(0).standard_normal((4, 3))
    (found,) = session.run(["embedding"], {"examples": rows})
    assert found.shape == (4, 3)
    with torch.no_grad():
        np.testing.assert_allclose(found, encoder(torch.from_numpy(rows)), rtol=1e-4, atol=1e-5)


def test_other_answers_are_refused_and_nothing_is_written(images, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "TOLERANCE", -1.0)
    out = tmp_path / "encoder.onnx"
    assert main(["export", str(images), "--to", "onnx", "--out", str(out)]) == 1
    assert "differ from torch's by" in capsys.readouterr().err
    assert not out.exists()


class _Branches(nn.Module):
    def forward(self, x):
        features = x.mean(dim=(2, 3))
        return -features if features.sum() > 0 else features


def test_a_network_that_no_exporter_knows_gets_one_line(images):
    encoder = load_encoder(images)
    encoder.backbone = _Branches()
    with pytest.raises(NearfarError, match="small-resnet has a part that torch's exporter"):
        onnx_model(encoder)


def test_a_package_that_is_missing_is_named(images, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(NearfarError, match=r"ONNX needs onnxruntime: pip install"):
        onnx_model(load_encoder(images))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--to", "onnx", "--out", "x.pt"], "must end in .onnx"),
        (["--to", "onnx", "--out", "no/x.onnx"], "there is no folder no"),
        (["--to", "onnx", "--out", "x.onnx", "--licence", "mit"], "--licence belongs to --to hub"),
        (["--to", "timm", "--out", "x", "--upload", "a/b"], "--upload belongs to --to hub"),
        (["--to", "timm", "--out", "x", "--output", "embedding"], "belongs to --to onnx"),
        (["--to", "timm", "--out", "."], "is there already"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    images, tmp_path, words, told, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (images / ENCODER_WEIGHTS).unlink()  # so that loading would fail
    assert main(["export", str(images), *words]) == 2
    assert told in " ".join(capsys.readouterr().err.split())
