import pytest
import torch

from nearfar.data.source import Part, StreamedExamples, choose


class Numbered(StreamedExamples):
    """Image i is all i."""

    shape = (1, 4, 4)

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return torch.full(self.shape, index, dtype=torch.uint8)


@pytest.mark.parametrize("streamed", [True, False])
def test_choosing_keeps_images_labels_and_names_together(streamed):
    images = Numbered(9) if streamed else torch.stack([Numbered(9)[i] for i in range(9)])
    part = Part(images, torch.arange(9), [f"{i}.png" for i in range(9)])
    some = choose(part, torch.tensor([7, 2]))
    assert [int(some.examples[i].max()) for i in range(2)] == [7, 2]
    assert some.labels.tolist() == [7, 2]
    assert list(some.names) == ["7.png", "2.png"]
    assert some.example_shape == (1, 4, 4)
    assert len(choose(Part(images), torch.tensor([1]))) == 1
    again = choose(some, torch.tensor([1]))
    assert int(again.examples[0].max()) == 2
