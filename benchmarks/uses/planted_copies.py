"""Copies of images, planted among them: turned, shrunk, packed by JPEG, cut."""

import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from scipy.fft import dctn
from torch import Tensor

CHANGES = ("mirror", "resize", "jpeg", "crop")
HASH_SIDE = 8


def changed(image: np.ndarray, change: str, random: np.random.Generator) -> np.ndarray:
    """A copy of an image `(height, width, channels)` uint8, of the same size.

    Args:
        change: mirror; resize (to 60 % of its sides and back); jpeg (quality 30); crop (90 % of
            the sides, a random place, and back to the size).
        random: Draws the place.
    """
    picture = Image.fromarray(image.squeeze(-1) if image.shape[2] == 1 else image)
    width, height = picture.size
    if change == "mirror":
        made = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    elif change == "resize":
        small = picture.resize((round(0.6 * width), round(0.6 * height)), Image.Resampling.BICUBIC)
        made = small.resize((width, height), Image.Resampling.BICUBIC)
    elif change == "jpeg":
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=30)
        made = Image.open(buffer)
    else:
        inner = round(0.9 * width), round(0.9 * height)
        left = int(random.integers(0, width - inner[0] + 1))
        top = int(random.integers(0, height - inner[1] + 1))
        cut = picture.crop((left, top, left + inner[0], top + inner[1]))
        made = cut.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(made).reshape(image.shape)


def planted(images: Tensor, each: int, seed: int) -> tuple[Tensor, Tensor, list[str]]:
    """Images with copies of some behind them.

    Args:
        images: `(n, channels, height, width)` uint8, no two equal.
        each: How many are copied by each change; no image is copied twice.
        seed: Draws them.

    Returns:
        All images; of each copy the row of its original; and its change.
    """
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(images))[: each * len(CHANGES)]
    changes = [change for change in CHANGES for _ in range(each)]
    held = images.permute(0, 2, 3, 1).numpy()
    copies = [changed(held[row], each, random) for row, each in zip(chosen, changes, strict=True)]
    made = torch.from_numpy(np.stack(copies)).permute(0, 3, 1, 2)
    return torch.cat((images, made)), torch.from_numpy(chosen), changes


def perceptual_hashes(images: Tensor) -> np.ndarray:
    """The hash that copies are commonly sought by (pHash): 64 bits an image, as eight bytes.

    The signs, about their median, of the lowest frequencies of a cosine transform of the image,
    grey and 32 px wide.
    """
    bits = []
    for image in images.permute(0, 2, 3, 1).numpy():
        grey = Image.fromarray(image.squeeze(-1) if image.shape[2] == 1 else image).convert("L")
        small = np.asarray(grey.resize((32, 32), Image.Resampling.LANCZOS), dtype=np.float64)
        low = np.asarray(dctn(small))[:HASH_SIDE, :HASH_SIDE].ravel()
        bits.append(low > np.median(low))
    return np.packbits(np.stack(bits), axis=1)


def pairs_by_hash(hashes: np.ndarray, most: int, block: int = 512) -> set[tuple[int, int]]:
    """Pairs of images whose hashes differ in at most so many bits."""
    words = hashes.view(np.uint64).ravel()
    found: set[tuple[int, int]] = set()
    for first in range(0, len(words), block):
        differ = np.bitwise_count(words[first : first + block, None] ^ words[None, :])
        rows, columns = np.nonzero(differ <= most)
        rows += first
        keep = rows < columns
        found |= set(zip(rows[keep].tolist(), columns[keep].tolist(), strict=True))
    return found


def scores(
    pairs: set[tuple[int, int]], originals: Sequence[int], changes: Sequence[str], count: int
) -> dict[str, float]:
    """Recall by change and over all, and the share of pairs that were planted.

    Args:
        pairs: That were found, the smaller row first.
        originals: Row of each copy's original; copies follow the images in order.
        changes: Of each copy.
        count: Images without the copies.
    """
    wanted = [(int(row), count + place) for place, row in enumerate(originals)]
    found: dict[str, list[bool]] = {change: [] for change in CHANGES}
    for pair, change in zip(wanted, changes, strict=True):
        found[change].append(pair in pairs)
    every = [each for held in found.values() for each in held]
    right = sum(every)
    return {change: float(np.mean(held)) for change, held in found.items()} | {
        "all": float(np.mean(every)),
        "precision": right / max(1, len(pairs)),
    }
