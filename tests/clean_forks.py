"""Processes forked from a clean one that has loaded torch, so that each starts in milliseconds.

Forking from the tests' own process would copy the threads of other tests.
"""

import multiprocessing

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "pytest",
        "torch._dynamo",  # torch.optim imports it when an optimiser is made
        "nearfar.training.loop",
        "nearfar.methods.simclr",
        "nearfar.encoders.backbones",
        "nearfar.views.random_views",
        "nearfar.data.batches",
    ]
)
