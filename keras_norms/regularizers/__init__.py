"""Regularizers: penalties on weights or activations, added to the loss.

Drop-in for `keras.regularizers`: the same names, arguments, defaults, config keys and values. A
penalty is computed and returned in float32 at least, which keeps it finite under mixed precision.
"""

from keras_norms.identifiers import by_name
from keras_norms.regularizers.activities import ActivityRegularizer as ActivityRegularizer
from keras_norms.regularizers.activities import BatchMean
from keras_norms.regularizers.base import Regularizer as Regularizer
from keras_norms.regularizers.lookup import CLASSES
from keras_norms.regularizers.lookup import deserialize as deserialize
from keras_norms.regularizers.lookup import get as get
from keras_norms.regularizers.lookup import serialize as serialize
from keras_norms.regularizers.norms import L1, L1L2, L2
from keras_norms.regularizers.sparsity import GroupLasso, Hoyer, KLSparsity
from keras_norms.regularizers.spectra import (
    OrthogonalRegularizer,
    SoftOrthogonalRegularizer,
    SpectralRegularizer,
)
from keras_norms.regularizers.sum import Sum

# The classes that `keras_norms` exports, and that `get` finds by their names.
__all__ = [
    "L1",
    "L1L2",
    "L2",
    "BatchMean",
    "GroupLasso",
    "Hoyer",
    "KLSparsity",
    "OrthogonalRegularizer",
    "SoftOrthogonalRegularizer",
    "SpectralRegularizer",
    "Sum",
]

CLASSES.update(by_name(*(globals()[name] for name in __all__)))
CLASSES["l1_l2"] = L1L2

l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer
