"""The golden cases: which inputs, and what each of them hunts. The oracles fill in the values."""

from conformance.catalogue import constraints, regularizers, sets, training
from conformance.oracles import penalties

_BOTH = {"l1": 0.25, "l2": 0.5}


def case_files():
    """(path below cases/, target, cases) for each file."""
    for name, target, cases in (
        ("max_norm/forward.json", "MaxNorm", constraints.max_norm_forward()),
        ("max_norm/orders.json", "MaxNorm", sets.max_norm_of_other_orders()),
        ("max_norm/step.json", "MaxNorm", constraints.max_norm_training()),
        ("max_norm/training.json", "MaxNorm", training.training()),
        ("unit_norm/forward.json", "UnitNorm", constraints.unit_norm()),
        ("min_max_norm/forward.json", "MinMaxNorm", constraints.min_max_norm()),
        ("min_max_norm/training.json", "MinMaxNorm", training.rate()),
        ("non_neg/forward.json", "NonNeg", sets.non_neg()),
        ("clip/forward.json", "Clip", sets.clip()),
        ("simplex/forward.json", "Simplex", sets.simplex()),
        ("chain/forward.json", "Chain", sets.chain()),
        ("l1/forward.json", "L1", regularizers.penalty("l1", penalties.l1, {"l1": 0.5})),
        ("l1/exactness.json", "L1", regularizers.exactness("l1")),
        ("l2/forward.json", "L2", regularizers.penalty("l2", penalties.l2, {"l2": 0.5})),
        ("l2/exactness.json", "L2", regularizers.exactness("l2")),
        ("l2/activity.json", "L2", regularizers.l2_activity()),
        ("l2/training.json", "L2", training.penalties()),
        ("l1l2/forward.json", "L1L2", regularizers.penalty("l1l2", penalties.l1l2, _BOTH)),
        ("l1l2/names.json", "L1L2", regularizers.names()),
        ("orthogonal_regularizer/forward.json", "OrthogonalRegularizer", regularizers.orthogonal()),
        ("batch_mean/activity.json", "BatchMean", regularizers.batch_mean()),
        ("sum/forward.json", "Sum", regularizers.sums()),
    ):
        yield name, target, list(cases)
