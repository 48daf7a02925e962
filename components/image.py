"""The image every component is compiled with until a real one is named.

Its registry cannot exist (RFC 2606), so a pipeline that nobody overrode fails to pull instead of running
something else. ``pipelines.images`` puts the real reference in.
"""

from typing import Final

PLACEHOLDER: Final = "registry.invalid/slate-python@sha256:" + "0" * 64
