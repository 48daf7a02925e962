"""What a command loads before it does anything is what everybody waits for."""

import subprocess
import sys

import pytest

HEAVY = ("ibis", "jwt", "mlflow", "numpy", "pandas", "pyarrow", "redis", "tensorflow")


@pytest.mark.parametrize("module", ["slate.cli.main", "slate.feedback.endpoint.serve"])
def test_the_command_line_and_the_endpoint_load_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules.keys() & set({HEAVY})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
