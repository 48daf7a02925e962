"""From a name to a verified release, opened for recommending."""

from pathlib import Path

from slate.recommend.recommender import Recommender
from slate.release.resolve import open_verified
from slate.release.verify import check_requires
from slate.storage import open_store


def open_release(
    reference: str, *, store: str | Path | None = None, cache_dir: Path | None = None
) -> Recommender:
    """Open a release: every file verified, the installed versions checked, then the models loaded.

    Args:
        reference: a channel, a release id or the beginning of one (both need ``store``), a release
            folder, or a store (a directory or ``gs://bucket/prefix``), meaning its ``stable`` channel.
        store: where channels and ids are looked up.
        cache_dir: where remote releases are kept; the default of
            :func:`slate.release.publish.local_copy` without it.

    Raises:
        NotFoundError: there is no such release, or the channel is empty.
        ReleaseError: a file is missing, extra or changed, or other versions are needed; nothing is loaded.
    """
    opened = open_verified(reference, None if store is None else open_store(store), cache_dir)
    check_requires(opened.manifest)
    return Recommender(opened.path, opened.manifest.config, opened.manifest.release_id)
