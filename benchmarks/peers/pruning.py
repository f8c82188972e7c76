"""Pruning beside other packages: accuracy at equal sparsity, a training step, the saved file.

    nox -s peers

A network of three Dense layers learns scikit-learn's digits for some epochs, and is then pruned to
90 % zeros, step by step over as many epochs: by `SparsitySchedule`, by tfmot's polynomial decay on
tf_keras, or by `torch.nn.utils.prune` once per epoch. The time is that of one epoch while the masks
do not change, over one without pruning. The file is a compressed archive of the weights.
"""

import io
import itertools
import os
import time
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

import keras_norms as kn

UNITS, EPOCHS, SPARSITY, SEEDS = 256, 10, 0.9, 3


def data():
    """Images and labels, for training and for the test."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    images, labels = (images[order] / 16).astype("float32"), labels[order]
    return (images[:1297], labels[:1297]), (images[1297:], labels[1297:])


def file_size(weights):
    """The bytes of weights in a zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, w in enumerate(weights):
            archive.writestr(str(i), w.astype("float32").tobytes())
    return len(file.getvalue())


def of_keras(library):
    """A compiled network of Keras 3 or 2."""
    layers = library.layers
    dense = [layers.Dense(UNITS, activation="relu") for _ in range(2)]
    model = library.Sequential([layers.InputLayer((64,)), *dense, layers.Dense(10)])
    loss = library.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(library.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return model


def ours(seed):
    """Ours: a callback."""
    keras.utils.set_random_seed(seed)
    train, test = data()
    model = of_keras(keras)
    model.fit(*train, batch_size=32, epochs=EPOCHS, verbose=0)
    plain = _seconds(lambda: model.fit(*train, batch_size=32, verbose=0))
    schedule = kn.SparsitySchedule(SPARSITY, 0, EPOCHS // 2)
    model.fit(*train, batch_size=32, epochs=EPOCHS, callbacks=[schedule], verbose=0)
    pruned = _seconds(lambda: model.fit(*train, batch_size=32, verbose=0))
    kernels = [layer.get_weights()[0] for layer in model.layers]
    return model.evaluate(*test, verbose=0)[1], pruned / plain, kernels


def of_tfmot(seed):
    """tfmot: wrappers of layers, on Keras 2."""
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot

    tf.keras.utils.set_random_seed(seed)
    train, test = data()
    model = of_keras(tf.keras)
    model.fit(*train, batch_size=32, epochs=EPOCHS, verbose=0)
    plain = _seconds(lambda: model.fit(*train, batch_size=32, verbose=0))
    steps = -(-len(train[0]) // 32)
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        0.0, SPARSITY, 0, steps * EPOCHS // 2, frequency=steps
    )
    model = tfmot.sparsity.keras.prune_low_magnitude(model, pruning_schedule=schedule)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf.keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    update = [tfmot.sparsity.keras.UpdatePruningStep()]
    model.fit(*train, batch_size=32, epochs=EPOCHS, callbacks=update, verbose=0)
    pruned = _seconds(lambda: model.fit(*train, batch_size=32, callbacks=update, verbose=0))
    right = model.evaluate(*test, verbose=0)[1]
    kernels = [layer.get_weights()[0] for layer in tfmot.sparsity.keras.strip_pruning(model).layers]
    return right, pruned / plain, kernels


def of_torch(seed):
    """PyTorch's own: a mask beside each weight, and a forward hook."""
    import torch
    from torch.nn.utils import prune

    torch.manual_seed(seed)
    (x, y), (images, labels) = data()
    x, y = torch.tensor(x), torch.tensor(y)
    sizes = (64, UNITS, UNITS, 10)
    dense = [torch.nn.Linear(*pair) for pair in itertools.pairwise(sizes)]
    model = torch.nn.Sequential(dense[0], torch.nn.ReLU(), dense[1], torch.nn.ReLU(), dense[2])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def epoch():
        for batch in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()

    for _ in range(EPOCHS):
        epoch()
    plain = _seconds(epoch)
    for i in range(EPOCHS):
        share = SPARSITY * (1 - max(0, 1 - i / (EPOCHS // 2)) ** 3)
        for layer in dense:
            if prune.is_pruned(layer):
                prune.remove(layer, "weight")
            prune.l1_unstructured(layer, "weight", share)
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)  # the weights are other tensors
        epoch()
    pruned = _seconds(epoch)
    with torch.no_grad():
        right = float((model(torch.tensor(images)).argmax(1).numpy() == labels).mean())
    return right, pruned / plain, [layer.weight.detach().numpy() for layer in dense]


def _seconds(function):
    """The median of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main():
    backend = keras.backend.backend()
    table = Table("pruned by", "right (range)", "zeros", "epoch / plain", "file, kB", box=None)
    table.title = f"{backend}, Keras {keras.__version__}, {SEEDS} seeds"
    peer = {"torch": of_torch, "tensorflow": of_tfmot}[backend]
    for name, way in {"SparsitySchedule": ours, peer.__doc__.split(":")[0]: peer}.items():
        found = [way(seed) for seed in range(SEEDS)]
        right, ratio = np.array([row[:2] for row in found]).T
        kernels = [kernel for _, _, kernels in found for kernel in kernels]
        zeros = sum((k == 0).sum() for k in kernels) / sum(k.size for k in kernels)
        table.add_row(
            *(name, f"{np.median(right):.1%} ({right.min():.1%} to {right.max():.1%})"),
            *(f"{zeros:.1%}", f"{np.median(ratio):.2f}"),
            f"{file_size(kernels) / SEEDS / 1e3:.0f}",
        )
    Console(soft_wrap=True).print(table)


if __name__ == "__main__":
    main()
