"""ScaNN in a process that has nothing to do with TensorFlow."""

import contextlib
import sys


def import_scann() -> None:
    """Import ScaNN without the TensorFlow operations that it brings where TensorFlow is installed.

    Nothing here uses them, and TensorFlow takes seconds to import and some hundred MiB. To be called before
    there are threads: meanwhile nobody can import TensorFlow. Where it is imported already, or ScaNN is not
    installed, nothing happens.
    """
    if "tensorflow" in sys.modules:
        return
    # As Python marks a module that is known to be missing.
    sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        with contextlib.suppress(ImportError):
            import scann  # noqa: F401
    finally:
        del sys.modules["tensorflow"]
