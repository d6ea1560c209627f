import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from source_files import idx_bytes

from nearfar.data.fashion_mnist import read_idx
from nearfar.errors import NearfarError


@given(arrays(np.uint8, array_shapes(max_dims=3, max_side=5)), st.booleans())
def test_what_is_written_is_read(tmp_path_factory, array, zipped):
    path = tmp_path_factory.mktemp("idx") / ("file.gz" if zipped else "file")
    path.write_bytes(gzip.compress(idx_bytes(array)) if zipped else idx_bytes(array))
    np.testing.assert_array_equal(read_idx(path, array.ndim, limit=125), array)


@pytest.mark.parametrize("zipped", [False, True])
def test_every_truncation_is_noticed(tmp_path, zipped):
    raw = idx_bytes(np.arange(24).reshape(2, 3, 4))
    raw = gzip.compress(raw) if zipped else raw
    path = tmp_path / ("file.gz" if zipped else "file")
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(NearfarError, match="file"):
            read_idx(path, 3, limit=100)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (idx_bytes(np.zeros((2, 3))), "not an IDX file of 3-dimensional"),
        (b"\0\0\x0d\3" + bytes(12), "not an IDX file"),
        (b"<html>not found</html>", "not an IDX file"),
        (idx_bytes(np.zeros((2, 3, 4))) + b"x", "longer"),
        (b"\0\0\x08\3" + b"\xff" * 12, "declares"),
    ],
)
def test_other_content_is_refused(tmp_path, content, words):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(NearfarError, match=words):
        read_idx(path, 3, limit=100)


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "file.gz"
    with gzip.open(path, "wb") as file:
        file.write(idx_bytes(np.zeros((1, 2, 3))))
        for _ in range(64):
            file.write(bytes(2**20))
    with pytest.raises(NearfarError, match="longer"):
        read_idx(path, 3, limit=100)
