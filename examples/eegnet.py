"""EEGNet with its norm constraints, trained on synthetic electroencephalograms.

    python examples/eegnet.py

EEGNet (Lawhern et al., "EEGNet: a compact convolutional neural network for EEG-based
brain-computer interfaces", J. Neural Eng. 15, 2018) bounds two weights: each spatial filter, over
the electrodes, by 1, and each unit of the classifier by 0.25. Both bounds are on one norm per unit,
so one call of `constrain` for each finds the axes.

Public implementations of its descendants transpose the input to (time, electrodes), and keep
Keras' default `axis=0` for the spatial filter, a kernel of shape (1, electrodes, in, multiplier),
as EEG-TCNet does (Ingolfsson et al., 2020; utils/models.py in iis-eth-zurich/eeg-tcnet). Axis 0
has length 1 there, so that the constraint clips single weights, and a filter over 22 electrodes
may have norm 4.7 in place of 1. Nothing fails, but `audit` finds it.
"""

import keras
import numpy as np
from keras import layers

import keras_norms as kn

ELECTRODES, SAMPLES, CLASSES = 22, 128, 4


def eegnet(**spatial):
    """The network on (samples, electrodes); `spatial` are arguments of the spatial filters."""
    inputs = layers.Input((SAMPLES, ELECTRODES, 1))
    x = layers.Conv2D(8, (64, 1), padding="same", use_bias=False, name="temporal")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.DepthwiseConv2D(
        (1, ELECTRODES), depth_multiplier=2, use_bias=False, name="spatial", **spatial
    )(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("elu")(x)
    x = layers.AveragePooling2D((4, 1))(x)
    x = layers.Dropout(0.25)(x)
    x = layers.SeparableConv2D(16, (16, 1), padding="same", use_bias=False, name="separable")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("elu")(x)
    x = layers.AveragePooling2D((8, 1))(x)
    x = layers.Dropout(0.25)(x)
    outputs = layers.Dense(CLASSES, activation="softmax", name="head")(layers.Flatten()(x))
    return keras.Model(inputs, outputs, name="eegnet")


def trials(count, seed):
    """Noise, to which each class adds its own rhythm at its own electrodes."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, CLASSES, count)
    time = np.arange(SAMPLES) / SAMPLES
    x = draw.standard_normal((count, SAMPLES, ELECTRODES, 1))
    for trial, label in zip(x, labels, strict=True):
        rhythm = np.sin(2 * np.pi * ((6 + 4 * label) * time + draw.uniform()))
        trial[:, 5 * label : 5 * label + 5, 0] += 1.5 * rhythm[:, None]
    return x.astype("float32"), labels


def train(model, epochs):
    """Fit with a very large learning rate, and return the share of new trials read right."""
    model.compile(
        keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    x, labels = trials(256, seed=1)
    model.fit(x, labels, batch_size=32, epochs=epochs, verbose=0)
    return model.evaluate(*trials(128, seed=2), verbose=0)[1]


def largest_spatial_norm(model):
    """The largest norm of a spatial filter over its electrodes, by NumPy."""
    kernel = keras.ops.convert_to_numpy(model.get_layer("spatial").kernel)
    return float(np.linalg.norm(kernel, axis=1).max())


def main(epochs=4):
    """Train the published constraint and ours, and audit both."""
    keras.utils.set_random_seed(0)
    published = eegnet(depthwise_constraint=keras.constraints.MaxNorm(1.0))
    right = train(published, epochs)
    print(f"axis=0, as published: {right:.0%} right, ", end="")
    print(f"largest spatial norm {largest_spatial_norm(published):.2f}")
    for finding in kn.audit(published).errors:
        print(f"audit: {finding.code} at {finding.path}\n  {finding.message}\n  fix: {finding.fix}")

    keras.utils.set_random_seed(0)
    model = eegnet()
    kn.constrain(model, kn.MaxNorm(1.0), where="spatial")
    kn.constrain(model, kn.MaxNorm(0.25), where="head/kernel")
    right = train(model, epochs)
    print(f"one norm per filter: {right:.0%} right, ", end="")
    print(f"largest spatial norm {largest_spatial_norm(model):.2f}")
    print(f"audit: {len(kn.audit(model).findings)} findings")


if __name__ == "__main__":
    main()
