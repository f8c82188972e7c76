"""Constraints and regularizers for Keras 3: the same on TensorFlow, PyTorch and JAX."""

from keras_norms.startup import choose_backend as _choose_backend

__version__ = "0.1.0"

_problem = _choose_backend()
if _problem is None:
    from keras_norms import constraints, regularizers
    from keras_norms.auditing.audit import Audit, audit
    from keras_norms.auditing.finding import Finding
    from keras_norms.constraints import *  # noqa: F403
    from keras_norms.models.attach import constrain, project, regularize
    from keras_norms.models.factor_schedule import FactorSchedule
    from keras_norms.models.files import load_settings, save_settings
    from keras_norms.models.layouts import register_layout, unit_axes
    from keras_norms.models.norm_history import NormHistory
    from keras_norms.models.operators import conv_spectral_bound
    from keras_norms.models.project_weights import ProjectWeights
    from keras_norms.models.pruning import freeze_zeros, prune
    from keras_norms.models.sparsity_schedule import SparsitySchedule
    from keras_norms.regularizers import *  # noqa: F403
    from keras_norms.warning import KerasNormsWarning

    __all__ = [
        "Audit",
        "FactorSchedule",
        "Finding",
        "KerasNormsWarning",
        "NormHistory",
        "ProjectWeights",
        "SparsitySchedule",
        "audit",
        "constrain",
        "constraints",
        "conv_spectral_bound",
        "freeze_zeros",
        "load_settings",
        "project",
        "prune",
        "register_layout",
        "regularize",
        "regularizers",
        "save_settings",
        "unit_axes",
    ]
    __all__ += constraints.__all__
    __all__ += regularizers.__all__
else:
    # Nothing can be imported then, but the command line can still say what is missing.
    def __getattr__(name):
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        raise ImportError(_problem)
