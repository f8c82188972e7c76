"""EEGNet with its norm constraints, over the wrong axis and over the right one.

    python examples/eegnet.py

EEGNet (Lawhern et al., "EEGNet: a compact convolutional neural network for EEG-based
brain-computer interfaces", J. Neural Eng. 15, 2018) bounds two weights: each spatial filter, over
the electrodes, by 1, and each unit of the classifier by 0.25.

Keras' default `axis=0` is easily the wrong one for a convolution. The authors' own collection,
vlawhern/arl-eegmodels, had it in the convolutions of its DeepConvNet and ShallowConvNet until pull
request 4, which a question about max-norm in issue 1 led to. EEG-TCNet (Ingolfsson et al., 2020;
utils/models.py in iis-eth-zurich/eeg-tcnet) has it in EEGNet's spatial filters: there the input is
(time, electrodes), and a spatial filter has the shape (1, electrodes, in, multiplier). Axis 0 has
length 1, so the constraint clips single weights, and a filter over 22 electrodes may have norm 4.7
in place of 1. Nothing fails, but `audit` finds it.

Behind a batch normalization, the scale of a filter does not matter, so the mistake costs little.
This example leaves batch normalization out, and trains at a very high learning rate: now the bound
on each filter decides whether the network learns. The trials are synthetic.
"""

import keras
import numpy as np
from keras import layers

import keras_norms as kn

ELECTRODES, SAMPLES, CLASSES = 22, 128, 4
LEARNING_RATE = 0.2


def eegnet(spatial_constraint=None):
    """EEGNet on (samples, electrodes), without batch normalization."""
    return keras.Sequential(
        [
            layers.Input((SAMPLES, ELECTRODES, 1)),
            layers.Conv2D(8, (64, 1), padding="same", use_bias=False, name="temporal"),
            layers.DepthwiseConv2D(
                (1, ELECTRODES),
                depth_multiplier=2,
                use_bias=False,
                depthwise_constraint=spatial_constraint,
                name="spatial",
            ),
            layers.Activation("elu"),
            layers.AveragePooling2D((4, 1)),
            layers.Dropout(0.25),
            layers.SeparableConv2D(16, (16, 1), padding="same", use_bias=False, name="separable"),
            layers.Activation("elu"),
            layers.AveragePooling2D((8, 1)),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(CLASSES, activation="softmax", name="head"),
        ],
        name="eegnet",
    )


def trials(count, seed):
    """Noise, to which each class adds its own rhythm at its own electrodes."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, CLASSES, count)
    time = np.arange(SAMPLES) / SAMPLES
    x = draw.standard_normal((count, SAMPLES, ELECTRODES, 1))
    for trial, label in zip(x, labels, strict=True):
        rhythm = np.sin(2 * np.pi * ((6 + 4 * label) * time + draw.uniform()))
        trial[:, 5 * label : 5 * label + 5, 0] += rhythm[:, None]
    return x.astype("float32"), labels


def train(model, epochs):
    """Fit, and return the share of new trials that is read right."""
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*trials(256, seed=1), batch_size=32, epochs=epochs, verbose=0)
    return model.evaluate(*trials(256, seed=2), verbose=0)[1]


def largest_spatial_norm(model):
    """The largest norm of a spatial filter over its electrodes, by NumPy."""
    kernel = keras.ops.convert_to_numpy(model.get_layer("spatial").kernel)
    return float(np.linalg.norm(kernel, axis=1).max())


def unconstrained():
    """No constraint at all."""
    return eegnet()


def over_axis_0():
    """The spatial constraint as published, over Keras' default axis."""
    model = eegnet(keras.constraints.MaxNorm(1.0))
    kn.constrain(model, kn.MaxNorm(0.25), where="head/kernel")
    return model


def per_filter():
    """Both bounds on one norm per unit: `constrain` finds the axes."""
    model = eegnet()
    kn.constrain(model, kn.MaxNorm(1.0), where="spatial")
    kn.constrain(model, kn.MaxNorm(0.25), where="head/kernel")
    return model


def main(epochs=6, seeds=4):
    """Train each network from several seeds, and audit the last one of each."""
    print(f"Share of new trials read right, at learning rate {LEARNING_RATE:g} (chance: 25%)")
    for build in (unconstrained, over_axis_0, per_filter):
        rights, norms = [], []
        for seed in range(seeds):
            keras.utils.set_random_seed(seed)
            model = build()
            rights.append(train(model, epochs))
            norms.append(largest_spatial_norm(model))
        shares = ", ".join(f"{right:.0%}" for right in rights)
        print(f"\n{build.__name__}: {shares}; largest spatial norm {max(norms):.2f}")
        for finding in kn.audit(model).findings:
            print(finding)


if __name__ == "__main__":
    main()
