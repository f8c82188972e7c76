"""ProjectWeights: a callback that projects weights where Keras does not."""

import keras

from keras_norms.models.attach import project_with
from keras_norms.models.describe import without_rates
from keras_norms.models.weights import is_built


class ProjectWeights(keras.callbacks.Callback):
    """Puts constrained weights into their sets where Keras does not.

    Keras applies constraints after optimizer steps only. This callback projects the weights and
    their moving averages, exactly, whenever training, an epoch, evaluation or prediction begins or
    ends. That puts into their sets:

    - initial and loaded weights;
    - the moving averages of `use_ema=True`, which Keras takes before it applies the constraint;
    - averages that `keras.callbacks.SwapEMAWeights` puts into the model, whichever of the two
      callbacks comes first in the list.

    A constraint with a `rate` below 1 is left to the optimizer, which goes that part of the way at
    each step; `keras_norms.project` goes all of it.

    A second `fit` with moving averages then works under JAX, too, where Keras alone leaves weights
    and averages in one buffer.

    `SwapEMAWeights` in `predict` leaves the averages in the model, with this callback, too.

    Under TensorFlow, a model that is not built yet has its weights after the first step only.

    Raises:
        ValueError: If no weight of the model has a constraint: when training, an evaluation or a
            prediction begins, or at its end if the model has no weights before.

    Example:
    >>> import keras, numpy as np, keras_norms as kn
    >>> layer = keras.layers.Dense(1, kernel_constraint=kn.MaxNorm(1.0), kernel_initializer="ones")
    >>> model = keras.Sequential([keras.layers.Input((4,)), layer])
    >>> model.compile(keras.optimizers.SGD(0.0, use_ema=True), "mse")
    >>> x, y = np.ones((2, 4)), np.ones((2, 1))
    >>> _ = model.fit(x, y, callbacks=[kn.ProjectWeights()], verbose=0)
    >>> print(keras.ops.convert_to_numpy(layer.kernel)[:, 0])
    [0.5 0.5 0.5 0.5]
    """

    def on_train_begin(self, logs=None):
        """Projects initial and loaded weights."""
        self._project_if_built()

    def on_train_end(self, logs=None):
        """Projects the averages that Keras has put into the model."""
        self.project()

    def on_epoch_begin(self, epoch, logs=None):
        """Projects weights that another callback has set."""
        self._project_if_built()

    def on_epoch_end(self, epoch, logs=None):
        """Projects averages, which other callbacks may swap in."""
        self.project()

    def on_test_begin(self, logs=None):
        """Projects, as at the end of an epoch."""
        self._project_if_built()

    def on_test_end(self, logs=None):
        """Projects, as at the end of an epoch."""
        self.project()

    def on_predict_begin(self, logs=None):
        """Projects, as at the end of an epoch."""
        self._project_if_built()

    def on_predict_end(self, logs=None):
        """Projects, as at the end of an epoch."""
        self.project()

    def project(self):
        """Puts the constrained weights of the model into their sets, and their averages."""
        project_with(self.model, without_rates)

    def _project_if_built(self):
        if is_built(self.model):
            self.project()
