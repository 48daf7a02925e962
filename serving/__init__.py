"""The model server: KServe's protocols around :class:`slate.recommend.engine.Engine`.

KServe parses ``sys.argv`` when it is imported, with abbreviations, so that an option of ours could be
taken for one of its own; it is imported here, once, without arguments.
"""

import sys

_arguments = sys.argv
sys.argv = _arguments[:1]
import kserve  # noqa: E402, F401

sys.argv = _arguments
