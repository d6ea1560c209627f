"""Real pictures in small pieces, for statistics that noise would get wrong."""

import torch
from sklearn.datasets import load_sample_images
from torch import Tensor
from torchvision.transforms.v2 import functional as TF


def photo_patches(count: int, side: int = 32) -> Tensor:
    """`(count, 3, side, side)` uint8 patches of scikit-learn's two photographs."""
    photos = [torch.tensor(photo).permute(2, 0, 1) for photo in load_sample_images().images]
    generator = torch.Generator().manual_seed(0)
    patches = []
    for number in range(count):
        photo, source = photos[number % 2], (64, 96, 128)[number % 3]
        top, left = (
            int(torch.randint(0, extent - source, (), generator=generator))
            for extent in photo.shape[1:]
        )
        patch = photo[:, top : top + source, left : left + source]
        patches.append(TF.resize(patch, [side, side], antialias=True))
    return torch.stack(patches)
