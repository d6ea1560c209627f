"""Every file name of a run folder, each once; docs/architecture.md says what they hold."""

MANIFEST = "run.json"
LOCK = ".lock"
CONFIG = "config.json"
CHOICES = "choices.json"
ENVIRONMENT = "environment.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"
ENCODER_WEIGHTS = "encoder.safetensors"
ENCODER_SETTINGS = "encoder.json"
HEAD = "head.safetensors"
SECOND_WEIGHTS = "second_encoder.safetensors"
SECOND_SETTINGS = "second_encoder.json"
SECOND_HEAD = "second_head.safetensors"
START = "start.json"
SECOND_START = "second_start.json"
CLASSIFIER = "classifier.safetensors"
UNREADABLE = "unreadable.json"
EVALUATION = "evaluation.json"
EVALUATION_ARRAYS = "evaluation.npz"
FINISHED_WORK = "evaluation.unfinished.jsonl"
MUTUAL_INFORMATION = "mutual_information.json"
REPORT = "report.html"

KEPT_EPOCH = "kept_epoch"
"""In `environment.json`: the epoch whose encoder a run left, where the best check chose it."""

STARTS = {"first": START, "second": SECOND_START}
"""What each encoder of a run began with."""

TOWERS = {
    "first": (ENCODER_WEIGHTS, ENCODER_SETTINGS, HEAD),
    "second": (SECOND_WEIGHTS, SECOND_SETTINGS, SECOND_HEAD),
}
"""Weights, settings and head of an encoder, and of that of what its examples are paired with."""


FOLDERS = (CHECKPOINTS, TENSORBOARD)
FILES = (
    CONFIG,
    CHOICES,
    ENVIRONMENT,
    START,
    SECOND_START,
    METRICS,
    ENCODER_WEIGHTS,
    ENCODER_SETTINGS,
    HEAD,
    SECOND_WEIGHTS,
    SECOND_SETTINGS,
    SECOND_HEAD,
    CLASSIFIER,
    UNREADABLE,
    EVALUATION,
    EVALUATION_ARRAYS,
    MUTUAL_INFORMATION,
    REPORT,
)
"""All that a manifest may name, but for what lies in the folders."""


def tower_of(file: str) -> str:
    """Whose file of an encoder one of this name is: first where it is none."""
    return next((tower for tower, held in TOWERS.items() if file in held), "first")
