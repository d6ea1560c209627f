import signal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import get_worker_info

from nearfar.data.batches import TrainingBatches, evaluation_batches
from nearfar.data.source import StreamedExamples
from nearfar.errors import NearfarError, SettingError


def _images(count):
    """Images whose every pixel is their index."""
    return torch.arange(count, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 3, 4, 5)


class _Streamed(StreamedExamples):
    """The same images, one at a time; it counts what was asked of it in this process."""

    def __init__(self, count, broken=None, in_worker=False):
        self.shape = (3, 4, 5)
        self.count, self.broken, self.in_worker = count, broken, in_worker
        self.asked = []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.asked.append(index)
        assert (get_worker_info() is not None) == self.in_worker
        if self.in_worker:
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
        if index == self.broken:
            raise NearfarError(f"image {index} is damaged")
        return _images(self.count)[index]


def _batches(images, size, *, seed=0, labels=None, workers=0):
    return TrainingBatches(
        images, labels, batch_size=size, seed=seed, device="cpu", workers=workers
    )


@given(st.integers(1, 40), st.data())
def test_an_epoch_draws_each_image_at_most_once_in_whole_batches(count, data):
    size = data.draw(st.integers(1, count))
    batches = _batches(_images(count), size, labels=torch.arange(count) * 2)
    seen = []
    for images, labels, indices in batches.epoch(0):
        assert images.shape == (size, 3, 4, 5)
        assert images[:, 0, 0, 0].tolist() == indices.tolist()
        assert labels.tolist() == (2 * indices).tolist()
        seen += indices.tolist()
    assert len(seen) == len(set(seen)) == batches.steps_per_epoch * size
    assert count - len(seen) < size


def _order(batches, epoch, first_step=0):
    return [indices.tolist() for *_, indices in batches.epoch(epoch, first_step)]


def test_the_order_depends_on_seed_and_epoch_alone():
    first = _order(_batches(_images(50), 7, seed=3), 4)
    torch.manual_seed(99)
    assert _order(_batches(_images(50), 7, seed=3), 4) == first
    assert _order(_batches(_Streamed(50), 7, seed=3), 4) == first
    assert _order(_batches(_images(50), 7, seed=4), 4) != first
    assert _order(_batches(_images(50), 7, seed=3), 5) != first
    # seed and epoch are not interchangeable, nor is their sum what counts
    assert _order(_batches(_images(50), 7, seed=4), 3) != first


def test_the_order_is_pinned():
    """A checkpoint's position in the data is only good while this stays."""
    assert _order(_batches(_images(8), 4, seed=1), 2) == [[3, 5, 1, 4], [0, 2, 6, 7]]


def test_the_left_out_images_change_from_epoch_to_epoch():
    batches = _batches(_images(10), 4)
    left_out = {
        frozenset(range(10)) - {index for step in _order(batches, epoch) for index in step}
        for epoch in range(6)
    }
    assert len(left_out) > 1


@pytest.mark.parametrize("first_step", [0, 1, 5, 7])
def test_an_epoch_can_be_entered_anywhere(first_step):
    whole = _order(_batches(_images(50), 7), 2)
    assert _order(_batches(_images(50), 7), 2, first_step) == whole[first_step:]
    streamed = _Streamed(50)
    assert _order(_batches(streamed, 7), 2, first_step) == whole[first_step:]
    assert streamed.asked == [index for step in whole[first_step:] for index in step]


def test_batches_say_what_their_examples_are():
    assert _batches(_images(3), 1).modality == "images"
    stated = {"batch_size": 1, "seed": 0, "device": "cpu", "modality": "spectrograms"}
    assert TrainingBatches(torch.zeros(3, 1, 2, 7), None, **stated).modality == "spectrograms"


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_decode_and_keep_the_order(workers):
    held = _batches(_images(20), 4)
    streamed = _batches(_Streamed(20, in_worker=True), 4, workers=workers)
    for (first, _, rows), (second, _, others) in zip(held.epoch(1), streamed.epoch(1), strict=True):
        assert torch.equal(first, second)
        assert torch.equal(rows, others)
    for workers_now in (0, workers):
        images = _Streamed(20, in_worker=workers_now > 0)
        batches = list(evaluation_batches(images, batch_size=6, device="cpu", workers=workers_now))
        assert torch.equal(torch.cat([rows for _, rows in batches]), torch.arange(20))
        assert torch.equal(torch.cat([batch for batch, _ in batches]), _images(20))


def test_interrupts_are_left_to_the_main_process():
    """A handler that the main process set, to save before it ends, must not run in workers."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, lambda *_: pytest.fail("handled"))
        assert len(_order(_batches(_Streamed(8, in_worker=True), 4, workers=1), 0)) == 2
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_streaming_leaves_the_global_generator_alone():
    """It belongs to the checkpoint: a loader that drew from it would change a resumed run."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    _order(_batches(_Streamed(20), 4), 0)
    list(evaluation_batches(_Streamed(20), batch_size=4, device="cpu"))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_worker_stays_one_line(workers):
    images = _Streamed(20, broken=13, in_worker=workers > 0)
    for batches in (
        _batches(images, 4, workers=workers).epoch(0),
        evaluation_batches(images, batch_size=4, device="cpu", workers=workers),
    ):
        with pytest.raises(NearfarError) as caught:
            list(batches)
        assert str(caught.value) == "image 13 is damaged"


@given(st.integers(0, 30), st.integers(1, 12))
def test_evaluation_sees_each_image_once_in_order(count, size):
    batches = list(evaluation_batches(_images(count), batch_size=size, device="cpu"))
    assert [index for _, rows in batches for index in rows.tolist()] == list(range(count))
    for images, rows in batches:
        assert images[:, 0, 0, 0].tolist() == rows.tolist()


@pytest.mark.parametrize(("size", "words"), [(0, "at least 1"), (11, "there are 10 training")])
def test_batches_that_cannot_be_drawn_are_refused(size, words):
    with pytest.raises(SettingError, match=words):
        _batches(_images(10), size)
    if size == 0:
        with pytest.raises(SettingError, match=words):
            next(evaluation_batches(_images(10), batch_size=0, device="cpu"))


def test_labels_must_be_one_for_each_image():
    with pytest.raises(NearfarError, match="9 labels for 10 examples"):
        _batches(_Streamed(10), 2, labels=torch.zeros(9, dtype=torch.int64))


def test_a_negative_seed_is_refused():
    with pytest.raises(SettingError, match="seed=-1"):
        _batches(_images(10), 2, seed=-1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("images", [_images(20), _Streamed(20, in_worker=True)])
def test_batches_arrive_on_the_gpu(images):
    labels = torch.arange(20)
    batches = TrainingBatches(images, labels, batch_size=4, seed=0, device="cuda", workers=1)
    for pixels, classes, rows in batches.epoch(0):
        assert pixels.is_cuda
        assert classes.is_cuda
        assert not rows.is_cuda
        assert pixels[:, 0, 0, 0].tolist() == classes.tolist() == rows.tolist()
    for pixels, rows in evaluation_batches(images, batch_size=4, device="cuda", workers=1):
        assert pixels[:, 0, 0, 0].tolist() == rows.tolist()
