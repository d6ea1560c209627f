import os
import shutil
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image
from tests.dying import die_at_call
from tests.peak_memory import in_a_fresh_process, peak_growth
from tests.uses.tiny_encoder import tiny_encoder, write_encoder

from nearfar.cli.app import main
from nearfar.data.source import Part, Source, StreamedExamples
from nearfar.data.sources import load_source
from nearfar.data.specs import NpzSpec
from nearfar.encoders.saved import load_encoder
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.errors import NearfarError, SettingError
from nearfar.evaluation.features import extract_features
from nearfar.spec import to_json
from nearfar.testing.rank_processes import FORKS, run_on_ranks
from nearfar.uses.embed import embed, features_of
from nearfar.uses.embeddable import of_folder, of_source
from nearfar.uses.examples import examples_in_memory
from nearfar.uses.features_file import load_features
from nearfar.uses.shards import Shards

KINDS = ("parquet", "npz", "npy")
COUNT = 2500  # three shards, the last one not full


def pixels(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=generator)


def a_source(count: int = COUNT) -> Source:
    labels = torch.arange(count) % 3
    train = Part(pixels(count), labels)
    test = Part(pixels(7, seed=1), torch.arange(7) % 3)
    return Source("made", train, test, class_names=("a", "b", "c,\n<b>"))


@pytest.fixture
def encoder(tmp_path):
    return tiny_encoder(tmp_path / "encoder")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_back_to_the_bit(kind, encoder, tmp_path):
    source, out = a_source(), tmp_path / f"features.{kind}"
    done = embed(encoder, of_source(source, {"name": "made"}), out, encoder_path=tmp_path)
    found = load_features(out)
    assert (done.rows, done.width, done.kept) == (COUNT + 7, encoder.num_features, 0)
    expected = torch.cat([extract_features(encoder, part) for part in (source.train, source.test)])
    torch.testing.assert_close(found.features, expected, rtol=0, atol=0)
    assert list(found.names) == [f"train/{n}" for n in range(COUNT)] + [
        f"test/{n}" for n in range(7)
    ]
    assert list(found.parts) == ["train"] * COUNT + ["test"] * 7
    assert found.labels.tolist() == [*(torch.arange(COUNT) % 3).tolist(), 0, 1, 2, 0, 1, 2, 0]
    assert found.class_names == source.class_names
    assert found.about.encoder_path == str(tmp_path)
    assert found.about.data == {"source": {"name": "made"}}
    assert not list(tmp_path.glob(".*")), "nothing is left beside the file"


def test_other_programs_read_the_table(encoder, tmp_path):
    import pandas as pd

    out = tmp_path / "features.parquet"
    embed(encoder, of_source(a_source(5), {}), out)
    table = pd.read_parquet(out)
    assert list(table.columns) == ["names", "features", "labels", "parts"]
    assert np.stack(table["features"].tolist()).shape == (12, encoder.num_features)


