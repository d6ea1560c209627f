import struct
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import wavfile

from nearfar.data.file_reading import UnreadableFileError
from nearfar.data.sources import load_source
from nearfar.data.specs import WavSpec
from nearfar.data.wav import read_wav
from nearfar.errors import NearfarError, SettingError


def _write(path, samples, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, samples)
    return path


def _tone(steps, height=1000):
    return (height * np.sin(np.arange(steps))).astype(np.int16)


def _load(root, **settings):
    return load_source(WavSpec(root=root, **settings))


@pytest.mark.parametrize(
    ("dtype", "lowest", "highest"),
    [
        (np.uint8, 0, 255),
        (np.int16, -(2**15), 2**15 - 1),
        (np.int32, -(2**31), 2**31 - 1),
        (np.float32, -1.0, 1.0),
    ],
)
def test_every_type_becomes_minus_one_to_one(tmp_path, dtype, lowest, highest):
    samples = np.array([[lowest, highest], [highest, lowest], [lowest, lowest]], dtype=dtype)
    sound = read_wav(_write(tmp_path / "a.wav", samples))
    assert sound.rate == 8000
    expected = [[-1, 1, -1], [1, -1, -1]]
    np.testing.assert_allclose(sound.samples, expected, atol=1 / 127)
    assert sound.samples.dtype == np.float32


def test_folders_are_classes_and_lengths_are_cut_or_filled(tmp_path):
    for name, steps in (("low/1", 30), ("low/2", 50), ("high/1", 40), ("high/2", 40)):
        _write(tmp_path / f"{name}.wav", _tone(steps))
    source = _load(tmp_path, test_fraction=0.0)
    assert source.class_names == ("high", "low")
    assert source.train.example_shape == (1, 40)
    assert source.train.names == ["high/1.wav", "high/2.wav", "low/1.wav", "low/2.wav"]
    short, long = source.train.examples[2, 0], source.train.examples[3, 0]
    np.testing.assert_allclose(short[:30] * 2**15, _tone(30), atol=1e-3)
    assert not short[30:].any()
    np.testing.assert_allclose(long * 2**15, _tone(40), atol=1e-3)
    assert "30 to 50 steps are brought to 40" in source.notes[0]
    assert _load(tmp_path, length=16).train.example_shape == (1, 16)


def test_train_and_test_folders_are_the_parts(tmp_path):
    for part in ("train", "test"):
        for label in ("a", "b"):
            _write(tmp_path / part / label / "1.wav", _tone(20))
    source = _load(tmp_path)
    assert (len(source.train), len(source.test), source.notes) == (
        *(2, 2),
        ("training part: train/; test part: test/",),
    )


def test_damaged_files_are_skipped_or_refused_by_name(tmp_path):
    for number in range(9):
        _write(tmp_path / f"{number}.wav", _tone(20))
    (tmp_path / "bad.wav").write_bytes(b"RIFF no sound")
    with pytest.raises(NearfarError, match=r"1 of 10 sounds cannot be read.*bad.wav"):
        _load(tmp_path)
    source = _load(tmp_path, max_corrupt=0.2, test_fraction=0.0)
    assert len(source.train) == 9
    assert "skipped 1 of 10 sounds: bad.wav" in source.notes[0]


def test_a_part_without_one_readable_sound_is_refused_by_its_name(tmp_path):
    for number in range(4):
        _write(tmp_path / "train" / f"{number}.wav", _tone(20))
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "bad.wav").write_bytes(b"RIFF no sound")
    with pytest.raises(NearfarError, match="not one sound of the test part can be read"):
        _load(tmp_path, max_corrupt=0.5)


