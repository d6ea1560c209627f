"""What `--data PATH` reads for an encoder: what `nearfar train PATH` would, in its shape."""

import io
import tarfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.uses.tiny_encoder import tiny_encoder

from nearfar.cli.given_data import GivenData, examples_of
from nearfar.errors import NearfarError, SettingError
from nearfar.training.ranks import Ranks

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 9, 12, 3), dtype=np.uint8)


def png(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def shards(folder, kind):
    folder.mkdir()
    if kind == "tar":
        with tarfile.open(folder / "0.tar", "w") as tar:
            for number, picture in enumerate(PICTURES):
                member = tarfile.TarInfo(f"{number}.png")
                content = png(picture)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    else:
        held = [{"bytes": png(picture), "path": None} for picture in PICTURES]
        pd.DataFrame({"image": held}).to_parquet(folder / "0.parquet")
    return folder


def read(encoder, path):
    given = GivenData(str(path), None)
    found, _ = examples_of(given, encoder, Ranks.now(), fit="squash", max_corrupt=0.01)
    return found


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_a_folder_of_shards(tmp_path, kind):
    found = read(tiny_encoder(tmp_path / "encoder"), shards(tmp_path / "shards", kind))
    assert sum(len(part) for part in found.parts.values()) == 6
    assert {part.example_shape for part in found.parts.values()} == {(1, 8, 8)}


def test_a_folder_of_pictures_is_one_though_a_table_lies_beside_them(tmp_path):
    folder = shards(tmp_path / "pictures", "parquet")
    for number, picture in enumerate(PICTURES[:2]):
        (folder / f"{number}.png").write_bytes(png(picture))
    found = read(tiny_encoder(tmp_path / "encoder"), folder)
    assert [len(part) for part in found.parts.values()] == [2]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_whose_labels_are_no_features(tmp_path, kind):
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 13)))
    rows.columns = [f"c{number}" for number in range(13)]
    rows["label"] = [0.0, 1.0] * 3
    path = tmp_path / f"table.{kind}"
    rows.to_csv(path, index=False) if kind == "csv" else rows.to_parquet(path)
    (part,) = read(tiny_encoder(tmp_path / "encoder", "vectors"), path).parts.values()
    assert part.example_shape == (13,)
    assert part.labels is not None
    assert part.labels.tolist() == [0, 1] * 3


def test_what_the_encoder_does_not_take_is_refused(tmp_path):
    vectors = tiny_encoder(tmp_path / "encoder", "vectors")
    folder = shards(tmp_path / "shards", "tar")
    with pytest.raises(SettingError, match="13 features, and the path holds images in 1 tar file:"):
        read(vectors, folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NearfarError, match="no picture, sound, text or Parquet file in it"):
        read(vectors, tmp_path / "empty")
