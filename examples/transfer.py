"""Transfer learning under max-norm: freeze, constrain the head, unfreeze, constrain all.

    python examples/transfer.py

A small convolutional network learns the digits 0 to 4 of scikit-learn's bundled set, and its
features are then used for the digits 5 to 9. `constrain` constrains what is trained, and lists what
is frozen, which Keras would pass over in silence.
"""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import keras_norms as kn


def digits(low, high):
    """Images (8, 8, 1) of the digits from `low` to `high`, and their labels from 0."""
    images, labels = load_digits(return_X_y=True)
    chosen = (labels >= low) & (labels <= high)
    return images[chosen].reshape(-1, 8, 8, 1).astype("float32") / 16, labels[chosen] - low


def features():
    """The convolutional part."""
    return keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.SeparableConv2D(32, 3, activation="relu"),
            layers.Flatten(),
        ],
        name="features",
    )


def classifier(base):
    """The features under a new head."""
    inputs = layers.Input((8, 8, 1))
    x = layers.Dropout(0.3)(base(inputs))
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="head")(x))


def fit(model, data, rate, epochs):
    """Train, and return the share of the data that is read right."""
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(*data, batch_size=32, epochs=epochs, verbose=0)
    return model.evaluate(*data, verbose=0)[1]


def largest_norm(model):
    """The largest norm of a unit of any kernel."""
    return max(np.max(weight.norms) for weight in kn.audit(model).weights)


def main(epochs=5):
    """Pretrain for twice as many epochs, then transfer in two phases."""
    keras.utils.set_random_seed(0)
    base = features()
    print(f"digits 0 to 4: {fit(classifier(base), digits(0, 4), 3e-3, 2 * epochs):.0%} read right")

    model = classifier(base)
    base.trainable = False
    print(kn.constrain(model, kn.MaxNorm(2.0)))
    print(f"digits 5 to 9, head only: {fit(model, digits(5, 9), 1e-2, epochs):.0%} read right")

    base.trainable = True
    print(kn.constrain(model, kn.MaxNorm(1.0)))
    right = fit(model, digits(5, 9), 3e-3, epochs)
    print(f"digits 5 to 9, all: {right:.0%} read right, largest norm {largest_norm(model):.4f}")
    print(f"audit: {len(kn.audit(model).findings)} findings")


if __name__ == "__main__":
    main()
