"""A recurrent layer that remembers for 1000 steps: a kernel that stays orthogonal.

    python examples/recurrent.py

In the copy task, a network reads five symbols, waits, and must then say what it has read. A layer
whose recurrent kernel W has singular values other than 1 multiplies what it remembers by up to W's
power of the delay: it fades, or swamps the rest. Keras starts recurrent kernels as orthogonal
matrices, but training takes them away from there. `recurrent_constraint=kn.Orthogonal()` brings
them back after each step, and nothing else of the layer changes.

Source: Arjovsky, Shah, Bengio, "Unitary Evolution Recurrent Neural Networks", ICML 2016.
"""

import keras
import numpy as np

import keras_norms as kn

SYMBOLS = 8
LENGTH = 5  # how many symbols are to be remembered
BATCH = 64


def network(delay, constraint):
    """A linear recurrent layer, and a readout at the last steps."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((LENGTH + delay + LENGTH, SYMBOLS + 2)),
            layers.SimpleRNN(
                64, activation=None, return_sequences=True, recurrent_constraint=constraint
            ),
            layers.Cropping1D((LENGTH + delay, 0)),
            layers.Dense(SYMBOLS),
        ]
    )


def task(n, delay, seed):
    """N sequences: symbols, blanks, one sign to begin, blanks; and the symbols, as labels."""
    symbols = np.random.default_rng(seed).integers(0, SYMBOLS, (n, LENGTH))
    blank, begin = SYMBOLS, SYMBOLS + 1
    sequences = np.full((n, LENGTH + delay + LENGTH), blank)
    sequences[:, :LENGTH] = symbols
    sequences[:, LENGTH + delay] = begin
    return np.eye(SYMBOLS + 2, dtype="float32")[sequences], symbols


def report(delay, constraint, steps, seed):
    """Train; the share of symbols that are right, the least and the largest singular value."""
    keras.utils.set_random_seed(seed)
    model = network(delay, constraint)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    x, y = task(steps * BATCH, delay, seed)
    model.fit(x, y, batch_size=BATCH, verbose=0)
    _, right = model.evaluate(*task(1000, delay, seed=1000), verbose=0)
    values = np.linalg.svd(model.layers[0].get_weights()[1], compute_uv=False)
    return right, values[-1], values[0]


def main(delays=(100, 300, 1000), steps=500, seeds=3):
    """Train with and without the constraint, for each delay and from several seeds."""
    print(f"Symbols remembered after {steps} steps of training: median of {seeds} seeds (range)")
    for delay in delays:
        print(f"\ndelay {delay}, chance {1 / SYMBOLS:.1%}")
        for name, constraint in {"no constraint": None, "Orthogonal": kn.Orthogonal()}.items():
            rows = np.array([report(delay, constraint, steps, seed) for seed in range(seeds)])
            right, least, largest = rows.T
            spread = f"{right.min():.1%} to {right.max():.1%}"
            values = f"singular values from {least.min():.3f} to {largest.max():.3f}"
            print(f"  {name:14} {np.median(right):6.1%} ({spread}), {values}")


if __name__ == "__main__":
    main()
