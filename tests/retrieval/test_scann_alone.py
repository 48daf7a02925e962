"""A server's process has ScaNN and not TensorFlow, which can be imported all the same by who wants it."""

import subprocess
import sys

CODE = """
import sys
from slate.retrieval.index.alone import import_scann
import_scann()
from scann.scann_ops.py import scann_ops_pybind
assert "tensorflow" not in sys.modules
import_scann()
import importlib.util
print(scann_ops_pybind.builder is not None, importlib.util.find_spec("tensorflow") is not None)
"""


def test_tensorflow_is_neither_imported_nor_lost() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
