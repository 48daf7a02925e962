"""The container's entry point: ``python -m serving``, with the options of ``slate serve``."""

import argparse
import json
import sys
from pathlib import Path

from serving.run import VARIANTS, serve
from slate.config import ServingConfig, parse_section
from slate.errors import SlateError


def main() -> None:
    """Parse the command line and serve. KServe passes ``--model_dir`` with a release of its own fetching."""
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    parser.add_argument("--release", help="a release folder, an id or a gs:// address")
    parser.add_argument("--model_dir", help="where KServe put the release; the same as --release")
    parser.add_argument("--store", help="a directory or gs://bucket/prefix")
    parser.add_argument("--channel", default="stable", help="which channel of the store is followed")
    parser.add_argument("--variant", default="stable", choices=VARIANTS)
    parser.add_argument("--cache-dir", type=Path, help="where remote releases are kept")
    for name, field in ServingConfig.model_fields.items():
        default = field.get_default(call_default_factory=True)
        reads = json.loads if isinstance(default, dict) else str
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, default=default, type=reads)
    # KServe's own options that may stand beside ours are its business.
    given, _ = parser.parse_known_args()
    try:
        serve(
            parse_section(ServingConfig, {name: getattr(given, name) for name in ServingConfig.model_fields}),
            release=given.release or given.model_dir,
            store=given.store,
            channel=given.channel,
            variant=given.variant,
            cache_dir=given.cache_dir,
        )
    except SlateError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