def test_a_truncated_file_and_values_that_are_not_finite_are_refused(tmp_path):
    path = _write(tmp_path / "a.wav", _tone(2000))
    path.write_bytes(path.read_bytes()[:-1001])
    with pytest.raises(UnreadableFileError, match=r"a\.wav"):
        read_wav(path)
    with pytest.raises(UnreadableFileError, match="not finite"):
        read_wav(_write(path, np.array([0.0, np.nan], np.float32)))
    with pytest.raises(UnreadableFileError, match="no sample"):
        read_wav(_write(path, np.zeros(0, np.int16)))


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_declared_size_of_the_samples_is_held_against_the_files(tmp_path, order):
    """Also where the size of the whole file, which SciPy goes by, is wrong or right by chance."""
    samples = np.arange(50, dtype=f"{order}i2")
    form, pack = {"<": (b"RIFF", "<I"), ">": (b"RIFX", ">I")}[order]
    head = struct.pack(f"{order}HHIIHH", 1, 1, 8000, 16000, 2, 16)
    body = samples.tobytes()

    def written(size_of_all, size_of_data, *, tail=b"", content=body):
        chunks = b"fmt " + struct.pack(pack, 16) + head
        chunks += b"data" + struct.pack(pack, size_of_data) + content + tail
        path = tmp_path / "a.wav"
        path.write_bytes(form + struct.pack(pack, size_of_all) + b"WAVE" + chunks)
        return path

    for size_of_all in (0, 20, 136, 10**6, 2**32 - 1):
        np.testing.assert_array_equal(
            read_wav(written(size_of_all, 100)).samples[0] * 2**15, np.arange(50)
        )
        for missing in (1, 2, 50, 99):
            with pytest.raises(UnreadableFileError, match=r"cut short: 100 bytes of samples decl"):
                read_wav(written(size_of_all, 100, content=body[:-missing]))
    # Metadata after the samples, even cut off itself, costs none of them.
    listing = b"LIST" + struct.pack(pack, 40) + b"INFO"
    assert read_wav(written(136, 100, tail=listing)).samples.shape == (1, 50)
    assert read_wav(written(136, 100, tail=b"id3 ")).samples.shape == (1, 50)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_cut_files_are_found_by_any_number_of_threads(tmp_path, workers):
    """A setting of the whole process, switched on and off by each thread, let one pass at times."""
    for number in range(60):
        path = _write(tmp_path / f"{number:02}.wav", _tone(4000))
        if number % 2:
            path.write_bytes(path.read_bytes()[:5000])
    for _ in range(15):
        source = _load(tmp_path, max_corrupt=1.0, workers=workers, test_fraction=0.0)
        assert source.train.names == [f"{number:02}.wav" for number in range(0, 60, 2)]


def test_metadata_is_passed_over_without_a_warning(tmp_path):
    path = _write(tmp_path / "a.wav", _tone(20))
    plain = path.read_bytes()
    path.write_bytes(plain[:12] + b"bext" + struct.pack("<I", 5) + b"words\0" + plain[12:])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(read_wav(path).samples[0] * 2**15, _tone(20), atol=1e-3)


def test_several_rates_channels_and_too_much_are_refused(tmp_path):
    _write(tmp_path / "1.wav", _tone(20))
    _write(tmp_path / "2.wav", _tone(20), rate=16000)
    with pytest.raises(NearfarError, match="8000 to 16000 Hz"):
        _load(tmp_path)
    _write(tmp_path / "2.wav", np.stack([_tone(20)] * 2, axis=1))
    with pytest.raises(NearfarError, match="of 1 and of 2 channels"):
        _load(tmp_path)
    with pytest.raises(SettingError, match=r"over data\.in_memory_mib=0"):
        _load(tmp_path, in_memory_mib=0)


@given(st.data())
def test_any_damage_gives_a_sound_or_one_line(tmp_path_factory, data):
    path = _write(tmp_path_factory.mktemp("wav") / "a.wav", _tone(40))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    message = ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            assert np.isfinite(read_wav(path).samples).all()
        except UnreadableFileError as error:
            message = str(error)
    assert "\n" not in message
