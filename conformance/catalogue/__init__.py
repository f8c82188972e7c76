"""The golden cases: which inputs, and what each of them hunts. The oracles fill in the values."""

from conformance.catalogue import constraints, regularizers
from conformance.oracles import penalties


def case_files():
    """(path below cases/, target, cases) for each file."""
    for name, target, cases in (
        ("max_norm/forward.json", "MaxNorm", constraints.max_norm_forward()),
        ("max_norm/training.json", "MaxNorm", constraints.max_norm_training()),
        ("unit_norm/forward.json", "UnitNorm", constraints.unit_norm()),
        ("min_max_norm/forward.json", "MinMaxNorm", constraints.min_max_norm()),
        ("non_neg/forward.json", "NonNeg", constraints.non_neg()),
        ("l1/forward.json", "L1", regularizers.penalty("l1", penalties.l1, {"l1": 0.5})),
        ("l2/forward.json", "L2", regularizers.penalty("l2", penalties.l2, {"l2": 0.5})),
        ("l2/activity.json", "L2", regularizers.l2_activity()),
        (
            "l1l2/forward.json",
            "L1L2",
            regularizers.penalty("l1l2", penalties.l1l2, {"l1": 0.25, "l2": 0.5}),
        ),
        ("orthogonal_regularizer/forward.json", "OrthogonalRegularizer", regularizers.orthogonal()),
        ("batch_mean/activity.json", "BatchMean", regularizers.batch_mean()),
    ):
        yield name, target, list(cases)
