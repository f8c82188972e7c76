"""Pruning a network step by step: how many weights the digits need.

    python examples/pruning.py

A convolutional network for scikit-learn's digits is trained, and pruned in three ways: step by
step while it is trained further (`SparsitySchedule`), all at once before it is trained further, and
to the pattern 2:4 that GPUs multiply faster. All have the same number of epochs. Zeros are shared
out by "erk", so that the first layer, which has 288 weights, keeps more of them. The table has the
share of test images that are read right, and what a compressed file of the weights takes.
"""

import io
import zipfile

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_norms as kn


def network():
    """Two convolutions and two dense layers: 55,000 weights."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )


def data():
    """Images and labels, for training and for the test."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    images, labels = (images[order] / 16).reshape(-1, 8, 8, 1).astype("float32"), labels[order]
    return (images[:1297], labels[:1297]), (images[1297:], labels[1297:])


def trained(seed, epochs):
    """A dense network after the first half of its training."""
    keras.utils.set_random_seed(seed)
    model = network()
    compiled(model).fit(*data()[0], batch_size=32, epochs=epochs, verbose=0)
    return model


def compiled(model):
    """The model with a fresh optimizer."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return model


def pruned(dense, way, sparsity, epochs):
    """The right share of a network that is pruned in one way, and its size in a compressed file."""
    model = network()
    model.set_weights(dense)
    compiled(model)
    callbacks = []
    if way == "scheduled":
        callbacks = [kn.SparsitySchedule(sparsity, 0, epochs // 2, sparsity / 2, "erk")]
    elif way == "2:4":
        kn.constrain(model, kn.SparseNM(2, 4))
    elif sparsity:
        kn.prune(model, sparsity, "erk")
    if way in ("one-shot", "2:4") and sparsity:
        kn.freeze_zeros(model)
    train, test = data()
    model.fit(*train, batch_size=32, epochs=epochs, callbacks=callbacks, verbose=0)
    return model.evaluate(*test, verbose=0)[1], compressed_size(model)


def compressed_size(model):
    """The bytes of the weights in a zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, w in enumerate(model.get_weights()):
            archive.writestr(str(i), w.tobytes())
    return len(file.getvalue())


def main(sparsities=(0, 0.5, 0.8, 0.9, 0.95, 0.98), epochs=10, seeds=5):
    """Prune networks from several seeds in each way."""
    networks = [trained(seed, epochs).get_weights() for seed in range(seeds)]
    print(f"Digits read right: median of {seeds} seeds (range); kB of the compressed weights")
    rows = [("dense", 0), ("2:4", 0.5)]
    rows += [(way, s) for s in sparsities if s for way in ("scheduled", "one-shot")]
    for way, sparsity in rows:
        found = np.array([pruned(dense, way, sparsity, epochs) for dense in networks])
        right, size = found.T
        spread = f"{right.min():.1%} to {right.max():.1%}"
        print(
            f"  {sparsity:4.0%} zeros, {way:9}  {np.median(right):.1%} ({spread})"
            f"  {np.median(size) / 1e3:.0f} kB"
        )


if __name__ == "__main__":
    main()
