"""The demo: one network trained twice on the digits, with and without max-norm.

The learning rate is far too high for the plain network, which ends at chance. Its twin starts
from the same weights, sees the same batches and dropout, and keeps every unit within the bound.
"""

import dataclasses
import os

import keras
import numpy as np
from keras import layers, ops
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_norms.constraints import MaxNorm

MAX_VALUE = 1.0
LEARNING_RATE = 0.5
EPOCHS = 10
BATCH = 32
# The axes inside a unit's group: a filter's weights, and a Dense unit's inputs.
UNIT_AXES: dict[str, int | tuple[int, ...]] = {"conv_1": (0, 1, 2), "conv_2": (0, 1, 2), "head": 0}


@dataclasses.dataclass(frozen=True)
class Run:
    """One twin: its kernels before and after training, and the share of test digits it reads."""

    name: str
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    losses: list[float]
    accuracy: float


def digits():
    """Training and test images of shape (n, 8, 8, 1) in [0, 1], and their labels."""
    data = load_digits()
    images = (data.images / 16).astype("float32")[..., None]
    return train_test_split(
        images, data.target, test_size=0.25, random_state=0, stratify=data.target
    )


def network(max_value=None):
    """A small convolutional network. With `max_value`, the norm of each unit is constrained."""

    def constraint(name):
        return MaxNorm(max_value, axis=UNIT_AXES[name]) if max_value else None

    return keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(
                16, 3, activation="relu", name="conv_1", kernel_constraint=constraint("conv_1")
            ),
            layers.Conv2D(
                32, 3, activation="relu", name="conv_2", kernel_constraint=constraint("conv_2")
            ),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10, name="head", kernel_constraint=constraint("head")),
        ]
    )


def train(name, max_value, seed, on_epoch=lambda: None):
    """Train one twin: momentum, from a learning rate of 0.5 down to 0 along a cosine."""
    x, x_test, y, y_test = digits()
    keras.utils.set_random_seed(seed)
    model = network(max_value)
    steps = EPOCHS * -(-len(x) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    model.compile(
        keras.optimizers.SGD(schedule, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    before = _kernels(model)
    progress = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: on_epoch())
    history = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[progress])
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    return Run(name, before, _kernels(model), history.history["loss"], float(accuracy))


def _kernels(model):
    return {
        name: np.asarray(ops.convert_to_numpy(model.get_layer(name).kernel)) for name in UNIT_AXES
    }


def unit_norms(kernel, name):
    """One norm per unit of a layer."""
    return np.sqrt((kernel.astype("float64") ** 2).sum(axis=UNIT_AXES[name]))


def run(seed=0, plot=None):
    """Train both twins, show their progress, print the results, and return 0."""
    console = Console(soft_wrap=True, emoji=False)
    backend = os.environ.get("KERAS_BACKEND", "its default backend")
    console.print(
        f"Digits, 8 x 8 pixels; SGD with momentum 0.9, learning rate {LEARNING_RATE}, dropout 0.3; "
        f"Keras {keras.__version__} on {backend}, seed {seed}"
    )
    twins = []
    with Progress(console=console) as progress:
        for name, max_value in (("plain", None), (f"max-norm {MAX_VALUE:g}", MAX_VALUE)):
            task = progress.add_task(f"training {name}", total=EPOCHS)
            twins.append(train(name, max_value, seed, lambda task=task: progress.advance(task)))
    console.print(norms_table(twins))
    console.print(axis_table(twins[0].after["conv_2"]))
    for twin in twins:
        console.print(
            f"{twin.name}: {twin.accuracy:.1%} of the test digits read right, "
            f"last loss {twin.losses[-1]:.2f}"
        )
    if plot:
        _plot(twins, plot)
        console.print(f"Picture in {plot}")
    return 0


def norms_table(twins):
    """The range of the norms of each layer's units, for both twins before and after."""
    table = Table(title="Norms of the units, smallest to largest", title_justify="left", box=None)
    table.add_column("layer")
    table.add_column("kernel")
    table.add_column("before, both")
    for twin in twins:
        table.add_column(f"after, {twin.name}")
    for name, kernel in twins[0].before.items():
        ranges = [unit_norms(k, name) for k in (kernel, *(t.after[name] for t in twins))]
        table.add_row(name, str(kernel.shape), *(f"{n.min():.2f} to {n.max():.2f}" for n in ranges))
    return table


def axis_table(kernel):
    """What the constraint makes of one Conv2D kernel under the default axis and per filter."""
    table = Table(
        title=f"MaxNorm({MAX_VALUE:g}) on the plain twin's conv_2 kernel, {kernel.shape}",
        title_justify="left",
        box=None,
    )
    table.add_column("axis")
    table.add_column("groups", justify="right")
    table.add_column("weights in each", justify="right")
    table.add_column("largest filter norm after", justify="right")
    for axis, note in ((0, " (default)"), ((0, 1, 2), " (per filter)")):
        constraint = MaxNorm(MAX_VALUE, axis=axis)
        groups = int(np.prod(constraint.excess(kernel).shape))
        projected = np.asarray(ops.convert_to_numpy(constraint(kernel)))
        table.add_row(
            f"{axis}{note}",
            str(groups),
            str(kernel.size // groups),
            f"{unit_norms(projected, 'conv_2').max():.2f}",
        )
    return table


def _plot(twins, path):
    """Write a picture to a file: the loss by epoch, and the norms of the filters of conv_2."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for twin in twins:
        left.plot(range(1, EPOCHS + 1), twin.losses, marker="o", label=twin.name)
        right.plot(np.sort(unit_norms(twin.after["conv_2"], "conv_2")), label=twin.name)
    left.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    right.axhline(MAX_VALUE, color="gray", linestyle=":", label="bound")
    right.set(xlabel="filter of conv_2, sorted", ylabel="norm after training", yscale="log")
    left.legend()
    right.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)
