import math
import subprocess
import sys

import pytest

from nearfar.errors import SettingError
from nearfar.training.schedules import DropsSpec
from nearfar.training.specs import TrainingSpec


def test_the_defaults_and_their_limits_pass():
    TrainingSpec().require_examples(256, labelled=False)
    TrainingSpec(epochs=10, device="cuda:7", clip_norm=1.0)
    TrainingSpec(micro_batch_size=256)


def drops(*epochs):
    return {"name": "drops", "epochs": epochs}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "training.epochs is 0"),
        ({"batch_size": 1}, "training.batch_size is 1"),
        ({"micro_batch_size": 0}, "training.micro_batch_size is 0: it must be 1 or more"),
        ({"micro_batch_size": 257}, "1 to training.batch_size, which is 256, or left out"),
        ({"optimizer": {"name": "sgd", "learning_rate": 0.0}}, "optimizer.learning_rate is 0.0"),
        ({"optimizer": {"name": "sgd", "learning_rate": math.nan}}, "learning_rate is nan"),
        ({"optimizer": {"name": "lars", "learning_rate": math.inf}}, "learning_rate is inf"),
        (
            {"optimizer": {"name": "adamw", "weight_decay": -1e-6}},
            "weight_decay is -1e-06",
        ),
        ({"optimizer": {"name": "sgd", "momentum": 1.0}}, "training.optimizer.momentum is 1.0"),
        ({"optimizer": {"name": "adamw", "momentum": 0.5}}, "it belongs to sgd and lars"),
        ({"schedule": {"name": "cosine", "warmup_share": -0.1}}, "training.schedule.warmup_share"),
        ({"schedule": {"name": "cosine", "warmup_share": 10.0}}, "is 10.0: it must be 0 to 1"),
        ({"schedule": {"name": "cosine", "warmup_share": math.nan}}, "warmup_share is nan"),
        ({"schedule": {"name": "cosine", "epochs": (5,)}}, "it belongs to drops"),
        (
            {"schedule": drops(60.0, 40.0)},
            "schedule.epochs is (60.0, 40.0): it must be",
        ),
        ({"schedule": drops(5.0)}, "after the warm-up and before the end at 100"),
        ({"schedule": drops(100.0)}, "before the end at 100"),
        ({"clip_norm": 0.0}, "training.clip_norm"),
        ({"knn_every": -1}, "training.knn_every"),
        ({"checkpoint_every": 0}, "training.checkpoint_every"),
        ({"keep_checkpoints": 1}, "training.keep_checkpoints"),
        ({"optimizer": "adamv"}, "unknown optimiser 'adamv': did you mean 'adamw'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"precision": "bf61"}, "did you mean 'bf16'"),
        ({"device": "cudo"}, "did you mean 'cuda'"),
        ({"device": "cuda:"}, "unknown device 'cuda:'"),
        ({"device": "cpu\n"}, "unknown device"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(SettingError) as caught:
        TrainingSpec(**settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("examples", "labelled", "message"),
    [
        (
            255,
            True,
            "batch_size is 256: it must be at most the number .* which is 255",
        ),
        (256, False, "false_positives is 0.5: it must be 0 for data without labels"),
    ],
)
def test_data_that_do_not_fit_are_refused(examples, labelled, message):
    with pytest.raises(SettingError, match=message):
        TrainingSpec(false_positives=0.5).require_examples(examples, labelled=labelled)


def test_without_drops_the_rate_stays():
    schedule = DropsSpec(warmup_share=0.25)
    assert [schedule.rate_at(k, peak=8.0, total_steps=8) for k in range(8)] == [4.0] + [8.0] * 7


def test_every_optimiser_has_a_rate_of_its_own():
    assert TrainingSpec(optimizer="lars").optimizer.learning_rate == 0.3
    assert TrainingSpec(optimizer="sgd").optimizer.learning_rate == 0.03


def test_checking_needs_no_torch():
    code = (
        "import sys; import nearfar.training.specs; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'rich')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
