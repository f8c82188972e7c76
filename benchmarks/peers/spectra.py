"""How exactly other packages hold what they promise of singular values, and what that costs.

    nox -s peers

A kernel of 512 by 512 starts orthogonal and is changed as Adam would change it, by +-0.001 in each
entry, 20 times. After each change, the package makes the kernel that the layer uses. "off by" is
the worst of these: how far the largest singular value is above 1, and for orthogonal kernels, how
far any is from 1. "starts" is the same after the first use of a random kernel. The time is the
median of what making it takes. PyTorch is timed in eager mode, TensorFlow in graph mode.
"""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import keras_norms as kn

SIZE, STEPS = 512, 20


class Constraint:
    """A constraint, which changes the kernel itself: Keras' way."""

    def __init__(self, constraint, compiler=lambda function: function):
        self.apply = compiler(constraint)

    def start(self, kernel):
        self.kernel = keras.ops.convert_to_tensor(kernel)

    def change(self, by):
        self.kernel = self.kernel + keras.ops.convert_to_tensor(by)

    def make(self):
        self.kernel = self.apply(self.kernel)
        return self.kernel


class Wrapper:
    """Keras' wrapper of a layer, which normalizes the kernel before each call."""

    def __init__(self, compiler=lambda function: function):
        self.layer = keras.layers.SpectralNormalization(keras.layers.Dense(SIZE))
        self.layer.build((None, SIZE))
        self.apply = compiler(self.normalize)

    def normalize(self):
        """What its `call` does in training, before it calls the layer."""
        vector, kernel = self.layer.normalized_weights()
        self.layer.vector_u.assign(vector)
        self.layer.kernel.assign(kernel)

    def start(self, kernel):
        self.layer.kernel.assign(kernel)

    def change(self, by):
        self.layer.kernel.assign_add(by)

    def make(self):
        self.apply()
        return self.layer.kernel.value


class Parametrization:
    """A parametrization of PyTorch's, which computes the kernel from another one."""

    def __init__(self, parametrize):
        self.parametrize = parametrize

    def start(self, kernel):
        import torch

        self.layer = torch.nn.Linear(SIZE, SIZE, bias=False)
        self.layer.weight.data = torch.tensor(kernel)
        self.parametrize(self.layer, "weight")

    def change(self, by):
        import torch

        with torch.no_grad():
            self.layer.parametrizations.weight.original += torch.tensor(by)

    def make(self):
        return self.layer.weight.detach()


def torch_rows():
    """On PyTorch: its own parametrizations, and geotorch."""
    import geotorch
    from torch.nn.utils import parametrizations

    def between(layer, name):  # singular values from 0 to 1
        geotorch.almost_orthogonal(layer, name, lam=0.5)

    yield "torch spectral_norm", "at most 1", Parametrization(parametrizations.spectral_norm)
    yield "torch orthogonal", "all 1", Parametrization(parametrizations.orthogonal)
    yield "geotorch orthogonal", "all 1", Parametrization(geotorch.orthogonal)


def tensorflow_rows(compiler):
    """On TensorFlow: deel-lip, which needs Keras 2."""
    from deel.lip.constraints import SpectralConstraint
    from deel.lip.normalizers import reshaped_kernel_orthogonalization as normalize

    yield "deel-lip, all 1", "all 1", Constraint(SpectralConstraint(), compiler)

    def scaled(w):  # no Björck iterations: the spectral normalization only
        return normalize(w, None, 1.0, eps_bjorck=None)[0]

    yield "deel-lip, no Björck", "at most 1", Constraint(scaled, compiler)


def rows():
    """Name, promise, and object with `start`, `change` and `make`."""
    backend = keras.backend.backend()
    compiler = _graph if backend == "tensorflow" else lambda function: function
    ours = {"clip": kn.MaxSpectralNorm(), "scale": kn.MaxSpectralNorm(mode="scale")}
    for mode, constraint in ours.items():
        yield f"MaxSpectralNorm, {mode}", "at most 1", Constraint(constraint, compiler)
    yield "Orthogonal", "all 1", Constraint(kn.Orthogonal(), compiler)
    yield "keras.layers.SpectralNormalization", "at most 1", Wrapper(compiler)
    yield from torch_rows() if backend == "torch" else tensorflow_rows(compiler)


def _graph(function):
    import tensorflow as tf

    return tf.function(function, autograph=False)


def off(kernel, promise):
    """How far the singular values are from what is promised."""
    kernel = keras.ops.convert_to_numpy(kernel).astype("float64")
    values = np.linalg.svd(kernel, compute_uv=False)
    return max(values[0] - 1, 0) if promise == "at most 1" else np.abs(values - 1).max()


def measured(promise, peer):
    """The first deviation, the worst of the steps, and the median time."""
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((SIZE, SIZE)).astype("float32")
    peer.start(kernel)
    first = off(peer.make(), promise)
    peer.start(np.linalg.qr(kernel)[0])
    worst, seconds = 0.0, []
    for _ in range(STEPS):
        peer.change(rng.choice([-1e-3, 1e-3], (SIZE, SIZE)).astype("float32"))
        start = time.perf_counter()
        made = peer.make()
        seconds.append(time.perf_counter() - start)
        worst = max(worst, off(made, promise))
    return first, worst, np.median(seconds) * 1e3


def main():
    table = Table("kernel by", "singular values", "starts", "off by", "ms", box=None)
    table.title = f"{keras.backend.backend()}, Keras {keras.__version__}, {SIZE} x {SIZE}"
    for name, promise, peer in rows():
        first, worst, milliseconds = measured(promise, peer)
        table.add_row(name, promise, f"{first:.0e}", f"{worst:.0e}", f"{milliseconds:.1f}")
    Console(soft_wrap=True).print(table)


if __name__ == "__main__":
    main()
