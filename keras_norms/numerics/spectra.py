"""Spectra: singular values of the matrix whose rows are the groups of a weight."""

import math

from keras import ops

from keras_norms.numerics.groups import as_rows
from keras_norms.numerics.norms import l2_or_one, replaced

# By default, the spectral bound exceeds the largest singular value by at most this part of it.
BOUND_EXCESS = 1e-3


def gram(rows):
    """The smaller of `rows @ rows.T` and `rows.T @ rows`, which share their nonzero eigenvalues.

    Args:
        rows: A tensor of shape (groups, size).
    """
    groups, size = rows.shape
    columns = ops.transpose(rows)
    # `ops.matmul` rounds float64 on PyTorch.
    return rows @ columns if groups <= size else columns @ rows


def squarings(order, excess=BOUND_EXCESS):
    """How often a Gram matrix of this order is squared to keep the bound within its excess.

    With K squarings, the bound of an orthogonal matrix, the worst case, is too large by the factor
    `order ** (1 / 2 ** (K + 2))`.
    """
    if order < 2:
        return 0
    return max(0, math.ceil(math.log2(math.log(order) / excess)) - 2)


def spectral_bound(w, axes, excess=BOUND_EXCESS):
    """An upper bound of the largest singular value: a scalar, at most `excess` of it above it.

    The Frobenius norm of a power of the Gram matrix `G` bounds that power of its largest
    eigenvalue: `norm(G ** (2 ** K)) ** (1 / 2 ** (K + 1))`, by K squarings, each of a matrix of
    norm 1. The bound is smooth, and 0 with gradient 0 for a zero weight.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        excess: The largest relative error, a Python number.

    Source: Delattre et al., "Efficient Bound of Lipschitz Constant for Convolutional Layers by Gram
    Iteration", ICML 2023.
    """
    rows = as_rows(w, axes)
    # The bound of `t * w` is `t` times that of `w`, so the unit has no part in the slope.
    peak = ops.stop_gradient(ops.amax(ops.abs(rows)))
    power = gram(rows / replaced(peak, peak == 0, 1))
    log_bound = 0.0
    for k in range(squarings(power.shape[0], excess) + 1):
        if k:
            power = power @ power
        norm = l2_or_one(power, (0, 1))
        power = power / norm
        log_bound = log_bound + ops.log(ops.reshape(norm, ())) / 2 ** (k + 1)
    return peak * ops.exp(log_bound)
