"""Views on one core: SimCLR's against torchvision, kornia and albumentations; AutoAugment's too."""

import statistics
import time
from collections.abc import Callable

import albumentations as A
import cv2
import kornia.augmentation as K
import numpy as np
import torch
from albumentations.pytorch import ToTensorV2
from tools.machine import processor, versions
from torch import Tensor
from torchvision.transforms import v2

from nearfar.spec import as_spec
from nearfar.views.specs import ViewsSpec

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
PADDING = 0.125
SCALE, RATIO, SIGMA = (0.08, 1.0), (3 / 4, 4 / 3), (0.1, 2.0)
ROUNDS = 7
# Images in a batch, and how many of them those contenders get that work image by image.
BATCHES = {32: (512, 64), 96: (128, 32)}

Views = Callable[[Tensor], object]


def _nearfar(implementation: str, side: int) -> Views:
    config = as_spec(ViewsSpec, {"name": "simclr", "implementation": implementation})
    views = config.build((3, side, side), mean=MEAN, std=STD)
    generator = torch.Generator().manual_seed(0)
    return lambda images: views(images, generator)


def _torchvision(side: int, kernel: int) -> Views:
    view = v2.Compose(
        [
            v2.RandomResizedCrop(side, SCALE, RATIO, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(kernel, SIGMA)], p=0.5),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    return lambda images: [torch.stack([view(image) for image in images]) for _ in range(2)]


def _kornia(side: int, kernel: int) -> Views:
    view = K.AugmentationSequential(
        K.RandomResizedCrop((side, side), SCALE, RATIO),
        K.RandomHorizontalFlip(),
        K.ColorJitter(0.8, 0.8, 0.8, 0.2, p=0.8),
        K.RandomGrayscale(p=0.2),
        K.RandomGaussianBlur((kernel, kernel), SIGMA, p=0.5),
        K.Normalize(MEAN, STD),
        data_keys=["input"],
    )

    def views(images: Tensor) -> object:
        floats = images / 255
        return view(floats), view(floats)

    return views


def _albumentations(side: int, kernel: int) -> Views:
    cv2.setNumThreads(0)
    spread, turn = (0.2, 1.8), (-0.2, 0.2)
    view = A.Compose(
        [
            A.RandomResizedCrop((side, side), SCALE, RATIO),
            A.HorizontalFlip(p=0.5),
            A.ColorJitter(spread, spread, spread, turn, p=0.8),
            A.ToGray(p=0.2),
            A.GaussianBlur(blur_limit=(kernel, kernel), sigma_limit=SIGMA, p=0.5),
            A.Normalize(MEAN, STD),
            ToTensorV2(),
        ]
    )

    def views(images: Tensor) -> object:
        arrays = [np.ascontiguousarray(image) for image in images.permute(0, 2, 3, 1).numpy()]
        return [torch.stack([view(image=array)["image"] for array in arrays]) for _ in range(2)]

    return views


def _nearfar_policy(policy: str, side: int) -> Views:
    config = as_spec(
        ViewsSpec, {"name": "paco", "count": 1, "policy": policy, "padding": PADDING, "cutout": 0.0}
    )
    views = config.build((3, side, side), mean=MEAN, std=STD)
    generator = torch.Generator().manual_seed(0)
    return lambda images: views(images, generator)


def _torchvision_policy(transform: v2.Transform, side: int) -> Views:
    view = v2.Compose(
        [
            v2.RandomCrop(side, padding=round(PADDING * side)),
            v2.RandomHorizontalFlip(),
            transform,
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    return lambda images: torch.stack([view(image) for image in images])


def _policies(side: int) -> dict[str, tuple[Views, Tensor]]:
    """Contenders for one view with a policy, and the images that each gets."""
    images = _images(side)
    few = images[: BATCHES[side][1]]
    cifar10 = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
    return {
        "nearfar, AutoAugment": (_nearfar_policy("autoaugment-cifar10", side), images),
        "torchvision v2, AutoAugment": (_torchvision_policy(cifar10, side), few),
        "nearfar, RandAugment": (_nearfar_policy("randaugment", side), images),
        "torchvision v2, RandAugment": (_torchvision_policy(v2.RandAugment(), side), few),
    }


def _images(side: int) -> Tensor:
    return torch.randint(0, 256, (BATCHES[side][0], 3, side, side), dtype=torch.uint8)


def _simclr(side: int) -> dict[str, tuple[Views, Tensor]]:
    """Contenders for SimCLR's two views, and the images that each gets."""
    kernel = 2 * (side // 20) + 1
    images = _images(side)
    few = BATCHES[side][1]
    return {
        "nearfar, fused": (_nearfar("fused", side), images),
        "nearfar, exact": (_nearfar("exact", side), images),
        "albumentations": (_albumentations(side, kernel), images[:few]),
        "kornia": (_kornia(side, kernel), images),
        "torchvision v2": (_torchvision(side, kernel), images[:few]),
    }


def _rates(contenders: dict[str, tuple[Views, Tensor]]) -> dict[str, list[float]]:
    """Images per core-second of each contender, one figure a round; the contenders take turns."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(ROUNDS + 1):
        for name, (views, part) in contenders.items():
            begin, done = time.process_time(), 0
            while time.process_time() - begin < 0.3:
                views(part)
                done += len(part)
            if number:  # the first round warms up
                rates[name].append(done / (time.process_time() - begin))
    return rates


def _table(rates: dict[str, list[float]], first: str) -> str:
    """The rates, each beside that of the first contender, or of the last before it that is ours."""
    medians = {name: statistics.median(values) for name, values in rates.items()}
    best = next(iter(medians.values()))
    lines = [f"| | images/s | lowest to highest | {first} is faster by |", "|---|---:|---:|---:|"]
    for name, median in medians.items():
        low, high = min(rates[name]), max(rates[name])
        if name.startswith("nearfar") and first == "nearfar":
            best = median
        lines.append(f"| {name} | {median:.0f} | {low:.0f} to {high:.0f} | {best / median:.1f}× |")
    return "\n".join(lines)


def main() -> str:
    """Measure and return the section for the page of benchmarks."""
    torch.set_num_threads(1)
    packages = ("torch", "torchvision", "kornia", "albumentations", "opencv-python-headless")
    parts = [
        "## Two SimCLR views of an image\n",
        "Images per second of one core's time (process CPU time, one thread), each image giving "
        "two normalised float32 views of its own size with crop, flip, jitter of strength 1, grey "
        "and Gaussian blur. torchvision and albumentations work image by image and stack the "
        f"results; kornia and nearfar take the batch. Medians of {ROUNDS} rounds in which the "
        f"contenders take turns. {processor()}; {versions(*packages)}.",
    ]
    for side in BATCHES:
        batch, few = BATCHES[side]
        parts.append(f"\n### {side} px, batches of {batch} ({few} image by image)\n")
        parts.append(_table(_rates(_simclr(side)), "fused"))
    parts.append(
        "\n### AutoAugment and RandAugment\n\n"
        "One normalised view of an image with a padded crop, flip and the policy: AutoAugment's "
        "for CIFAR-10, or RandAugment (2 operations, magnitude 9). As above, torchvision works "
        "image by image."
    )
    for side in BATCHES:
        parts.append(f"\n{side} px:\n")
        parts.append(_table(_rates(_policies(side)), "nearfar"))
    section = "\n".join(parts) + "\n"
    print(section)
    return section


if __name__ == "__main__":
    main()
