"""Spectra: singular values of the matrix whose rows are the groups of a weight."""

import math

from keras import ops

from keras_norms.numerics.entries import positive_part, replaced, up_to
from keras_norms.numerics.groups import as_rows
from keras_norms.numerics.loops import repeat_while
from keras_norms.numerics.norms import LARGEST_DIVISOR, l2, l2_or_one
from keras_norms.numerics.summation import total

# Where a product of matrices has few rows and columns, backends add its terms one after another: of
# 20000 equal ones, the sum is off by 2500 eps. So it is made of sums this short.
LONGEST_PRODUCT_SUM = 64
# By default, the spectral bound exceeds the largest singular value by at most this part of it.
BOUND_EXCESS = 1e-3


def gram(rows, longest=LONGEST_PRODUCT_SUM):
    """The smaller of `rows @ rows.T` and `rows.T @ rows`, which share their nonzero eigenvalues.

    Args:
        rows: A tensor of shape (groups, size).
        longest: As for `inner_products`.
    """
    groups, size = rows.shape
    x = rows if groups <= size else ops.transpose(rows)
    return inner_products(x, x, longest)


def inner_products(x, y, longest=LONGEST_PRODUCT_SUM):
    """`x @ y.T`, the products of rows that are longer than there are many of them.

    Args:
        x: A tensor of shape (few, many).
        y: A tensor of the same shape.
        longest: How many terms the backend adds one after another, at most about twice as many.
    """
    few, many = x.shape
    if few > LONGEST_PRODUCT_SUM or many < 2 * longest:
        return x @ ops.transpose(y)  # `ops.matmul` rounds float64 on PyTorch
    # The sums are no shorter than there are rows, so that all products together are no larger than
    # the weight.
    whole = many - many % longest
    left, right = (ops.reshape(each[:, :whole], (few, -1, longest)) for each in (x, y))
    products = ops.transpose(left, (1, 0, 2)) @ ops.transpose(right, (1, 2, 0))
    if hasattr(products, "sum"):  # as in `total`
        result = products.sum(axis=0)
    else:
        positive = positive_part(products)
        above, below = (total(each, (0,))[0] for each in (positive, positive - products))
        result = above - below
    return result if whole == many else result + x[:, whole:] @ ops.transpose(y[:, whole:])


def squarings(order, excess=BOUND_EXCESS):
    """How often a Gram matrix of this order is squared to keep the bound within its excess.

    With K squarings, the bound of an orthogonal matrix, the worst case, is too large by the factor
    `order ** (1 / 2 ** (K + 2))`.
    """
    # Counted, because TorchDynamo of PyTorch 2.6 cannot trace the logarithm of a length.
    k = 0
    while order ** (1 / 2 ** (k + 2)) > 1 + excess:
        k += 1
    return k


def _scaled_gram(w, axes):
    """The Gram matrix of a weight over its largest entry, and that entry."""
    # The bound of `t * w` is `t` times that of `w`, so the unit has no part in the slope.
    rows = as_rows(w, axes)
    peak = ops.stop_gradient(ops.amax(ops.abs(rows)))
    peak = replaced(peak, peak > LARGEST_DIVISOR, LARGEST_DIVISOR)
    return gram(rows / replaced(peak, peak == 0, 1)), peak


def spectral_bound(w, axes, excess=BOUND_EXCESS):
    """An upper bound of the largest singular value: a scalar, at most `excess` of it above it.

    The Gram matrix is squared until the bound is that close. This takes few steps if one singular
    value is the largest by far, and one if all are alike. In compiled code on JAX, the bound has no
    gradient.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
        excess: The largest relative error, a Python number.

    Source: Delattre et al., "Efficient Bound of Lipschitz Constant for Convolutional Layers by Gram
    Iteration", ICML 2023; Wolkowicz, Styan, "Bounds for Eigenvalues Using Traces", Linear Algebra
    and its Applications 29, 1980.
    """
    product, peak = _scaled_gram(w, axes)
    order = product.shape[0]
    identity = ops.eye(order, dtype=product.dtype)

    def measured(power, log_bound, exponent):
        """The state of the loop: the power with norm 1, and bounds of its largest eigenvalue."""
        norm = l2_or_one(power, (0, 1))
        power = power / norm
        trace = ops.trace(power)
        mean = trace / order
        spread = ops.reshape(l2(power - mean * identity, (0, 1)), ())
        above = mean + math.sqrt(1 - 1 / order) * spread
        # The squares of all eigenvalues sum to 1, so their mean, weighted with the eigenvalues, is
        # 1 / trace, and the largest is not below it.
        log_bound = log_bound + exponent * ops.log(ops.reshape(norm, ()))
        return power, log_bound, exponent, above, above * trace

    def is_apart(power, log_bound, exponent, above, ratio):
        return exponent * ops.log(up_to(ratio, 0, 1)) > excess  # 0 of a zero weight

    def squared(power, log_bound, exponent, above, ratio):
        return measured(power @ power, log_bound, exponent / 2)

    half = ops.full((), 0.5, dtype=product.dtype)
    start = measured(product, ops.zeros_like(half), half)
    end = repeat_while(is_apart, squared, start, squarings(order, excess))
    _, log_bound, exponent, above, _ = end
    above = replaced(above, above == 0, 1)  # of a zero weight, whose gradient is then 0
    return peak * ops.exp(log_bound + exponent * ops.log(above))


def smooth_spectral_bound(w, axes):
    """Like `spectral_bound`, but with a gradient everywhere: 0 for a zero weight.

    The Frobenius norm of a power of the Gram matrix `G` bounds that power of its largest
    eigenvalue: `norm(G ** (2 ** K)) ** (1 / 2 ** (K + 1))`, by K squarings, each of a matrix of
    norm 1.

    Args:
        w: A tensor of float32 or float64.
        axes: The axes inside a group.
    """
    power, peak = _scaled_gram(w, axes)
    log_bound = 0.0
    for k in range(squarings(power.shape[0]) + 1):
        if k:
            power = power @ power
        norm = l2_or_one(power, (0, 1))
        power = power / norm
        log_bound = log_bound + ops.log(ops.reshape(norm, ())) / 2 ** (k + 1)
    return peak * ops.exp(log_bound)
