"""Sources by name."""

from collections.abc import Callable
from dataclasses import replace

import torch

from nearfar.data.catalogue import check_data_config
from nearfar.data.cifar import load_cifar10, load_cifar100
from nearfar.data.config import DataConfig
from nearfar.data.digits import load_digits
from nearfar.data.fashion_mnist import load_fashion_mnist
from nearfar.data.folder import load_folder
from nearfar.data.held_out import held_out_rows
from nearfar.data.imagenet import load_imagenet
from nearfar.data.label_noise import noted_label_noise, with_label_noise
from nearfar.data.long_tail import long_tail
from nearfar.data.npz import load_npz
from nearfar.data.packaged import (
    load_basic_motions,
    load_breast_cancer,
    load_japanese_vowels,
    load_wine,
)
from nearfar.data.parquet import load_parquet
from nearfar.data.source import JoinedExamples, Part, Source, StreamedExamples
from nearfar.data.stl10 import load_stl10
from nearfar.data.wav_folder import load_wav
from nearfar.errors import SettingError
from nearfar.paths import user_path

LOADERS: dict[str, Callable[[DataConfig], Source]] = {
    "digits": load_digits,
    "fashion-mnist": load_fashion_mnist,
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "stl10": load_stl10,
    "imagenet": load_imagenet,
    "folder": load_folder,
    "npz": load_npz,
    "japanese-vowels": load_japanese_vowels,
    "basic-motions": load_basic_motions,
    "wav": load_wav,
    "series-npz": load_npz,
    "wine": load_wine,
    "breast-cancer": load_breast_cancer,
    "parquet": load_parquet,
    "vectors-npz": load_npz,
}


def load_source(config: DataConfig) -> Source:
    """Load the source that the settings name.

    Args:
        config: Which source, from where, and how it is held.

    Returns:
        The source: its parts in memory as uint8, or streamed where they are too large. A long tail
        is in its training part, which the evaluation learns from too; label noise is not.

    Raises:
        SettingError: If the settings cannot be satisfied.
        NearfarError: If files are missing or damaged.
    """
    check_data_config(config)
    if config.root is not None:
        config = replace(config, root=user_path(config.root))
    source = LOADERS[config.name](config)
    if config.imbalance_factor is not None:
        source = long_tail(source, config.imbalance_factor, seed=config.seed)
    if config.label_noise:
        learning = len(source.train) - len(held_out_rows(source.train.labels, config.held_out))
        source = noted_label_noise(source, config.label_noise, learning=learning, seed=config.seed)
    return source


def part_to_learn_from(source: Source, config: DataConfig) -> Part:
    """The part that the encoder learns from, as `config.train_part` says.

    Args:
        source: The loaded source, without what `hold_out` took from its training part.
        config: `train_part`: train, unlabelled, or both one after the other; `label_noise`.

    Returns:
        The part; without labels where unlabelled examples are in it.

    Raises:
        SettingError: If the source has no unlabelled part, or no labels to mix up.
    """
    if config.train_part == "train":
        if not config.label_noise:
            return source.train
        return with_label_noise(source, config.label_noise, seed=config.seed)
    if source.unlabelled is None:
        raise SettingError(
            f"data.train_part={config.train_part}: {source.name} has no unlabelled part"
        )
    if config.train_part == "unlabelled":
        return source.unlabelled
    first, second = source.train.examples, source.unlabelled.examples
    if isinstance(first, StreamedExamples) or isinstance(second, StreamedExamples):
        return Part(JoinedExamples(first, second), modality=source.modality)
    return Part(torch.cat([first, second]), modality=source.modality)