def outcome(file: Path):
    """What a file holds, or why it is refused."""
    try:
        return load_features(file), ""
    except NearfarError as error:
        return None, str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_byte_is_refused_wherever_it_is(kind, encoder, tmp_path):
    out = tmp_path / f"features.{kind}"
    embed(encoder, of_source(a_source(300), {}), out)
    for file in tmp_path.glob("features*"):
        content = file.read_bytes()
        for place in np.linspace(0, len(content) - 1, 40).astype(int):
            changed = bytearray(content)
            changed[place] ^= 0x55
            file.write_bytes(changed)
            held, told = outcome(out)
            file.write_bytes(content)
            if held is None:
                assert str(tmp_path) in told
                assert "\n" not in told
                continue
            # Bytes that say nothing: padding of a header, the time of an archive's member.
            whole = load_features(out)
            assert torch.equal(held.features, whole.features)
            assert (held.names, held.about) == (whole.names, whole.about)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_file_is_refused(kind, encoder, tmp_path):
    out = tmp_path / f"features.{kind}"
    embed(encoder, of_source(a_source(300), {}), out)
    content = out.read_bytes()
    out.write_bytes(content[: len(content) // 2])
    with pytest.raises(NearfarError, match="features"):
        load_features(out)


def test_rows_of_another_file_are_refused(encoder, tmp_path):
    for count in (5, 6):
        embed(encoder, of_source(a_source(count), {}), tmp_path / f"{count}.npy")
    shutil.copy(tmp_path / "5.rows.npz", tmp_path / "6.rows.npz")
    with pytest.raises(NearfarError, match="12 rows"):
        load_features(tmp_path / "6.npy")


def test_features_of_other_programs_are_taken_without_a_fingerprint(tmp_path):
    features = np.random.default_rng(0).normal(size=(4, 3))
    np.save(tmp_path / "a.npy", features)
    np.savez(tmp_path / "a.npz", features=features, names=list("wxyz"), labels=["u", "v", "u", "u"])
    plain, named = load_features(tmp_path / "a.npy"), load_features(tmp_path / "a.npz")
    assert plain.names == ["0", "1", "2", "3"]
    assert named.names == list("wxyz")
    assert [named.class_of(row) for row in range(4)] == ["u", "v", "u", "u"]
    np.testing.assert_array_equal(plain.features.numpy(), features.astype(np.float32))
    with pytest.raises(NearfarError, match="does not say which encoder"):
        plain.require_encoder("0" * 64, "run")
    features[2, 1] = np.nan
    np.save(tmp_path / "a.npy", features)
    with pytest.raises(NearfarError, match="1 of 4 rows"):
        load_features(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", features=features[:2], names=list("wxyz"))
    with pytest.raises(NearfarError, match=r"4 names for 2 rows|NaN"):
        load_features(tmp_path / "a.npz")


def _embed_and_die(folder: Path, number: int) -> None:
    torch.set_num_threads(1)
    die_at_call(number, [(os, "fsync"), (os, "replace")])
    embed(tiny_encoder(folder / "child"), of_source(a_source(), {}), folder / "out.npz")


def test_a_killed_call_is_gone_on_with_from_whatever_moment(encoder, tmp_path):
    """Of two files, three shards and the plan, each is synced twice and renamed."""
    whole = tmp_path / "whole.npz"
    embed(encoder, of_source(a_source(), {}), whole)
    tiny_encoder(tmp_path / "child")
    went_on = []
    for moment in (1, 5, 9, 12, 14):
        process = FORKS.Process(target=_embed_and_die, args=(tmp_path, 6 + moment))
        process.start()
        process.join()
        assert process.exitcode == -9
        assert not (tmp_path / "out.npz").exists()
        done = embed(encoder, of_source(a_source(), {}), tmp_path / "out.npz")
        went_on.append(done.kept)
        assert (tmp_path / "out.npz").read_bytes() == whole.read_bytes()
        (tmp_path / "out.npz").unlink()
    assert went_on == sorted(went_on)
    assert went_on[-1] > 0


def test_what_a_killed_call_left_is_checked(encoder, tmp_path, monkeypatch):
    source, out = of_source(a_source(), {}), tmp_path / "out.npz"
    shards = Shards(out)
    monkeypatch.setattr(Shards, "remove", lambda _: None)
    embed(encoder, source, out)
    whole = out.read_bytes()
    assert embed(encoder, source, out).kept == COUNT + 7
    broken = shards.folder / "rows-00000001"
    content = bytearray(broken.read_bytes())
    content[len(content) // 2] ^= 1
    broken.write_bytes(content)
    (shards.folder / "rows-00000002").unlink()
    assert embed(encoder, source, out).kept == 1024 + 7
    assert out.read_bytes() == whole
    # Of other data, or another encoder, nothing is kept.
    other = a_source()
    other.train.examples[17, 0, 3, 3] ^= 1
    done = embed(encoder, of_source(other, {}), out)
    assert done.kept == 0
    assert "begun anew" in done.notes[0]
    assert embed(tiny_encoder(tmp_path / "other", seed=1), of_source(other, {}), out).kept == 0


def _on_a_rank(rank: int, count: int, folder: Path) -> tuple[int, int]:
    done = embed(
        tiny_encoder(folder / f"rank-{rank}"), of_source(a_source(), {}), folder / "out.npz"
    )
    return done.rows, done.kept


def test_two_ranks_write_the_same_file_as_one(encoder, tmp_path):
    torch.set_num_threads(1)
    embed(encoder, of_source(a_source(), {}), tmp_path / "one.npz")
    assert run_on_ranks(2, _on_a_rank, tmp_path / "ranks", tmp_path) == [(COUNT + 7, 0)] * 2
    assert (tmp_path / "out.npz").read_bytes() == (tmp_path / "one.npz").read_bytes()


class _Counted(StreamedExamples):
    """Images that are made when asked for."""

    shape = (1, 8, 8)

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.full(self.shape, index % 256, dtype=torch.uint8)


WIDE = 4096  # features that outweigh the images


def _wide(_: SavedEncoder, images: torch.Tensor) -> torch.Tensor:
    return images.float().mean((1, 2, 3))[:, None].expand(-1, WIDE)


def _growth_of_few_and_of_many(kind: str, folder: Path) -> tuple[int, int]:
    torch.set_num_threads(1)
    encoder = tiny_encoder(folder / "encoder")
    encoder.num_features = WIDE

    def growth(count: int) -> int:
        examples = of_source(Source("made", Part(_Counted(count))), {})
        return peak_growth(lambda: embed(encoder, examples, folder / f"{count}.{kind}"))

    with patch.object(SavedEncoder, "forward", _wide):
        growth(1500)  # what a first call loads
        return growth(2000), growth(12_000)


@pytest.mark.parametrize("kind", ["parquet", "npz"])
def test_memory_does_not_grow_with_the_features(kind, tmp_path):
    few, many = in_a_fresh_process(_growth_of_few_and_of_many, kind, tmp_path)
    written = 10_000 * WIDE * 4
    assert many - few < 0.6 * written, (few, many, written)


@pytest.fixture
def folder(tmp_path):
    """Five images, one of them wide, and a file that is none."""
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for number in range(4):
        Image.new("L", (8, 8), 50 * number).save(folder / f"{number}.png")
    Image.new("L", (24, 8), 9).save(folder / "deep" / "wide.png")
    (folder / "deep" / "broken\x1b[31m.png").write_text("no image")
    return folder


def test_unreadable_images_are_skipped_and_named(encoder, folder, tmp_path):
    examples = of_folder(encoder, folder, max_corrupt=0.5)
    done = embed(encoder, examples, tmp_path / "out.parquet")
    found = load_features(tmp_path / "out.parquet")
    assert sorted(found.names) == ["0.png", "1.png", "2.png", "3.png", "deep/wide.png"]
    assert found.labels is None
    assert found.parts is None
    told = " ".join(done.notes)
    assert "1 of 5 images are not square: squashed to squares" in told
    assert (
        "skipped 1 of 6 images: deep/broken\\x1b[31m.png (not an image of a known format)" in told
    )
    held, notes = features_of(encoder, examples)
    assert torch.equal(held.features, found.features)
    assert list(notes) == list(done.notes)
    assert found.about.data == {"folder": str(folder), "fit": "squash"}


def test_too_many_unreadable_images_are_refused(encoder, folder, tmp_path):
    with pytest.raises(
        NearfarError, match=r"1 of 6 images cannot be read, over --max-corrupt 0\.1"
    ):
        embed(encoder, of_folder(encoder, folder, max_corrupt=0.1), tmp_path / "out.npz")


def test_what_the_encoder_does_not_take_is_refused_before_anything_is_written(tmp_path):
    encoder = tiny_encoder(tmp_path / "vectors", "vectors")
    with pytest.raises(NearfarError, match="takes vectors of 13 features, not images"):
        embed(encoder, of_source(a_source(5), {}), tmp_path / "out.npz")
    with pytest.raises(SettingError, match="must end in"):
        embed(encoder, of_source(a_source(5), {}), tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["vectors"]


def test_the_embedding_is_what_the_head_makes_and_is_gone_on_with(tmp_path, capsys, monkeypatch):
    write_encoder(tmp_path / "run", head=True)
    whole, cut = tmp_path / "whole.npz", tmp_path / "cut.npz"
    np.savez(tmp_path / "made.npz", images=pixels(COUNT).numpy()[:, 0], labels=np.arange(COUNT) % 3)
    words = ["embed", str(tmp_path / "run"), "--data", str(tmp_path / "made.npz"), "--out"]
    assert main([*words, str(whole), "--output", "embedding"]) == 0
    assert "5 numbers of the embedding each" in capsys.readouterr().out
    found = load_features(whole)
    assert found.about.output == "embedding"
    head = load_encoder(tmp_path / "run", "embedding")
    with torch.no_grad():
        torch.testing.assert_close(found.features[:9], head(pixels(COUNT)[:9]))
    real, written = Shards.write, []

    def one_only(self, number, shard):
        if written:
            raise NearfarError("cut")
        written.append(number)
        real(self, number, shard)

    monkeypatch.setattr(Shards, "write", one_only)
    assert main([*words, str(cut), "--output", "embedding"]) == 1
    monkeypatch.undo()
    capsys.readouterr()
    assert main([*words, str(cut), "--output", "embedding"]) == 0
    assert "went on: 1,024 were there" in capsys.readouterr().out
    assert cut.read_bytes() == whole.read_bytes()
    assert main([*words, str(tmp_path / "features.npz")]) == 0
    features = load_features(tmp_path / "features.npz")
    assert features.about.output == "features"
    assert features.about.encoder != found.about.encoder


def test_an_embedding_without_a_head_is_refused_in_one_line(tmp_path, capsys):
    write_encoder(tmp_path / "run")
    words = ["embed", str(tmp_path / "run"), "--data", "digits", "--out", str(tmp_path / "x.npz")]
    assert main([*words, "--output", "embedding"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "holds no head.safetensors, so it has no embedding" in said
    assert not (tmp_path / "x.npz").exists()


def test_rows_without_a_label_stay_where_they_stood(encoder, tmp_path):
    images, labels = pixels(12).permute(0, 2, 3, 1), np.array([2, -1, 7, -1, -1, 2] * 2)
    np.savez(tmp_path / "images.npz", images=images.numpy(), labels=labels)
    spec = NpzSpec(root=tmp_path / "images.npz", test_fraction=0.0)
    embed(encoder, of_source(load_source(spec), to_json(spec)), tmp_path / "f.npz")
    found = load_features(tmp_path / "f.npz")
    assert (found.parts, found.class_names) == (None, ("2", "7"))
    assert found.labels.tolist() == [0, -1, 1, -1, -1, 0] * 2
    expected = extract_features(encoder, Part(pixels(12)))
    torch.testing.assert_close(found.features, expected)
    shown = examples_in_memory(found, [1, 5, 8])
    assert all(torch.equal(shown[row], pixels(12)[row]) for row in (1, 5, 8))
    split = load_source(NpzSpec(root=tmp_path / "images.npz", test_fraction=0.5))
    embed(encoder, of_source(split, {}), tmp_path / "split.npz")
    parts = load_features(tmp_path / "split.npz")
    assert (parts.parts.count("unlabelled"), len(parts.names)) == (6, 12)
    assert [part == "unlabelled" for part in parts.parts] == (parts.labels < 0).tolist()
