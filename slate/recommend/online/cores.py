"""How many processor cores this process may use."""

import math
import os
from pathlib import Path
from typing import Final

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = _QUOTA) -> int:
    """Of those it may run on, as many as its control group pays for; a container's limit is such a quota.

    Args:
        quota: the file in which the kernel tells it, as microseconds in so many microseconds.
    """
    cores = len(os.sched_getaffinity(0))
    try:
        most, period = quota.read_text(encoding="ascii").split()
        return cores if most == "max" else max(1, min(cores, math.ceil(int(most) / int(period))))
    except (OSError, ValueError):
        return cores
