"""Encoders on disk: what comes back is what was written, and what is damaged is told."""

import hashlib
import json

import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import nn

from nearfar.cli.app import main
from nearfar.encoders.encoder_files import read_description
from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.specs import MLPSpec, SmallResNetSpec, TimmSpec
from nearfar.errors import NearfarError
from nearfar.run_folder.manifest import json_checksum
from nearfar.run_folder.names import ENCODER_SETTINGS, ENCODER_WEIGHTS


def trained(config, channels=1, image_size=8):
    """A backbone whose batch-norm statistics are not those it was born with."""
    encoder = config.build((channels, image_size, image_size))
    encoder(torch.randn(8, channels, image_size, image_size))
    return encoder


@pytest.fixture
def digits_encoder(tmp_path):
    encoder = trained(SmallResNetSpec(width=8))
    save_encoder(
        tmp_path, encoder, SmallResNetSpec(width=8), shape=(1, 8, 8), mean=[0.3], std=[0.4]
    )
    return encoder


@pytest.mark.parametrize("file", ["", ENCODER_WEIGHTS, ENCODER_SETTINGS])
def test_features_are_those_of_the_encoder_that_was_saved(digits_encoder, tmp_path, file):
    loaded = load_encoder(tmp_path / file)
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    with torch.no_grad():
        expected = digits_encoder.eval()((images / 255 - 0.3) / 0.4)
        torch.testing.assert_close(loaded(images), expected)
    assert not loaded.training
    assert (loaded.num_features, loaded.shape, loaded.modality) == (32, (1, 8, 8), "images")
    assert loaded.config == SmallResNetSpec(width=8)
    assert loaded.mean.tolist() == pytest.approx([0.3])
    assert loaded.std.tolist() == pytest.approx([0.4])


@pytest.mark.parametrize(("height", "width"), [(8, 16), (32, 8), (5, 11)])
def test_the_whole_of_an_image_that_is_not_square_is_seen(digits_encoder, tmp_path, height, width):
    loaded = load_encoder(tmp_path)
    plain = torch.zeros(1, 1, height, width, dtype=torch.uint8)
    with torch.no_grad():
        for edge in (0, -1):  # what lies at an end of the long side, a centre square has lost
            marked = plain.clone()
            if width > height:
                marked[..., edge] = 255
            else:
                marked[..., edge, :] = 255
            assert not torch.allclose(loaded(marked), loaded(plain), atol=1e-3)


def test_larger_images_are_scaled_to_the_size_that_was_trained_on(digits_encoder, tmp_path):
    loaded = load_encoder(tmp_path)
    flat = torch.tensor([40, 200], dtype=torch.uint8).view(2, 1, 1, 1)
    with torch.no_grad():
        small = loaded(flat.expand(2, 1, 8, 8))
        torch.testing.assert_close(loaded(flat.expand(2, 1, 21, 34)), small)
    assert not torch.allclose(small[0], small[1])


