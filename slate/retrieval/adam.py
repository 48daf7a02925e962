"""The optimiser of both models."""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf


class Adam(tf.keras.optimizers.Adam):
    """Keras' Adam by TensorFlow's own kernel: one operation a variable in place of some twenty.

    The arithmetic is the same; a training step is traced sooner and takes fewer passes over memory.
    """

    def __init__(self, learning_rate: Any, **settings: Any) -> None:
        # Of one kernel nothing is left to compile.
        super().__init__(learning_rate, jit_compile=False, **settings)

    def apply_gradients(
        self, grads_and_vars: Iterable[tuple[tf.Tensor, tf.Variable]], **options: Any
    ) -> tf.Variable:
        """Change all variables by one step; returns how many steps there were."""
        step = tf.cast(self.iterations + 1, tf.float32)
        self._beta_1_power, self._beta_2_power = tf.pow(self.beta_1, step), tf.pow(self.beta_2, step)
        return super().apply_gradients(grads_and_vars, **options)

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Change a variable and its two moments by one step."""
        if isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable)
            return
        place = self._index_dict[self._var_key(variable)]
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].handle,
            v=self._velocities[place].handle,
            beta1_power=self._beta_1_power,
            beta2_power=self._beta_2_power,
            lr=self.learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
