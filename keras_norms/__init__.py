"""Constraints and regularizers for Keras 3: the same on TensorFlow, PyTorch and JAX."""

from keras_norms import constraints, regularizers
from keras_norms.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from keras_norms.regularizers import L1, L1L2, L2, BatchMean, OrthogonalRegularizer

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L2",
    "BatchMean",
    "L1L2",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "OrthogonalRegularizer",
    "UnitNorm",
    "constraints",
    "regularizers",
]