def test_images_of_other_channels_are_refused(digits_encoder, tmp_path):
    with pytest.raises(NearfarError, match="images of 1 channel, 8×8, not images of 3 channels"):
        load_encoder(tmp_path)(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize("stem", ["standard", "small"])
def test_a_timm_backbone_loads_into_timms_own_model(tmp_path, stem):
    config = TimmSpec("timm/resnet18", stem=stem)
    encoder = trained(config, channels=2, image_size=32)
    save_encoder(tmp_path, encoder, config, shape=(2, 32, 32), mean=[0.5, 0.5], std=[0.2, 0.2])
    model = timm.create_model("resnet18", num_classes=0, in_chans=2)
    if stem == "small":
        model.conv1 = nn.Conv2d(2, 64, 3, 1, padding=1, bias=False)
        model.maxpool = nn.Identity()
    model.load_state_dict(load_file(tmp_path / ENCODER_WEIGHTS), strict=True)
    images = torch.randint(0, 256, (2, 2, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        expected = model.eval()((images / 255 - 0.5) / 0.2)
        torch.testing.assert_close(load_encoder(tmp_path)(images), expected)


@pytest.mark.parametrize("file", [ENCODER_WEIGHTS, ENCODER_SETTINGS])
def test_a_missing_file_is_told(digits_encoder, tmp_path, file):
    (tmp_path / file).unlink()
    with pytest.raises(
        NearfarError, match=f"no trained encoder in .*: there is no {file}; .*--resume"
    ):
        load_encoder(tmp_path)


def test_a_file_that_cannot_be_read_is_told(digits_encoder, tmp_path):
    (tmp_path / ENCODER_SETTINGS).unlink()
    (tmp_path / ENCODER_SETTINGS).mkdir()
    with pytest.raises(NearfarError, match=f"cannot read .*{ENCODER_SETTINGS}: it is not a file"):
        load_encoder(tmp_path)


@pytest.mark.parametrize("at", [0.1, 0.5, 0.999])
def test_one_changed_byte_of_the_weights_is_told(digits_encoder, tmp_path, at):
    file = tmp_path / ENCODER_WEIGHTS
    data = bytearray(file.read_bytes())
    data[int(at * len(data))] ^= 1
    file.write_bytes(data)
    with pytest.raises(NearfarError, match="damaged or of another run"):
        load_encoder(tmp_path)


def change_description(folder, **changes):
    file = folder / ENCODER_SETTINGS
    record = json.loads(file.read_text()) | changes
    del record["sha256"]
    file.write_text(json.dumps(record | {"sha256": json_checksum(record)}))


def test_a_damaged_description_is_told(digits_encoder, tmp_path):
    change_description(tmp_path, shape="one")
    with pytest.raises(NearfarError, match=r"encoder.json is damaged: shape: "):
        load_encoder(tmp_path)
    change_description(tmp_path, shape=[2, 8, 8])
    with pytest.raises(NearfarError, match="one value for each of the 2 channels"):
        load_encoder(tmp_path)
    for content in ("{", "[]", "3", "{}", "null"):
        (tmp_path / ENCODER_SETTINGS).write_text(content)
        with pytest.raises(NearfarError, match=r"encoder.json is damaged, or of an earlier"):
            load_encoder(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"std": [0.0]},
        {"std": [-0.3]},
        {"std": [float("nan")]},
        {"std": [float("inf")]},
        {"mean": [float("nan")]},
        {"mean": [float("-inf")]},
    ],
)
def test_impossible_statistics_are_refused(digits_encoder, tmp_path, changes):
    change_description(tmp_path, **changes)
    with pytest.raises(NearfarError, match=r"encoder\.json is damaged: .*(mean|std)"):
        load_encoder(tmp_path)


def test_every_flipped_bit_of_the_description_is_found_or_changes_nothing(digits_encoder, tmp_path):
    file = tmp_path / ENCODER_SETTINGS
    whole = file.read_bytes()
    before = read_description(file)
    found = 0
    for place in range(len(whole)):
        for bit in range(8):
            content = bytearray(whole)
            content[place] ^= 1 << bit
            file.write_bytes(content)
            try:
                assert read_description(file) == before  # white space
            except NearfarError:
                found += 1
    assert found > 7 * len(whole)


def test_a_changed_description_is_used_after_a_word(digits_encoder, tmp_path):
    file = tmp_path / ENCODER_SETTINGS
    record = json.loads(file.read_text()) | {"mean": [0.25]}
    file.write_text(json.dumps(record))
    with pytest.raises(NearfarError, match=r"changed by hand.*`nearfar accept .* encoder.json`"):
        load_encoder(tmp_path)
    assert main(["accept", str(tmp_path), "encoder.json"]) == 0
    assert load_encoder(tmp_path).mean.tolist() == [0.25]


def test_weights_that_do_not_fit_are_told(digits_encoder, tmp_path):
    change_description(tmp_path, encoder={"name": "small-resnet", "stem": "standard", "width": 16})
    with pytest.raises(NearfarError, match=r"does not fit encoder.json beside it: .*size mismatch"):
        load_encoder(tmp_path)


def test_weights_that_are_no_safetensors_are_told(digits_encoder, tmp_path):
    (tmp_path / ENCODER_WEIGHTS).write_bytes(b"no weights at all")
    change_description(tmp_path, weights_sha256=hashlib.sha256(b"no weights at all").hexdigest())
    with pytest.raises(NearfarError, match="no safetensors file"):
        load_encoder(tmp_path)


def test_an_interrupted_write_leaves_the_old_encoder(digits_encoder, tmp_path, monkeypatch):
    before = load_file(tmp_path / ENCODER_WEIGHTS)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "disk full")))
    other = trained(SmallResNetSpec(width=8))
    with pytest.raises(NearfarError, match="disk full"):
        save_encoder(
            tmp_path, other, SmallResNetSpec(width=8), shape=(1, 8, 8), mean=[0.0], std=[1.0]
        )
    monkeypatch.undo()
    after = load_file(tmp_path / ENCODER_WEIGHTS)
    assert all(torch.equal(before[name], after[name]) for name in before)
    load_encoder(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [ENCODER_SETTINGS, ENCODER_WEIGHTS]


def saved_vectors(folder, mean, std):
    config = MLPSpec(width=8)
    shape = (len(mean),)
    encoder = config.build(shape)
    save_encoder(folder, encoder, config, shape=shape, mean=mean, std=std)
    return encoder.eval()


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (torch.rand(2, 1, 8, 8), r"uint8, 0 to 255, not float32: .*\(255 \* x\).round\(\)"),
        (-torch.rand(2, 1, 8, 8).double(), "not float64"),
        (torch.full((2, 1, 8, 8), torch.nan), "not float32"),
        (torch.randint(0, 256, (2, 1, 8, 8)), "not int64"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.bfloat16), "not bfloat16"),
        (torch.zeros(2, 8, 8, 1, dtype=torch.uint8), "channels last: give x.permute"),
        (torch.zeros(2, 8, 8, dtype=torch.uint8), r"grey ones as x\[:, None\]"),
        (torch.zeros(8, 8, dtype=torch.uint8), r"not examples of shape \(8,\)"),
        (torch.zeros(1, 2, 1, 8, 8, dtype=torch.uint8), r"examples of shape \(2, 1, 8, 8\)"),
    ],
)
def test_images_in_any_other_form_are_refused_in_one_line(digits_encoder, tmp_path, images, said):
    with pytest.raises(NearfarError, match=said) as caught:
        load_encoder(tmp_path)(images)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (torch.tensor([[1.0, 2.0], [1.0, torch.nan]]), r"NaN .* in 1 of 2 examples \(first: 1\)"),
        (torch.tensor([[torch.inf, 2.0]]), "NaN or infinite in 1 of 1"),
        (torch.zeros(2, 2, dtype=torch.complex64), "real numbers, not complex64"),
        (torch.zeros(2, 2, dtype=torch.bool), "real numbers, not bool"),
        (torch.zeros(2), r"examples of shape \(\)"),
    ],
)
def test_vectors_that_are_no_numbers_are_refused(tmp_path, vectors, said):
    saved_vectors(tmp_path, [0.0, 1.0], [1.0, 2.0])
    with pytest.raises(NearfarError, match=said):
        load_encoder(tmp_path)(vectors)


