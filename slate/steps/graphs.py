"""How TensorFlow prepares graphs, in steps that run theirs a few hundred times."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def as_traced(here: bool = True) -> Iterator[None]:
    """Run graphs as they are, ``here`` or not at all: TensorFlow's optimizer does not rewrite them first.

    What it takes for the steps of both models is a twentieth of an update. It saves a few per cent of an
    epoch, so a training of ten epochs and more is better off with it.
    """
    import tensorflow as tf

    if not here:
        yield
        return
    option = "disable_meta_optimizer"
    before = tf.config.optimizer.get_experimental_options().get(option, False)
    tf.config.optimizer.set_experimental_options({option: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({option: before})
