"""What timm and the Hub take: loaded by timm, described for people, sent only when asked."""

import json

import huggingface_hub
import pytest
import timm
import torch
from huggingface_hub import ModelCard
from PIL import Image

from nearfar.cli.app import main
from nearfar.durable_files import write_durably
from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.specs import SmallResNetSpec, TimmSpec
from nearfar.errors import NearfarError
from nearfar.recipes.config_json import recipe_to_json
from nearfar.recipes.digits import simclr_digits
from nearfar.run_folder.folder import RunFolder

RECORDS = [
    {"protocol": "knn", "features": kind, "metric": "top1", "value": value, "n": 500, "sd": None,
     "parameters": {"k": 20, "temperature": 0.07, "transform": "as is"}}
    for kind, value in (("encoder", 0.975), ("raw", 0.9))
]  # fmt: skip


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Nothing may be sent or fetched."""

    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    for name in ("create_repo", "create_commit", "upload_folder"):
        monkeypatch.setattr(huggingface_hub.HfApi, name, refuse)


def run_of(folder, spec, shape):
    """A finished run's folder."""
    run = RunFolder.create(folder)
    run.write_config(recipe_to_json(simclr_digits(), run=folder))
    run.write_environment(
        {"started": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "hardware": "a <b>machine</b>",
         "python": "3.11.7", "versions": {"torch": "2.15.0"}}
    )  # fmt: skip
    encoder = spec.build(shape)
    save_encoder(folder, encoder, spec, shape=shape, mean=[0.3] * shape[0], std=[0.4] * shape[0])
    run.write_evaluation(RECORDS)
    return folder


@pytest.fixture(scope="module")
def timm_run(tmp_path_factory):
    return run_of(
        tmp_path_factory.mktemp("run") / "run", TimmSpec(name="timm/resnet10t"), (1, 32, 32)
    )


def test_timm_loads_the_folder_to_the_same_bits(timm_run, tmp_path, capsys):
    out = tmp_path / "model"
    assert main(["export", str(timm_run), "--to", "timm", "--out", str(out)]) == 0
    assert "local-dir:" in capsys.readouterr().out
    assert sorted(file.name for file in out.iterdir()) == ["config.json", "model.safetensors"]
    model = timm.create_model(f"local-dir:{out}", pretrained=True).eval()
    images = torch.randint(0, 256, (3, 1, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(model((images / 255 - 0.3) / 0.4), load_encoder(timm_run)(images))


def test_timms_own_transform_is_the_one_it_was_trained_with(timm_run, tmp_path):
    out = tmp_path / "model"
    assert main(["export", str(timm_run), "--to", "timm", "--out", str(out)]) == 0
    model = timm.create_model(f"local-dir:{out}", pretrained=True)
    config = timm.data.resolve_model_data_config(model)
    assert list(config["input_size"]) == [1, 32, 32]
    assert list(config["mean"]) == [0.3]
    assert config["crop_pct"] == 1.0
    transform = timm.data.create_transform(**config, is_training=False)
    picture = Image.effect_noise((32, 32), 60)
    bytes_ = torch.tensor(list(picture.tobytes()), dtype=torch.uint8).view(1, 1, 32, 32)
    torch.testing.assert_close(transform(picture)[None], (bytes_ / 255 - 0.3) / 0.4)
    wide = Image.new("L", (64, 32))
    wide.paste(255, (0, 0, 8, 32))  # cut to its centre, it would be black
    assert transform(wide).max() > transform(wide).min()


def test_a_full_disk_leaves_nothing_and_the_same_command_serves(
    timm_run, tmp_path, monkeypatch, capsys
):
    def full(path, content):
        if path.name == "model.safetensors":
            raise NearfarError(f"{path} cannot be written: No space left on device")
        write_durably(path, content)

    command = ["export", str(timm_run), "--to", "timm", "--out", str(tmp_path / "model")]
    with monkeypatch.context() as within:
        within.setattr("nearfar.cli.export.write_durably", full)
        assert main(command) == 1
    assert "No space left" in capsys.readouterr().err
    assert not any((tmp_path / "model").iterdir())
    assert main(command) == 0


def test_what_timm_cannot_build_is_refused_with_what_else_there_is(tmp_path, capsys):
    small = run_of(tmp_path / "run", TimmSpec(name="timm/resnet10t", stem="standard"), (3, 32, 32))
    own = run_of(tmp_path / "own", SmallResNetSpec(width=4), (1, 8, 8))
    assert main(["export", str(own), "--to", "timm", "--out", str(tmp_path / "out")]) == 1
    assert "timm has no small-resnet: export --to onnx, or --to hub" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["export", str(small), "--to", "timm", "--out", str(tmp_path / "out")]) == 0


def test_a_hub_folder_has_a_card_that_the_hub_reads(timm_run, tmp_path):
    out = tmp_path / "model"
    words = ["export", str(timm_run), "--to", "hub", "--out", str(out), "--licence", "cc-by-4.0"]
    assert main(words) == 0
    card = ModelCard.load(out / "README.md")
    assert card.data.library_name == "timm"
    assert card.data.license == "cc-by-4.0"
    assert "a &lt;b>machine" in card.text
    assert "| kNN, k = 20, T = 0.07 | 97.5 (95.7 to 98.5) | 90.0 (87.1 to 92.3) |" in card.text
    assert "not used in training" in card.text
    assert json.loads((out / "config.json").read_text())["architecture"] == "resnet10t"


def test_our_own_networks_come_with_what_nearfar_loads(tmp_path):
    own = run_of(tmp_path / "own", SmallResNetSpec(width=4), (1, 8, 8))
    out = tmp_path / "model"
    assert main(["export", str(own), "--to", "hub", "--out", str(out)]) == 0
    images = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(load_encoder(out)(images), load_encoder(own)(images))
    text = (out / "README.md").read_text()
    assert "load_encoder(snapshot_download(" in text
    assert "not stated by who exported them" in text


def test_it_is_uploaded_only_when_asked_and_a_refusal_is_one_line(tmp_path, monkeypatch, capsys):
    own = run_of(tmp_path / "own", SmallResNetSpec(width=4), (1, 8, 8))
    sent = {}
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", lambda *_, **__: "https://hub/me/x")
    monkeypatch.setattr(
        huggingface_hub.HfApi,
        "create_commit",
        lambda _, name, operations, **__: sent.update({name: [o.path_in_repo for o in operations]}),
    )
    words = ["export", str(own), "--to", "hub", "--upload", "me/x", "--out"]
    assert main([*words, str(tmp_path / "a")]) == 0
    assert sent == {"me/x": ["encoder.safetensors", "encoder.json", "README.md"]}
    assert "uploaded to https://hub/me/x" in " ".join(capsys.readouterr().out.split())

    def no_network(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", no_network)
    assert main([*words, str(tmp_path / "b")]) == 1
    said = capsys.readouterr().err
    assert "the Hub did not take me/x: no route to host" in said
    assert (tmp_path / "b" / "README.md").exists()
