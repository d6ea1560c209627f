"""False positives: as many as asked for, of other classes, evenly; resumed bit for bit."""

from dataclasses import replace

import pytest
import torch
from test_killed import metrics, weights
from tiny_run import TINY, images, train_tiny

from nearfar.data.batches import TrainingBatches
from nearfar.errors import SettingError
from nearfar.training.pair_noise import views_of_batch
from nearfar.views.specs import DigitsViewsSpec


class Numbers:
    """Three views of an example that are the example, so that whose they are can be seen."""

    count = 3

    def __call__(self, examples, generator):
        return tuple(self.draw(examples, generator, view=view) for view in range(self.count))

    def draw(self, examples, generator, view=0):
        return examples + 1000 * view


def drawn(labels, probability, seed=0):
    generator = torch.Generator().manual_seed(seed)
    examples = torch.arange(len(labels))
    first, second, third = views_of_batch(Numbers(), examples, labels, generator, probability)
    assert torch.equal(first, examples)
    assert torch.equal(third, examples + 2000)
    return second - 1000


def test_about_a_share_of_second_views_is_of_other_classes_and_the_rest_their_own():
    labels = torch.randint(0, 7, (5000,), generator=torch.Generator().manual_seed(1))
    partners = drawn(labels, 0.3)
    own = torch.arange(5000)
    changed = partners != own
    assert (labels[partners] != labels)[changed].all()
    assert float(changed.float().mean()) == pytest.approx(0.3, abs=0.03)


def test_partners_are_drawn_evenly_among_all_of_other_classes():
    labels = torch.tensor([3, 0, 3, 9, 0, 3])
    counts = torch.zeros(6, 6)
    for seed in range(3000):
        counts[torch.arange(6), drawn(labels, 1.0, seed)] += 1
    for i in range(6):
        others = labels != labels[i]
        assert counts[i][~others].sum() == 0
        expected = 3000 / int(others.sum())
        assert ((counts[i][others] - expected).abs() < 5 * expected**0.5).all()


def test_where_all_are_of_one_class_each_keeps_its_own():
    assert torch.equal(drawn(torch.full((8,), 4), 1.0), torch.arange(8))


def test_without_false_positives_the_views_are_those_of_a_plain_call():
    views = DigitsViewsSpec(count=3).build((1, 8, 8), mean=(0.0,), std=(1.0,))
    plain = views(images(6), torch.Generator().manual_seed(2))
    ours = views_of_batch(views, images(6), None, torch.Generator().manual_seed(2))
    assert all(map(torch.equal, plain, ours))


def test_labels_are_asked_for_at_once():
    config = replace(TINY, false_positives=0.3)
    config.require_examples(100, labelled=True)
    with pytest.raises(
        SettingError, match=r"false_positives is 0\.3: it must be 0 for data without"
    ):
        config.require_examples(100, labelled=False)
    with pytest.raises(SettingError, match=r"false_positives is 1\.5: it must be 0 to 1"):
        replace(TINY, false_positives=1.5)
    generator = torch.Generator()
    with pytest.raises(SettingError, match="needs labels"):
        views_of_batch(Numbers(), torch.arange(4), None, generator, 0.3)
    with pytest.raises(SettingError, match="drawn one by one"):
        views_of_batch(lambda *_: (), torch.arange(4), torch.arange(4), generator, 0.3)


def noisy_run(path, **more):
    """A run on three views with false positives, of labelled images."""
    config = replace(TINY, epochs=2, false_positives=0.4)
    return train_tiny(
        path,
        config,
        views=DigitsViewsSpec(count=3).build((1, 8, 8), mean=(0.5,), std=(0.5,)),
        batches=TrainingBatches(images(), torch.arange(33) % 4, batch_size=8, seed=3, device="cpu"),
        **more,
    )


def test_a_run_with_false_positives_and_three_views_resumes_to_the_same_bits(tmp_path):
    noisy_run(tmp_path / "whole")
    noisy_run(tmp_path / "cut")
    for newest in sorted((tmp_path / "cut" / "checkpoints").glob("step-00000008*")):
        newest.unlink()
    noisy_run(tmp_path / "cut", resume=True)
    assert metrics(tmp_path / "cut") == metrics(tmp_path / "whole")
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(value, weights(tmp_path / "cut")[name]), name
