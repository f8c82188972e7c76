"""Cutting filters out of a convolutional network: a smaller one that is as right, and faster.

    python examples/filters.py

A network for scikit-learn's digits is trained. Then some of its filters become zero: the ones with
the smallest norms (`SparseUnits`), or, after a training with `GroupLasso`, those below 5 % of the
largest norm of their layer. A group lasso alone makes no filter zero, only small. It is trained
further with these zeros, and the filters that are zero are cut out: what is left is an ordinary
network with the same outputs. The times are those of its predictions, over those of the whole one.
"""

import time

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_norms as kn

THRESHOLD = 0.05


def network(filters=(64, 64, 128)):
    """Convolutions without biases, so that a filter of zeros has no output at all."""
    layers = keras.layers
    model = keras.Sequential([layers.Input((8, 8, 1))])
    for count in filters:
        model.add(layers.Conv2D(count, 3, padding="same", activation="relu", use_bias=False))
    model.add(layers.GlobalMaxPooling2D())
    model.add(layers.Dense(10))
    return model


def data():
    """Images and labels, for training and for the test."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    images, labels = (images[order] / 16).reshape(-1, 8, 8, 1).astype("float32"), labels[order]
    return (images[:1297], labels[:1297]), (images[1297:], labels[1297:])


def fit(model, epochs):
    """Train a model with a fresh optimizer."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    model.fit(*data()[0], batch_size=32, epochs=epochs, verbose=0)


def convolutions(model):
    """The kernels of the convolutions, in NumPy."""
    held = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    return held, [layer.get_weights()[0] for layer in held]


def below(kernel):
    """Ones for the filters that are not small beside the largest, as a mask."""
    norms = np.sqrt((kernel**2).sum(axis=(0, 1, 2)))
    return (norms >= THRESHOLD * norms.max()).reshape(1, 1, 1, -1)


def pruned(seed, way, strength, epochs):
    """A network with filters of zeros."""
    keras.utils.set_random_seed(seed)
    model = network()
    if way == "GroupLasso":
        kn.regularize(model, kn.GroupLasso(strength), where=keras.layers.Conv2D)
    fit(model, epochs)
    if way == "GroupLasso":
        kn.regularize(model, None, where="")
        for layer, kernel in zip(*convolutions(model), strict=True):
            kn.constrain(layer, kn.FixedMask(below(kernel)), where="kernel", axis="own")
    elif strength:
        kn.constrain(model, kn.SparseUnits(strength), where=keras.layers.Conv2D)
        kn.freeze_zeros(model, where=keras.layers.Conv2D)
    fit(model, epochs)
    return model


def cut(model):
    """The network without its filters of zeros."""
    _, kernels = convolutions(model)
    stays = [np.abs(kernel).sum(axis=(0, 1, 2)) > 0 for kernel in kernels]
    inputs = [np.array([True]), *stays[:-1]]
    weights = [k[:, :, i][..., o] for k, i, o in zip(kernels, inputs, stays, strict=True)]
    kernel, bias = model.layers[-1].get_weights()
    small = network([int(each.sum()) for each in stays])
    small.set_weights([*weights, kernel[stays[-1]], bias])
    return small


def time_ratio(small, large, rounds=9):
    """How long a prediction of the small network takes, as a part of that of the large one."""
    images = np.concatenate([data()[0][0]] * 2)
    ratios = []
    for _ in range(rounds):
        seconds = []
        for model in (small, large):
            start = time.perf_counter()
            keras.ops.convert_to_numpy(model.predict_on_batch(images))
            seconds.append(time.perf_counter() - start)
        ratios.append(seconds[0] / seconds[1])
    return float(np.median(ratios))


def report(seed, way, strength, epochs):
    """Right, filters kept, how far the cut network is from the pruned one, and its time."""
    model = pruned(seed, way, strength, epochs)
    small = cut(model)
    test = data()[1]
    right = model.evaluate(*test, verbose=0)[1]
    kept = sum(kernel.shape[-1] for kernel in convolutions(small)[1]) / sum((64, 64, 128))
    outputs = [each.predict(test[0], verbose=0) for each in (model, small)]
    # Zeros that are left out change the order of sums: (4 + log2(1152)) eps in each of two layers,
    # of outputs that reach 30.
    assert np.allclose(*outputs, rtol=0, atol=1e-4), "the cut network must have the same outputs"
    return right, kept, time_ratio(small, network())


def main(shares=(0, 0.5, 0.75), factors=(1e-3, 3e-3), epochs=10, seeds=3):
    """Prune in both ways, each with several strengths and from several seeds."""
    print(f"Digits read right: median of {seeds} seeds (range), filters that stay, time")
    rows = [("SparseUnits", share) for share in shares]
    rows += [("GroupLasso", factor) for factor in factors]
    for way, strength in rows:
        found = np.array([report(seed, way, strength, epochs) for seed in range(seeds)])
        right, kept, ratio = found.T
        spread = f"{right.min():.1%} to {right.max():.1%}"
        print(
            f"  {way}({strength:g}): {np.median(right):.1%} ({spread}),"
            f" {np.median(kept):.0%} of the filters, {np.median(ratio):.2f} of the time"
        )


if __name__ == "__main__":
    main()
