"""The demo: how far the learning rate may go, with and without max-norm.

A convolutional network learns the digits, once for each learning rate and each of two twins: one
plain, one whose every unit is kept within the bound. Twins start from the same weights, and see the
same batches and dropout.
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
from keras_norms.models.attach import constrain

MAX_VALUE = 1.5
RATES = (0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
EPOCHS = 10
BATCH = 32
# A learning rate is called usable if this share of the test digits is read right.
USABLE = 0.95
# The axes inside a unit's group: a filter's weights, and a Dense unit's inputs.
UNIT_AXES: dict[str, int | tuple[int, ...]] = {"conv_1": (0, 1, 2), "conv_2": (0, 1, 2), "head": 0}


@dataclasses.dataclass
class Twin:
    """One twin: its name, its model, and what its trainings came to.

    `rights` is the share of the test digits that is read right, of shape (seeds, rates). `before`
    are the kernels that the first seed starts from, and `after`, for each learning rate, those that
    it ends with.
    """

    name: str
    model: keras.Model
    rights: np.ndarray
    before: dict[str, np.ndarray]
    after: list[dict[str, np.ndarray]]

    @property
    def typical(self):
        """The median of `rights` over the seeds."""
        return np.median(self.rights, axis=0)


def digits():
    """Training and test images of shape (n, 8, 8, 1) in [0, 1], and their labels."""
    data = load_digits()
    images = (data.images / 16).astype("float32")[..., None]
    return train_test_split(
        images, data.target, test_size=0.25, random_state=0, stratify=data.target
    )


def network():
    """A small convolutional network."""
    return keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(16, 3, activation="leaky_relu", name="conv_1"),
            layers.Conv2D(32, 3, activation="leaky_relu", name="conv_2"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3, name="dropout"),
            layers.Dense(10, name="head"),
        ]
    )


def compiled(max_value=None):
    """A network that is compiled once for all trainings; `max_value` bounds each unit's norm."""
    model = network()
    if max_value:
        constrain(model, MaxNorm(max_value))  # finds the axes of each layer
    model.compile(
        keras.optimizers.SGD(momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def train(model, data, rate, seed):
    """The share of the test digits that is read right after a training from a seed's weights.

    The learning rate falls from `rate` to 0 along a cosine.
    """
    x, x_test, y, y_test = data
    _start(model, seed)
    falling = keras.callbacks.LearningRateScheduler(
        lambda epoch: rate * (1 + np.cos(np.pi * epoch / EPOCHS)) / 2
    )
    model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[falling])
    return model.evaluate(x_test, y_test, verbose=0)[1]


def _start(model, seed):
    """Give a model the weights and the dropout of a seed, and an optimizer that knows nothing."""
    keras.utils.set_random_seed(seed)
    start = network()
    model.set_weights(start.get_weights())
    dropouts = (each.get_layer("dropout").seed_generator.state for each in (model, start))
    next(dropouts).assign(next(dropouts).value)
    for variable in model.optimizer.variables:
        variable.assign(ops.zeros_like(variable.value))


def _kernels(model):
    return {
        name: np.asarray(ops.convert_to_numpy(model.get_layer(name).kernel)) for name in UNIT_AXES
    }


def unit_norms(kernel, name):
    """One norm per unit of a layer."""
    return np.sqrt((kernel.astype("float64") ** 2).sum(axis=UNIT_AXES[name]))


def run(seed=0, seeds=1, rates=RATES, plot=None):
    """Train both twins at each learning rate, show their progress and the results; return 0."""
    rates = sorted(rates)
    console = Console(soft_wrap=True, emoji=False)
    backend = os.environ.get("KERAS_BACKEND", "its default backend")
    last = f" to {seed + seeds - 1}" if seeds > 1 else ""
    console.print(
        "Digits, 8 x 8 pixels: a convolutional network, trained with and without max-norm\n"
        f"SGD with momentum 0.9, dropout 0.3, {EPOCHS} epochs; Keras {keras.__version__} on "
        f"{backend}, seed {seed}{last}"
    )
    models = {"plain": compiled(), f"max-norm {MAX_VALUE:g}": compiled(MAX_VALUE)}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("training", total=len(models) * len(rates) * seeds)
        pair = [
            trained(name, model, rates, range(seed, seed + seeds), lambda: progress.advance(task))
            for name, model in models.items()
        ]
    console.print(rights_table(pair, rates))
    for twin in pair:
        console.print(verdict(twin, rates))
    best = int(np.argmax(pair[0].typical))
    console.print(norms_table(pair, rates, best))
    console.print(axis_table(pair[0].after[best]["conv_2"]))
    if plot:
        _plot(pair, rates, plot)
        console.print(f"Picture in {plot}")
    return 0


def trained(name, model, rates, seeds, on_training):
    """A twin after all its trainings; `on_training()` is called after each."""
    data = digits()
    _start(model, seeds[0])
    twin = Twin(name, model, np.zeros((len(seeds), len(rates))), _kernels(model), [])
    for row, seed in enumerate(seeds):
        for column, rate in enumerate(rates):
            twin.rights[row, column] = train(model, data, rate, seed)
            if row == 0:
                twin.after.append(_kernels(model))
            on_training()
    return twin


def verdict(twin, rates):
    """A line on the best learning rate of a twin, and on those around it that are usable."""
    rights = twin.typical
    best = first = last = int(np.argmax(rights))
    if rights[best] < USABLE:
        return f"{twin.name}: {rights[best]:.1%} at its best"
    while first > 0 and rights[first - 1] >= USABLE:
        first -= 1
    while last < len(rates) - 1 and rights[last + 1] >= USABLE:
        last += 1
    return (
        f"{twin.name}: {rights[best]:.1%} at its best; at least {USABLE:.0%} for learning rates "
        f"from {rates[first]:g} to {rates[last]:g}"
    )


def rights_table(pair, rates):
    """The share of test digits read right: the median of the seeds, and their range."""
    table = Table(title="Test digits read right", title_justify="left", box=None)
    table.add_column("learning rate")
    for twin in pair:
        table.add_column(twin.name)
    for column, rate in enumerate(rates):
        table.add_row(f"{rate:g}", *(_share(twin.rights[:, column]) for twin in pair))
    return table


def _share(rights):
    spread = f" ({rights.min():.1%} to {rights.max():.1%})" if len(rights) > 1 else ""
    return f"{np.median(rights):.1%}{spread}"


def norms_table(pair, rates, column):
    """The range of the norms of each layer's units, before and after training at one rate."""
    table = Table(
        title=f"Norms of the units at learning rate {rates[column]:g}, smallest to largest",
        title_justify="left",
        box=None,
    )
    table.add_column("layer")
    table.add_column("kernel")
    table.add_column("before, both")
    for twin in pair:
        table.add_column(f"after, {twin.name}")
    for name, kernel in pair[0].before.items():
        ranges = [unit_norms(k, name) for k in (kernel, *(t.after[column][name] for t in pair))]
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


def _plot(pair, rates, path):
    """Write a picture to a file: the digits read right by learning rate."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for twin, marker in zip(pair, "os", strict=True):
        (line,) = axes.plot(rates, twin.typical, marker=marker, label=twin.name)
        least, largest = twin.rights.min(axis=0), twin.rights.max(axis=0)
        axes.fill_between(rates, least, largest, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.axhline(0.1, color="gray", linestyle=":", linewidth=1)
    axes.text(rates[0], 0.11, "chance", color="gray", va="bottom")
    axes.set(xscale="log", xlabel="learning rate", ylabel="test digits read right", ylim=(0, 1.02))
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 0.2))
    figure.savefig(path, dpi=120)
