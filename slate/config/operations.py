"""How a release is stored."""

from slate.config.section import Section


class StoreConfig(Section):
    """Where releases live: a directory or ``gs://bucket/prefix``."""

    uri: str = ".slate"
