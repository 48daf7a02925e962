"""Take out of the live release what an incremental run starts from."""

from typing import Any

from kfp import dsl

from components.image import PLACEHOLDER


@dsl.component(base_image=PLACEHOLDER, install_kfp_package=False)
def open_parent(
    store: str,
    champion: str,
    dataset_config: dict[str, Any],
    code_fingerprint: str,
    parent: dsl.Output[dsl.Model],
) -> None:
    """The parent's weights, catalogue, features and instants."""
    from pathlib import Path

    from slate.steps.open_parent import open_parent

    print(f"code {code_fingerprint}")
    values = open_parent(store, champion, dataset_config, Path(parent.path))
    parent.metadata.update(values)
