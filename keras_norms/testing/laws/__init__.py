"""Laws: what must hold for every constraint and every penalty, whatever it computes.

    from keras_norms.testing.laws import parametrize_with_checks

    @parametrize_with_checks([MyConstraint(2.0)])
    def test_mine(target, check):
        check(target)

A check draws weights with hypothesis and raises an AssertionError that says what was promised and
what was found. `keras-norms laws package:name` runs the same checks. Tolerances are those of the
design: `(4 + log2(n)) * eps * size` for groups of n entries, and what a constraint says of its
`inexactness`.

Targets are constraints and penalties of ours; those that derive from Keras' own base classes; and
functions of weights, which are taken for constraints. A law that needs what a target does not have
is not asked of it, and `left_out` says which and why.
"""

from keras_norms.testing.laws.asking import (
    CONSTRAINT_LAWS,
    CONVEX_LAWS,
    PENALTY_LAWS,
    Check,
    checks,
    examples,
    left_out,
    parametrize_with_checks,
)

__all__ = [
    "CONSTRAINT_LAWS",
    "CONVEX_LAWS",
    "PENALTY_LAWS",
    "Check",
    "checks",
    "examples",
    "left_out",
    "parametrize_with_checks",
]
