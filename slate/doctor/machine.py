"""The machine: processor, memory, disk."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from slate.doctor.finding import Finding, Health

#: What ScaNN's wheel is built for.
FLAGS: Final = ("avx2", "fma")
_PYTHON: Final = ((3, 11), (3, 14))
_MEMORY_GIB: Final = 4.0
_DISK_GIB: Final = 5.0
_GIB: Final = 2**30
_CPUINFO: Final = Path("/proc/cpuinfo")
_MEMINFO: Final = Path("/proc/meminfo")


def machine(folder: Path, cpuinfo: Path = _CPUINFO, meminfo: Path = _MEMINFO) -> Iterator[Finding]:
    """Look at the machine.

    Args:
        folder: where releases and work are kept: its disk counts.
    """
    yield _python()
    yield _processor(cpuinfo)
    yield _memory(meminfo)
    yield _disk(folder)


def _python() -> Finding:
    least, below = _PYTHON
    fits = least <= sys.version_info[:2] < below
    advice = "" if fits else f"use Python {least[0]}.{least[1]} to {below[0]}.{below[1] - 1}"
    return Finding("python", Health.GOOD if fits else Health.BAD, platform.python_version(), advice)


def _processor(cpuinfo: Path) -> Finding:
    name, cores = f"{platform.system()} {platform.machine()}", os.cpu_count() or 1
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    flags = next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())
    missing = [flag for flag in FLAGS if flag not in flags]
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return Finding("processor", Health.BAD, name, "ScaNN has wheels for Linux on x86-64 only")
    if missing:
        lacks = f"{name}, {cores} cores, without {' and '.join(missing)}"
        return Finding(
            "processor", Health.BAD, lacks, "ScaNN ends with an illegal instruction here: another CPU"
        )
    return Finding("processor", Health.GOOD, f"{name}, {cores} cores, {' and '.join(FLAGS)}")


def _memory(meminfo: Path) -> Finding:
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        return Finding("memory", Health.DOUBTFUL, "not known", f"have {_MEMORY_GIB:g} GiB free")
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0) / _GIB
    found = f"{free:.1f} GiB free"
    if free < _MEMORY_GIB:
        return Finding("memory", Health.DOUBTFUL, found, f"training wants {_MEMORY_GIB:g} GiB or more")
    return Finding("memory", Health.GOOD, found)


def _disk(folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free / _GIB
    found = f"{free:.1f} GiB free for {folder}"
    if not os.access(there, os.W_OK):
        return Finding("disk", Health.BAD, f"{there} cannot be written", "name another folder, or its owner")
    if free < _DISK_GIB:
        return Finding("disk", Health.DOUBTFUL, found, f"have {_DISK_GIB:g} GiB: every release is kept")
    return Finding("disk", Health.GOOD, found)
