"""A process that is killed in the middle of its work."""

import itertools
import os
import signal
from collections.abc import Iterable


def die_at_call(number: int, calls: Iterable[tuple[object, str]]) -> None:
    """Let this process be killed just before the n-th of some calls, counted together from 0.

    Args:
        number: n.
        calls: Each function by what holds it and its name there.
    """
    counted = itertools.count()

    def deadly(call):
        def called(*arguments, **options):
            if next(counted) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return called

    for owner, name in calls:
        setattr(owner, name, deadly(getattr(owner, name)))
