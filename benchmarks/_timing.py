"""How long a function takes on a device, and how much memory, by that device's own clock."""

import statistics
import time
from collections.abc import Callable

import torch

WARM_UP, ROUNDS = 3, 20


def timed(
    run: Callable[[], object], device: torch.device, rounds: int = ROUNDS
) -> tuple[float, int]:
    """Median milliseconds of a run, and the bytes that it takes beyond what is held.

    Args:
        run: Asks the device for work.
        device: A CUDA GPU. On the CPU, where only the way here is tried out, wall time is taken and
            no memory is told.
    """
    for _ in range(WARM_UP):
        run()
    if device.type == "cpu":
        return statistics.median(_wall(run) for _ in range(rounds)), 0
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    held = torch.cuda.memory_allocated(device)
    times = []
    for _ in range(rounds):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return statistics.median(times), torch.cuda.max_memory_allocated(device) - held


def _wall(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return (time.perf_counter() - begun) * 1e3
