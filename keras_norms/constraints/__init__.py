"""Constraints: sets that weights are put back into after every optimizer step.

Drop-in for `keras.constraints`: the same names, arguments, defaults and config keys. Groups and
`axis` are explained in `keras_norms.numerics.groups` and in docs/max-norm.md.
"""

from keras_norms.constraints.base import Constraint as Constraint
from keras_norms.constraints.chain import Chain
from keras_norms.constraints.entries import Clip, NonNeg
from keras_norms.constraints.lookup import CLASSES
from keras_norms.constraints.lookup import deserialize as deserialize
from keras_norms.constraints.lookup import get as get
from keras_norms.constraints.lookup import serialize as serialize
from keras_norms.constraints.norms import MaxNorm, MinMaxNorm, UnitNorm
from keras_norms.constraints.sparsity import FixedMask, Sparse, SparseNM, SparseUnits
from keras_norms.constraints.spectra import MaxSpectralNorm, Orthogonal
from keras_norms.constraints.sums import Simplex, ZeroMean
from keras_norms.identifiers import by_name

# The classes that `keras_norms` exports, and that `get` finds by their names.
__all__ = [
    "Chain",
    "Clip",
    "FixedMask",
    "MaxNorm",
    "MaxSpectralNorm",
    "MinMaxNorm",
    "NonNeg",
    "Orthogonal",
    "Simplex",
    "Sparse",
    "SparseNM",
    "SparseUnits",
    "UnitNorm",
    "ZeroMean",
]

CLASSES.update(by_name(*(globals()[name] for name in __all__)))

max_norm = MaxNorm
unit_norm = UnitNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg
