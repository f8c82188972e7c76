"""Constraints and regularizers for Keras 3: the same on TensorFlow, PyTorch and JAX."""

from keras_norms import startup

__version__ = "0.1.0"

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "BatchMean",
    "Chain",
    "Clip",
    "FactorSchedule",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "NormHistory",
    "OrthogonalRegularizer",
    "ProjectWeights",
    "Simplex",
    "Sum",
    "UnitNorm",
    "audit",
    "constrain",
    "constraints",
    "project",
    "register_layout",
    "regularize",
    "regularizers",
    "unit_axes",
]

problem = startup.choose_backend()
if problem is None:
    from keras_norms import constraints, regularizers
    from keras_norms.attach import constrain, project, regularize
    from keras_norms.audit import audit
    from keras_norms.callbacks import FactorSchedule, NormHistory, ProjectWeights
    from keras_norms.constraints import Chain, Clip, MaxNorm, MinMaxNorm, NonNeg, Simplex, UnitNorm
    from keras_norms.layouts import register_layout, unit_axes
    from keras_norms.regularizers import L1, L1L2, L2, BatchMean, OrthogonalRegularizer, Sum
else:
    # No name then, but the command line can still say what is missing.
    def __getattr__(name):
        if name in __all__:
            raise ImportError(problem)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
