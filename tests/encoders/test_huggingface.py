"""Encoders of texts from local folders of Hugging Face, on a tiny BERT that the test makes."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from nearfar.cli.app import main
from nearfar.encoders.huggingface_specs import HuggingFaceSpec
from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.start_origin import read_start
from nearfar.errors import NearfarError, SettingError
from nearfar.recipes.config_json import recipe_from_json, recipe_to_json
from nearfar.recipes.recipe import Recipe
from nearfar.run_folder.folder import RunFolder
from nearfar.text_bytes import encoded

transformers = pytest.importorskip("transformers")
TEXTS = ["a hill by the road", "waves on the shore", "", "the sea", "a hill by the road"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "hill", "by", "the", "road", "waves", "on"]
WORDS += ["shore", "sea"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A folder as `save_pretrained` leaves it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=12,
    )
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _rows(texts=TEXTS, length=40):
    return encoded(texts, length)[0]


def _ready(folder, **settings):
    """The encoder as a run begins with it."""
    spec = HuggingFaceSpec(folder=folder, **settings).with_absolute_start()
    network = spec.build((40,))
    network.tokens.tokenizer = spec.learn(_rows())["tokens.tokenizer"]
    if spec.start is not None:
        network.load_state_dict(dict(read_start(spec)[1]), strict=False)
    return spec, network.eval()


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_features_are_those_of_transformers(bert, pooling):
    _, network = _ready(bert, pooling=pooling)
    model = transformers.BertModel.from_pretrained(bert).eval()
    with torch.no_grad():
        found = network(_rows())
        for row, text in enumerate(TEXTS):
            ids = [2, *(WORDS.index(word) for word in text.split()), 3]
            states = model(torch.tensor([ids])).last_hidden_state[0]
            expected = states[0] if pooling == "cls" else states.mean(dim=0)
            torch.testing.assert_close(found[row], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[0], found[4])


def test_long_texts_and_strange_ones_are_cut_at_what_the_model_has_places_for(bert):
    _, network = _ready(bert)
    found = network(_rows(["the sea " * 20, "\x1b[31m ☃", "\ufffd"], 200))
    assert torch.isfinite(found).all()
    assert network.tokens(_rows(["the sea " * 20], 200))[0].shape == (1, 12)


def test_it_is_saved_whole_and_needs_the_folder_no_more(bert, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(bert, folder)
    spec, network = _ready(folder)
    features = network(_rows()).detach()
    save_encoder(tmp_path / "run", network, spec, shape=(40,), mean=(), std=())
    shutil.rmtree(folder)
    loaded = load_encoder(tmp_path / "run")
    torch.testing.assert_close(loaded(TEXTS), features)
    values = json.loads(
        json.dumps(recipe_to_json(Recipe(data="wordnet", views="simcse", encoder=spec)))
    )
    assert recipe_from_json(values).encoder == spec


def test_weights_are_the_folders_or_random(bert):
    spec = HuggingFaceSpec(folder=bert).with_absolute_start()
    origin, state = read_start(spec)
    assert origin.title == f"the weights of {bert.resolve()}"
    network = spec.build((40,))
    own = {name for name in network.state_dict() if name != "tokens.tokenizer"}
    assert own == set(state)
    assert HuggingFaceSpec(folder=bert, start=None).with_absolute_start().start is None


def test_dropout_is_the_folders_or_as_set(bert):
    assert HuggingFaceSpec(folder=bert).draws
    still = HuggingFaceSpec(folder=bert, dropout=0.0)
    assert not still.draws
    network = _ready(bert, dropout=0.0)[1].train()
    torch.testing.assert_close(network(_rows()), network(_rows()))
    network = _ready(bert)[1].train()
    assert not torch.equal(network(_rows()), network(_rows()))


def test_a_run_trains_it_and_its_encoder_loads(bert, tmp_path, capsys):
    texts = tmp_path / "texts"
    for kind in ("sea", "land"):
        (texts / kind).mkdir(parents=True)
        lines = [f"the {kind} by road {n} a hill" for n in range(24)]
        (texts / kind / "1.txt").write_text("\n".join(lines) + "\n")
    words = ["train", "--data", "text-lines", "--data.root", str(texts), "--views", "simcse"]
    words += ["--encoder", "huggingface", "--encoder.folder", str(bert), "--data.length", "40"]
    words += ["--training.epochs", "1", "--training.batch-size", "8", "--training.threads", "1"]
    words += ["--evaluation.leave-out", "map", "few_labels", "linear_probe", "--out"]
    out = tmp_path / "run"
    assert main([*words, str(out)]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert "100.0 % of the weights" in told
    encoder = load_encoder(out)
    assert encoder(["the sea"]).shape == (1, 16)
    kinds = {record["features"] for record in RunFolder(out).read_evaluation()}
    assert {"encoder", "start", "untrained", "raw"} <= kinds
    assert main(["train", "--resume", str(out)]) == 0


def test_it_is_the_second_encoder_of_pairs(bert, tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
    texts = [f"the {'sea' if n % 2 else 'road'} by a hill" for n in range(24)]
    np.savez(tmp_path / "pairs.npz", first=images, second=np.array(texts))
    words = (
        "train --method clip --views digits --views.count 1 --data image-pairs-npz --data.length"
    )
    words += f" 40 --data.root {tmp_path / 'pairs.npz'} --encoder.width 4 --training.epochs 1"
    words += " --training.batch-size 8 --training.threads 1 --evaluation.leave-out knn geometry"
    words += f" map gallery linear_probe few_labels --out {tmp_path / 'run'}"
    second = ["--method.second-encoder", "huggingface", "--method.second-encoder.folder"]
    assert main([*words.split(), *second, str(bert)]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert "second encoder  huggingface, " in told
    assert "start           the weights of" in told
    assert "100.0 % of the weights" in told
    assert load_encoder(tmp_path / "run", tower="second")(["the sea"]).shape == (1, 16)
    assert main([*words.split(), *second, str(tmp_path / "no")]) != 0
    assert "method.second_encoder.folder" in capsys.readouterr().err


def test_what_is_missing_or_would_run_code_is_refused_in_one_line(bert, tmp_path, monkeypatch):
    with pytest.raises(SettingError, match=r"name the folder of the model by --encoder\.folder"):
        HuggingFaceSpec().with_absolute_start()
    with pytest.raises(SettingError, match=r"there is no such folder; nothing is fetched"):
        HuggingFaceSpec(folder=tmp_path / "no").with_absolute_start()
    folder = tmp_path / "model"
    shutil.copytree(bert, folder)
    spec = HuggingFaceSpec(folder=folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(SettingError, match=r"weights are pickled \(pytorch_model.bin\)"):
        spec.with_absolute_start()
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(SettingError, match=r"there is no model.safetensors in it"):
        spec.with_absolute_start()
    shutil.copy(bert / "model.safetensors", folder)
    (folder / "tokenizer.json").rename(folder / "kept")
    with pytest.raises(SettingError, match=r"no tokenizer.json in it: save the tokeniser"):
        spec.with_absolute_start()
    (folder / "kept").rename(folder / "tokenizer.json")
    config = json.loads((folder / "config.json").read_text())
    for change, told in (
        ({"auto_map": {"AutoModel": "x.y"}}, "brings code of its own, which nearfar never runs"),
        ({"is_encoder_decoder": True}, "an encoder with a decoder"),
        ({"model_type": "no-such"}, "transformers cannot build no-such"),
    ):
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(NearfarError, match=told) as caught:
            HuggingFaceSpec(folder=folder).with_absolute_start().build((40,))
        assert "\n" not in str(caught.value)
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(NearfarError, match=r"its weights lack \d+ tensors of the model"):
        read_start(HuggingFaceSpec(folder=folder).with_absolute_start())
    monkeypatch.setattr("nearfar.encoders.huggingface_specs.find_spec", lambda _: None)
    with pytest.raises(SettingError, match=r"pip install 'nearfar\[transformers\]'"):
        replace(spec, pooling="cls")
