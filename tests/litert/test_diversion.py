"""Libraries' chatter is dropped, and what others write to the file of errors is not."""

import subprocess
import sys

SAID = r"""
import os
from slate.litert.diversion import quietly
os.write(2, b"before\n")
try:
    with quietly():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        os.write(2, b"W0000 00:00:1795304997.9   79 helpers.cc:364] Ignored output_format.\n")
        os.write(2, b"what matters\n")
        os.write(2, b"INFO is no beginning\n")
        raise ValueError("wrong")
except ValueError:
    os.write(2, b"after\n")
"""


def test_only_chatter_is_dropped() -> None:
    done = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True, check=True)
    assert done.stderr == "before\nwhat matters\nINFO is no beginning\nafter\n"


def test_a_process_without_a_file_of_errors_goes_on() -> None:
    code = "import os; from slate.litert.diversion import quietly; os.close(2)\nwith quietly(): print('done')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"
