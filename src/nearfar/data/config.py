"""What a run says of its data. Imports nothing heavy: the command line reads it for its help."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Fit = Literal["crop", "pad", "squash"]
"""How an image comes to a shape of other proportions: its centre, on a ground, or pressed."""


@dataclass(frozen=True)
class DataConfig:
    """Which images, from where, and how they are held."""

    name: str = "digits"
    """Name of the source; `nearfar data` lists them."""
    root: Path | None = None
    """Folder or file that holds the source's images; sources inside a package need none."""
    download: bool = False
    """Fetch the source over the network when it is not under `root`."""
    train_part: Literal["train", "unlabelled", "both"] = "train"
    """Part to learn from without labels; `unlabelled` and `both` need a source that has one."""
    image_size: int | None = None
    """Side in pixels of images from files (folder, imagenet), which data.fit brings to squares."""
    fit: Fit = "crop"
    """To a square by its centre (crop), on a ground of its mean colour (pad), or squashed."""
    channels: int | None = None
    """1 turns folder images grey, 3 makes them RGB; left out, the folder decides."""
    length: int | None = None
    """Steps that the sounds of wav are cut or padded to; their median length where left out."""
    label_column: str | None = None
    """Column of parquet that holds the labels; left out, there are none."""
    test_fraction: float = 0.2
    """Share held out for test where a source has no test part of its own; 0 to 1."""
    held_out: float = 0.1
    """Share of the labelled training examples kept for the kNN check (at most 5000); 0 for none."""
    max_corrupt: float = 0.01
    """Largest share of unreadable images to skip before the run is refused; 0 to 1."""
    in_memory_mib: int = 2048
    """Largest decoded size that is held in memory; a larger source streams from disk."""
    workers: int = 2
    """Processes that decode a streamed source; 0 decodes in the main process."""
    imbalance_factor: float | None = None
    """Thins the training part to a long tail: its largest class in sizes of its smallest."""
    label_noise: float = 0.0
    """Share of the labels that learning sees which are of another class; 0 to 1."""
    seed: int = 0
    """Chooses the examples of a long tail and of label noise: the same ones in every run."""
