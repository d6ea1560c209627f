"""Refuses impossible training settings. Imports nothing heavy, so the answer comes at once."""

import math
import re
from itertools import pairwise
from typing import get_args, get_type_hints

from nearfar.bounds import check_numbers
from nearfar.errors import SettingError, unknown_name
from nearfar.training.config import TrainingConfig

_FASTEST = 1_000_000
_MOST_THREADS = 1024
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def check_training_config(
    config: TrainingConfig,
    examples: int | None = None,
    ranks: int = 1,
    labelled: bool | None = None,
) -> None:
    """Refuse a setting that cannot be trained with, before any work is done.

    Whether the device exists on this machine is asked later, by `choose_hardware`.

    Args:
        config: The settings.
        examples: Number of training images; None while it is not known yet.
        ranks: Processes that share each batch.
        labelled: Whether the training images have labels; None while it is not known yet.

    Raises:
        SettingError: A setting is unknown, out of range, or does not fit the images.
    """
    kinds = get_type_hints(TrainingConfig)
    for setting in ("optimizer", "precision"):
        value, known = getattr(config, setting), get_args(kinds[setting])
        if value not in known:
            raise unknown_name(setting, value, known)
    if not _DEVICE.fullmatch(config.device):
        raise unknown_name("device", config.device, ("auto", "cpu", "cuda", "cuda:0"))

    check_numbers(config, "training.")
    _require(config.epochs >= 1, config, "epochs", "1 or more")
    _require(config.batch_size >= 2, config, "batch_size", "2 or more: others are the negatives")
    _require(
        config.micro_batch_size is None or 1 <= config.micro_batch_size <= config.batch_size,
        config,
        "micro_batch_size",
        f"1 to training.batch_size, which is {config.batch_size}, or left out",
    )
    _require(
        0 < config.learning_rate <= _FASTEST,
        config,
        "learning_rate",
        f"above 0, at most {_FASTEST:,}",
    )
    _require(
        0 <= config.weight_decay <= _FASTEST,
        config,
        "weight_decay",
        f"0 or more, at most {_FASTEST:,}",
    )
    _require(0 <= config.momentum < 1, config, "momentum", "0 or more and below 1")
    _require(0 <= config.warmup_share <= 1, config, "warmup_share", "a share of the run, 0 to 1")
    warmup_end = config.warmup_share * config.epochs
    rising = all(before < after for before, after in pairwise((warmup_end, *config.drops)))
    _require(
        rising and all(0 < epoch < config.epochs for epoch in config.drops),
        config,
        "drops",
        f"epochs in rising order, after the warm-up and before the end at {config.epochs}",
    )
    _require(
        config.clip_norm is None or 0 < config.clip_norm < math.inf,
        config,
        "clip_norm",
        "above 0, or left out",
    )
    _require(0 <= config.false_positives <= 1, config, "false_positives", "0 to 1")
    _require(
        config.threads is None or 1 <= config.threads <= _MOST_THREADS,
        config,
        "threads",
        f"1 or more, at most {_MOST_THREADS:,}",
    )
    _require(config.knn_every >= 0, config, "knn_every", "0 (never) or more")
    _require(config.checkpoint_every >= 1, config, "checkpoint_every", "1 or more")
    _require(
        config.keep_checkpoints >= 2,
        config,
        "keep_checkpoints",
        "2 or more: a damaged checkpoint needs a predecessor",
    )
    nearest = max(2, config.batch_size // ranks) * ranks
    _require(
        config.batch_size % ranks == 0 and config.batch_size >= 2 * ranks,
        config,
        "batch_size",
        f"shared evenly by {ranks} ranks, 2 images or more each, such as {nearest}",
    )
    if labelled is False:
        _require(
            config.false_positives == 0,
            config,
            "false_positives",
            "0 for data without labels, which tell the classes apart",
        )
    if examples is not None:
        _require(
            config.batch_size <= examples,
            config,
            "batch_size",
            f"at most the number of training images, which is {examples}",
        )


def _require(holds: bool, config: TrainingConfig, setting: str, wanted: str) -> None:
    if not holds:
        value = getattr(config, setting)
        raise SettingError(f"training.{setting} is {value}: it must be {wanted}")
