"""Polar factors and signs of matrices, by matrix products alone, which every compiler has fast.

The polar factor of a matrix has its singular vectors, and singular values of 1. It is the nearest
matrix with orthonormal rows, or columns if there are fewer of them. An odd polynomial of a matrix,
`a * x + b * (x @ x.T) @ x + c * (x @ x.T)**2 @ x`, is the same polynomial of each singular value,
so one that draws numbers to 1 draws the matrix to its polar factor.
"""

import math

import keras
from keras import ops

from keras_norms.numerics.entries import replaced
from keras_norms.numerics.loops import choose, repeat_while
from keras_norms.numerics.norms import in_units_of_peak, l2_or_one
from keras_norms.numerics.precision import EPS
from keras_norms.numerics.spectra import gram, inner_products, spectral_bound
from keras_norms.numerics.summation import rounding

# Each polynomial is the best one for the interval that the one before maps to, from singular
# values in [1e-3, 1] on. The third comes four times, for the sake of smaller ones. Together they
# take singular values in [1e-5, 1] to within 1 % of 1. Source: Amsel, Persson, Musco, Gower, "The
# Polar Express: Optimal Matrix Sign Methods and Their Application to the Muon Algorithm", 2025.
_GROWING = (
    (8.28721202, -23.5958865, 17.3003873),
    (4.10705911, -2.94784992, 0.544843108),
    *[(3.94869085, -2.90890212, 0.551819139)] * 4,
    (3.31841966, -2.48848802, 0.510048940),
    (2.30065202, -1.66890398, 0.418807312),
)
# The polynomial of this degree that is flattest at 1: an error e becomes about e**3.
_CLOSING = (15 / 8, -5 / 4, 3 / 8)
# What grows on the way to 1 need not be exact: sums of up to twice so many terms do, in less time.
_ROUGH = 1024
# Below it, an error e becomes about e**3 in each step.
_SMALL_ERROR = 0.1
# In radians: singular values of the shifted cosines are from 0.66 to 1.25.
_SHIFT = 0.3
# Singular values of eps * s_max, which rounding makes of zeros, are 1 after 20 in float32.
_MOST_STEPS = 80
# Not infinity, which tools that look for it would report.
_LARGER_THAN_ANY_ERROR = 2.0**126


def polar_factor(rows):
    """The nearest matrix with orthonormal rows, or columns if there are fewer of them.

    Rows that are within rounding of it do not change. The singular values become 1 up to
    `rounding`, and directions are off by some `eps * condition`. Of the directions in which a
    matrix is 0, none is nearest; those of `cosines` are taken.

    Args:
        rows: A matrix of float32 or float64, not empty.
    """
    longest = 0 if rows.shape[0] >= rows.shape[1] else 1
    tolerance = rounding(rows, (longest,))
    product = gram(rows)
    error = _off_identity(product)
    # Its square bounds the square of the largest error of a squared singular value.
    is_near = ops.sum(ops.square(error @ error)) < 0.6
    start, product = choose(
        is_near, lambda: (rows, product), lambda: _with_gram(sign(_full_rank(rows)))
    )

    def largest_error(product):
        return ops.amax(ops.abs(_off_identity(product)))

    def unfinished(x, product, last):
        # What is left is rounding, of which the product has some, too: half of it leaves room. An
        # error that no longer shrinks never will.
        error = largest_error(product)
        is_far = ops.sum(ops.square(_off_identity(product))) > _SMALL_ERROR**2
        return (error > tolerance / 2) & (is_far | (error < last / 2))

    def closer(x, product, last):
        return *_with_gram(_polynomial(x, product, _CLOSING)), largest_error(product)

    error = largest_error(product)
    is_kept = is_near & (error <= tolerance)  # within rounding, no step is due
    last = replaced(error, ~is_kept, _LARGER_THAN_ANY_ERROR)
    return repeat_while(unfinished, closer, (start, product, last), _MOST_STEPS)[0]


def sign(rows):
    """Like `polar_factor`, but with singular values below 1e-5 of the largest left below 1.

    It takes a known number of steps. Of a symmetric matrix, it is the matrix sign.
    """
    if rows.shape[0] > rows.shape[1]:
        return ops.transpose(sign(ops.transpose(rows)))
    x = _grown(rows)
    for _ in range(3):  # from 1e-2 by way of 1e-6, and the rounding of the first
        x = _polynomial(x, gram(x), _CLOSING)
    largest = spectral_bound(rows, (1,), 0.5)
    for _ in range(2):
        x = _turned(rows, x, replaced(largest, largest == 0, 1))
    return x


def _turned(rows, x, size):
    """An orthogonal `x` turned a little, so that `rows @ x.T` is more symmetric.

    That of the polar factor is symmetric, and `rows` is the product of the two. Steps from a small
    matrix to an orthogonal one add up rounding of the directions, which no later step mends.
    """
    product = inner_products(rows, x)
    symmetric = (product + ops.transpose(product)) / 2
    return x + (rows - symmetric @ x) / size


def _grown(rows):
    """A matrix with the same singular vectors, and singular values near 1 but for tiny ones."""
    x = _at_most_one(rows)
    for coefficients in _GROWING:
        x = _polynomial(x, gram(x, _ROUGH), coefficients)
    return x


def _at_most_one(rows):
    """The matrix over a number that is not below its largest singular value; zeros stay zero.

    That number is larger by what the sums in a Gram matrix can be off: the polynomials draw numbers
    up to 1 to 1, and drive those above it away.
    """
    x, _ = in_units_of_peak(rows, (0, 1))
    eps = EPS[keras.backend.standardize_dtype(rows.dtype)]
    off = max(rows.shape) * eps / 2
    return x / (ops.sqrt(l2_or_one(gram(x), (0, 1))) * (1 + off))


def _full_rank(rows):
    """The matrix, with a little of cosines, which fill the directions that it lacks."""
    eps = EPS[keras.backend.standardize_dtype(rows.dtype)]
    return _at_most_one(rows) + eps * cosines(rows)


def cosines(rows):
    """Rows, or columns, of norm about 1 that are nearly orthogonal, in the shape of `rows`.

    Without the shift, they would be those of a cosine transform (DCT-II), which are orthogonal. But
    then some rows hold few different magnitudes, and a backend that adds up hundreds of equal
    squares rounds each time in the same direction: 1024 of them are off by 50 eps on JAX.
    """
    few, many = sorted(rows.shape)
    frequency = ops.reshape(ops.arange(few, dtype="int32"), (few, 1))
    place = ops.reshape(ops.arange(many, dtype="int32"), (1, many))
    # A cosine of a large number is inexact, but the period is a whole number here.
    turns = ops.cast((2 * place + 1) * frequency % (4 * many), rows.dtype)
    waves = ops.cos(turns * (math.pi / (2 * many)) + _SHIFT)
    basis = ops.where(frequency == 0, waves / math.sqrt(2), waves) * math.sqrt(2 / many)
    return basis if rows.shape[0] <= rows.shape[1] else ops.transpose(basis)


def _polynomial(x, product, coefficients):
    """The odd polynomial of the singular values of `x`, whose Gram matrix is `product`."""
    a, b, c = coefficients
    factor = b * product + c * (product @ product)
    return a * x + (factor @ x if x.shape[0] <= x.shape[1] else x @ factor)


def _with_gram(x):
    return x, gram(x)


def _off_identity(product):
    return product - ops.eye(product.shape[0], dtype=product.dtype)
