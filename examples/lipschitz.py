"""A network that small changes of its input cannot fool: singular values of at most 1.

    python examples/lipschitz.py

The largest singular value of a kernel bounds how much its layer stretches any change of its input,
and ReLU stretches none. So a network whose kernels have singular values of at most 1 changes its
scores by no more than its input changes. If its best score leads by a margin m, no change of the
image that is shorter than m / sqrt(2) can alter the class: that length is certified, image by image
(Tsuzuku, Sato, Sugiyama, "Lipschitz-Margin Training", NeurIPS 2018).

Without a bound, the same network is right a little more often on clean images, but nothing can be
certified of it, and an attack along the gradient fools it more often. Here both are trained on
scikit-learn's digits, images of 8 by 8 pixels in [0, 1] with a norm of 3.9 on average, and attacked
with noise and with steps along the gradient. "certified" is the share of images that are read right
and that no change of that length can alter.
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_norms as kn

LENGTH = 0.4  # of the changes that the networks are attacked with
# The cross-entropy wants larger differences of scores than a bounded network has.
TEMPERATURE = 5


def network(bounded):
    """Three kernels and no biases, with the scores as outputs."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((64,)),
            layers.Dense(64, "relu", use_bias=False),
            layers.Dense(64, "relu", use_bias=False),
            layers.Dense(10, use_bias=False),
            layers.Rescaling(TEMPERATURE),
        ]
    )
    if bounded:
        kn.constrain(model, kn.MaxSpectralNorm(1.0))
        kn.project(model)
    return model


def data():
    """Images with pixels in [0, 1], for training and for the test."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    images, labels = (images[order] / 16).astype("float32"), labels[order]
    return (images[:1297], labels[:1297]), (images[1297:], labels[1297:])


class Scores:
    """The scores of a trained network, and the slopes of margins, in NumPy."""

    def __init__(self, model):
        self.kernels = [keras.ops.convert_to_numpy(w).astype("float64") for w in model.weights]
        self.stretch = float(np.prod([np.linalg.norm(k, 2) for k in self.kernels]))

    def __call__(self, x):
        """The scores, and which units are on."""
        on = []
        for kernel in self.kernels[:-1]:
            x = x @ kernel
            on.append(x > 0)
            x = x * on[-1]
        return x @ self.kernels[-1], on

    def right(self, x, labels):
        """The share that is read right."""
        return float(np.mean(self(x)[0].argmax(axis=1) == labels))

    def certified(self, x, labels):
        """The length of change that cannot alter the class; 0 where the class is wrong."""
        scores, _ = self(x)
        mine = scores[np.arange(len(x)), labels]
        scores[np.arange(len(x)), labels] = -np.inf
        return np.maximum(mine - scores.max(axis=1), 0) / (np.sqrt(2) * self.stretch)

    def slope(self, x, labels):
        """The gradient of the lead of the right class over the best other one."""
        scores, on = self(x)
        rows = np.arange(len(x))
        direction = np.zeros_like(scores)
        direction[rows, labels] = 1
        scores[rows, labels] = -np.inf
        direction[rows, scores.argmax(axis=1)] -= 1
        slope = direction @ self.kernels[-1].T
        for kernel, units in zip(self.kernels[-2::-1], on[::-1], strict=True):
            slope = (slope * units) @ kernel.T
        return slope


def shortened(change, length):
    """Changes of at most this length."""
    norms = np.linalg.norm(change, axis=1, keepdims=True)
    return change * np.minimum(1, length / np.maximum(norms, 1e-12))


def attacked(scores, x, labels, length, steps=40):
    """Images after steps down the lead of the right class, within a ball around each."""
    change = np.zeros_like(x, "float64")
    for _ in range(steps):
        slope = scores.slope(x + change, labels)
        slope /= np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12)
        change = shortened(change - slope * length / 10, length)
    return x + change


def report(bounded, epochs, seed):
    """Train, and measure: right, certified at LENGTH, under noise, under attack, median radius."""
    keras.utils.set_random_seed(seed)
    (x, y), (images, labels) = data()
    model = network(bounded)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    scores = Scores(model)
    radius = scores.certified(images, labels)
    noise = np.random.default_rng(seed).standard_normal(images.shape)
    noisy = images + LENGTH * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    under_attack = scores.right(attacked(scores, images, labels, LENGTH), labels)
    assert under_attack >= np.mean(radius > LENGTH), "what is certified cannot be altered"
    return (
        *(scores.right(images, labels), scores.right(noisy, labels), under_attack),
        *(float(np.mean(radius > LENGTH)), float(np.median(radius)), scores.stretch),
    )


def main(epochs=20, seeds=5):
    """Train both networks from several seeds."""
    print(f"Digits read right, for changes of length {LENGTH}: median of {seeds} seeds (range)")
    headings = ("clean", "noise", "gradient attack", "certified")
    for bounded in (False, True):
        rows = np.array([report(bounded, epochs, seed) for seed in range(seeds)])
        print("\nsingular values of at most 1:" if bounded else "\nno constraint:")
        for heading, column in zip(headings, rows.T, strict=False):
            spread = f"{column.min():.1%} to {column.max():.1%}"
            print(f"  {heading:16} {np.median(column):.1%} ({spread})")
        radius, stretch = np.median(rows[:, 4]), rows[:, 5].max()
        print(f"  no change below {radius:.3f} alters the median image")
        print(f"  product of the largest singular values: at most {stretch:.2f}")


if __name__ == "__main__":
    main()
