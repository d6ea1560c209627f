import errno
import json
import os
import subprocess

import pytest
import torch

from nearfar import durable_files
from nearfar.errors import NearfarError
from nearfar.training.checkpoints import Checkpoint, load_newest, save


def checkpoint(step: int) -> Checkpoint:
    generator = torch.Generator().manual_seed(step)
    tensors = {
        "weight": torch.randn(3, 4, generator=generator),
        "last": torch.randn(2, 3, 4, 4, generator=generator).to(memory_format=torch.channels_last),
        "half": torch.randn(5, generator=generator).bfloat16(),
        "count": torch.tensor(step),
        "none": torch.empty(0, 3),
    }
    return Checkpoint(step, tensors, {"position": {"epoch": 1}, "seconds": 0.1 + step, "no": None})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_is_loaded(tmp_path):
    folder = tmp_path / "checkpoints"
    path = save(folder, checkpoint(12), keep=2)
    assert path.name == "step-00000012.safetensors"
    loaded = load_newest(folder)
    assert loaded is not None
    assert loaded.path == path
    assert loaded.damaged == ()
    assert loaded.checkpoint.step == 12
    assert loaded.checkpoint.scalars == checkpoint(12).scalars
    for name, tensor in checkpoint(12).tensors.items():
        found = loaded.checkpoint.tensors[name]
        assert found.dtype == tensor.dtype
        assert torch.equal(found, tensor)


def test_tied_tensors_are_saved(tmp_path):
    weight = torch.randn(2, 2)
    save(tmp_path, Checkpoint(1, {"a": weight, "b": weight, "c": weight[0]}, {}), keep=2)
    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert torch.equal(loaded.checkpoint.tensors["b"], weight)


def test_the_newest_few_stay(tmp_path):
    for step in range(1, 6):
        save(tmp_path, checkpoint(step), keep=3)
    kept = [f"step-{step:08d}{end}" for step in (3, 4, 5) for end in (".json", ".safetensors")]
    assert names(tmp_path) == kept


def test_later_checkpoints_of_a_past_given_up_go(tmp_path):
    save(tmp_path, checkpoint(9), keep=3)
    save(tmp_path, checkpoint(4), keep=3)
    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert loaded.checkpoint.step == 4
    assert len(names(tmp_path)) == 2


def test_unfinished_files_are_passed_over_and_cleared_away(tmp_path):
    aside = f"step-00000009.json.{os.getpid()}-0123abcd{durable_files.UNFINISHED}"
    (tmp_path / aside).write_text("{")
    (tmp_path / "step-00000008.safetensors").write_bytes(b"no JSON yet")
    assert load_newest(tmp_path) is None
    save(tmp_path, checkpoint(3), keep=2)
    assert names(tmp_path) == ["step-00000003.json", "step-00000003.safetensors"]


def test_files_that_only_look_like_checkpoints_are_left_alone(tmp_path):
    save(tmp_path, checkpoint(2), keep=2)
    others = ["step-00000027 (copy).json", "step-final.safetensors", "step-00000001.json.bak"]
    for name in others:
        (tmp_path / name).write_text("mine")
    for step in (3, 4, 5):
        save(tmp_path, checkpoint(step), keep=2)
    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert (loaded.checkpoint.step, loaded.damaged) == (5, ())
    assert set(others) < set(names(tmp_path))
    assert len(names(tmp_path)) == len(others) + 4


def test_no_folder_holds_no_checkpoint(tmp_path):
    assert load_newest(tmp_path / "none") is None


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def damage(folder, kind):
    tensors, described = folder / "step-00000002.safetensors", folder / "step-00000002.json"
    if kind == "bit in tensors":
        flip(tensors, -3)
    elif kind == "bit in header":
        flip(tensors, 20)
    elif kind == "short tensors":
        tensors.write_bytes(tensors.read_bytes()[:-5])
    elif kind == "no tensors":
        tensors.unlink()
    elif kind == "short json":
        described.write_bytes(described.read_bytes()[:-9])
    elif kind == "empty json":
        described.write_bytes(b"")
    elif kind == "not utf-8":
        described.write_bytes(b"\xff\xfe\x00{")
    elif kind == "list":
        described.write_text("[1, 2]")
    elif kind == "no checksum":
        described.write_text("{}")
    elif kind == "number":
        record = json.loads(described.read_text())
        record["scalars"]["seconds"] += 1
        described.write_text(json.dumps(record))


@pytest.mark.parametrize(
    "kind",
    [
        "bit in tensors",
        "bit in header",
        "short tensors",
        "no tensors",
        "short json",
        "empty json",
        "not utf-8",
        "list",
        "no checksum",
        "number",
    ],
)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, kind):
    save(tmp_path, checkpoint(1), keep=2)
    save(tmp_path, checkpoint(2), keep=2)
    damage(tmp_path, kind)
    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert loaded.checkpoint.step == 1
    assert len(loaded.damaged) == 1
    assert "step-00000002.safetensors (" in loaded.damaged[0]
    assert "\n" not in loaded.damaged[0]
    (tmp_path / "step-00000001.json").write_text("")
    with pytest.raises(NearfarError, match=r"every checkpoint is damaged.*00000002.*00000001"):
        load_newest(tmp_path)


def test_every_single_flipped_bit_is_found(tmp_path):
    save(tmp_path, Checkpoint(1, {"weight": torch.ones(2)}, {"a": 1}), keep=2)
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        for place in range(len(whole)):
            flip(path, place)
            try:
                loaded = load_newest(tmp_path)
            except NearfarError:
                pass
            else:  # layout only: white space in the JSON
                assert loaded is not None
                assert path.suffix == ".json"
                assert loaded.checkpoint.scalars == {"a": 1}
            path.write_bytes(whole)


@pytest.mark.parametrize("call", [0, 1, 2, 3])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch, call):
    save(tmp_path, checkpoint(1), keep=2)
    before = names(tmp_path)
    calls = []

    def full(*arguments):
        calls.append(arguments)
        if len(calls) > call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NearfarError, match="No space left on device") as caught:
        save(tmp_path, checkpoint(2), keep=2)
    monkeypatch.undo()
    assert "step-00000002" in str(caught.value)
    assert set(before) <= set(names(tmp_path))
    assert not list(tmp_path.glob("*" + durable_files.UNFINISHED))
    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert loaded.damaged == ()


def test_a_disk_that_is_really_full(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        save(tmp_path, Checkpoint(1, {"weight": torch.ones(5000)}, {}), keep=2)
        with pytest.raises(NearfarError, match="No space left on device"):
            save(tmp_path, Checkpoint(2, {"weight": torch.ones(15000)}, {}), keep=2)
        loaded = load_newest(tmp_path)
        assert loaded is not None
        assert loaded.checkpoint.step == 1
        assert names(tmp_path) == ["step-00000001.json", "step-00000001.safetensors"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
