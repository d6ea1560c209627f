"""What callers may have set in torch for all their code, set aside while nearfar trains."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_entered = 0
_callers = torch.float32


@contextmanager
def own_defaults() -> Iterator[None]:
    """float32 and gradients inside, whatever surrounds it; afterwards all is as it was.

    `torch.no_grad()` and `torch.inference_mode()` around it are of this thread alone. torch's
    default type is the process's: where a caller has set another, other threads see float32 too
    until the last of those inside has left.
    """
    global _entered, _callers
    with _lock:
        if not _entered:
            _callers = torch.get_default_dtype()
            torch.set_default_dtype(torch.float32)
        _entered += 1
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        with _lock:
            _entered -= 1
            if not _entered:
                torch.set_default_dtype(_callers)