def test_an_offset_is_subtracted_before_the_digits_are_lost(tmp_path):
    encoder = saved_vectors(tmp_path, [1e12, 1e6], [1.0, 0.01])
    normal = torch.randn(20, 2)
    mean, std = torch.tensor([[1e12, 1e6], [1.0, 0.01]], dtype=torch.float64)
    vectors = normal * std + mean
    with torch.no_grad():
        expected, found = encoder(normal), load_encoder(tmp_path)(vectors)
        whole = load_encoder(tmp_path)(torch.tensor([[10**12 + 1, 10**6]]))
        torch.testing.assert_close(whole, encoder(torch.tensor([[1.0, 0.0]])))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_an_encoder_can_be_brought_to_another_type(digits_encoder, tmp_path, kind):
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    with torch.no_grad():
        expected = load_encoder(tmp_path)(images)
        found = load_encoder(tmp_path).to(kind)(images)
    assert found.dtype == kind
    close = torch.nn.functional.cosine_similarity(found.float(), expected)
    assert (close > 0.99).all()


def test_another_type_leaves_the_statistics_whole(tmp_path):
    saved_vectors(tmp_path, [1e12, 1e6], [1.0, 0.01])
    loaded = load_encoder(tmp_path)
    vectors = torch.tensor([[1e12 + 1, 1e6 + 0.01], [1e12 - 1, 1e6 - 0.01]], dtype=torch.float64)
    with torch.no_grad():
        expected = loaded(vectors)
        found = loaded.bfloat16()(vectors)
    torch.testing.assert_close(found.float(), expected, atol=0.02, rtol=0.05)
