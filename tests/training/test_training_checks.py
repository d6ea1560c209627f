import math
import subprocess
import sys
from dataclasses import replace

import pytest

from nearfar.errors import SettingError
from nearfar.training.checks import check_training_config
from nearfar.training.config import TrainingConfig


def misset(**settings) -> TrainingConfig:
    """A configuration as a JSON file may hold it: past the types that dataclasses are given."""
    config = TrainingConfig()
    for name, value in settings.items():
        object.__setattr__(config, name, value)
    return config


def test_the_defaults_and_their_limits_pass():
    check_training_config(TrainingConfig())
    check_training_config(TrainingConfig(), examples=256)
    check_training_config(replace(TrainingConfig(), epochs=10, device="cuda:7", clip_norm=1.0))
    check_training_config(replace(TrainingConfig(), micro_batch_size=256))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "training.epochs is 0"),
        ({"batch_size": 1}, "training.batch_size is 1"),
        ({"batch_size": 257}, "at most the number of training images, which is 256"),
        ({"micro_batch_size": 0}, "training.micro_batch_size is 0: it must be 1 to"),
        ({"micro_batch_size": 257}, "1 to training.batch_size, which is 256, or left out"),
        ({"learning_rate": 0.0}, "training.learning_rate is 0.0"),
        ({"learning_rate": float("nan")}, "training.learning_rate is nan"),
        ({"learning_rate": float("inf")}, "training.learning_rate is inf"),
        ({"weight_decay": -1e-6}, "training.weight_decay"),
        ({"momentum": 1.0}, "training.momentum"),
        ({"warmup_share": -0.1}, "training.warmup_share"),
        ({"warmup_share": 10.0}, "warmup_share is 10.0: it must be a share of the run, 0 to 1"),
        ({"warmup_share": math.nan}, "training.warmup_share"),
        ({"drops": (60.0, 40.0)}, "training.drops is (60.0, 40.0): it must be epochs in rising"),
        ({"drops": (5.0,)}, "after the warm-up and before the end at 100"),
        ({"drops": (100.0,)}, "before the end at 100"),
        ({"clip_norm": 0.0}, "training.clip_norm"),
        ({"knn_every": -1}, "training.knn_every"),
        ({"checkpoint_every": 0}, "training.checkpoint_every"),
        ({"keep_checkpoints": 1}, "training.keep_checkpoints"),
        ({"optimizer": "adamv"}, "did you mean 'adamw'"),
        ({"precision": "bf61"}, "did you mean 'bf16'"),
        ({"device": "cudo"}, "did you mean 'cuda'"),
        ({"device": "cuda:"}, "unknown device 'cuda:'"),
        ({"device": "cpu\n"}, "unknown device"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(SettingError) as caught:
        check_training_config(misset(**settings), examples=256)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_checking_needs_no_torch():
    code = (
        "import sys; import nearfar.training.checks; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'rich')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
