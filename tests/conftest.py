"""What every test shares: determinism, few threads, small sets of real and of made images."""

import os

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from tests import type_checks

settings.register_profile(
    "nearfar",
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow],
    # A person's runs look for new examples every time; what CI says of a commit can be repeated.
    derandomize="CI" in os.environ,
)
settings.load_profile("nearfar")
type_checks.make_cheap()
torch.set_num_threads(1)
if not torch.cuda.is_available():
    # GPU kernels are then tested by Triton's interpreter, chosen before Triton is imported.
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(autouse=True)
def _seeded():
    """Every test starts from the same global random state."""
    torch.manual_seed(0)
    np.random.seed(0)
