"""The simplex and the L1 ball at sizes that no golden case can hold, against other methods."""

import itertools
import pathlib
import resource
from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
from keras import ops

import keras_norms as kn
from keras_norms.testing.backends import compiled

MILLION = 10**6
RNG = np.random.default_rng(0)
GROUPS = {
    "equal entries": np.full(MILLION, 3.3),
    "equal large entries": np.full(MILLION, 1e8),
    "one dominant entry": np.r_[5.0, np.full(MILLION - 1, 0.1)],
    "one large entry and a million that share the rest": np.r_[0.9, RNG.random(MILLION - 1) * 3e-7],
    "ties among a few values": RNG.integers(0, 5, MILLION) / 4,
    "normal": RNG.standard_normal(MILLION),
    "halves of halves": 2.0 ** -np.arange(60.0),
    "all negative": -100 * RNG.random(MILLION),
    "heavy tails": RNG.standard_cauchy(MILLION),
}


def exact(v, total):
    """The nearest point of the simplex, from a sort, with sums of integers: nothing is rounded."""
    falling = np.sort(v.astype("float64"))[::-1]
    # The threshold depends on the few entries that can be in the support only.
    falling = falling[falling > falling[0] - total]
    whole = list(map(int, np.ldexp(falling, 60).tolist()))  # no bit that matters is below 2**-60
    sums = list(itertools.accumulate(whole, initial=-int(total * 2**60)))[1:]
    # The last entry that exceeds the mean excess of those up to it.
    below, above = 0, len(whole) - 1
    while below < above:
        middle = (below + above + 1) // 2
        if whole[middle] * (middle + 1) > sums[middle]:
            below = middle
        else:
            above = middle - 1
    theta = float(Fraction(sums[below], (below + 1) * 2**60))
    return np.maximum(v.astype("float64") - theta, 0)


def column(v):
    return ops.convert_to_tensor(v.astype("float32")[:, None])


def numpy(x):
    return matrix(x)[:, 0]


def matrix(x):
    return np.asarray(ops.convert_to_numpy(x), "float64")


@pytest.mark.parametrize("total", [1.0, 40.0])
@pytest.mark.parametrize("name", GROUPS)
def test_a_million_entries(name, total):
    v = GROUPS[name].astype("float32")
    for constraint, given in ((kn.Simplex(total), v), (kn.MaxNorm(total, ord=1), np.abs(v))):
        result = constraint(column(v))
        got = numpy(result)
        np.testing.assert_array_equal(numpy(constraint(result)), got)
        if isinstance(constraint, kn.MaxNorm) and given.sum(dtype="float64") <= total:
            np.testing.assert_array_equal(got, v)
            continue
        wanted = exact(given, total)
        signs = np.sign(v) if isinstance(constraint, kn.MaxNorm) else 1
        assert np.abs(got - signs * wanted).max() <= 4 * np.spacing(np.float32(total))
        assert abs(np.abs(got).sum() / total - 1) <= 1e-6


def families(n, draw):
    """What is hard for a threshold: ties, tails, offsets, and small entries beside large ones."""
    places = np.arange(1, n + 1.0)
    yield "normal", draw.standard_normal(n)
    yield "equal", np.full(n, 0.37)
    yield "two values", np.where(draw.random(n) < 0.5, 0.2, 0.7)
    yield "geometric", 0.9**places
    yield "one over n", 1 / places
    yield "one over n squared", 1 / places**2
    yield "an offset of 1e4", 1e4 + draw.random(n)
    yield "an offset of 1e6", 1e6 + draw.random(n)
    yield "lognormal", np.exp(4 * draw.standard_normal(n))
    yield "heavy tails", draw.standard_cauchy(n)
    for small in (1e-9, 3e-8, 1e-7, 1e-6, 1e-3):
        yield f"one beside many of {small}", np.r_[1 - 2.7e-5, np.full(n - 1, small)]
    yield "one beside many that share a part", np.r_[0.9, draw.random(n - 1) * 2 / n]
    yield "one of 1e4 beside many", np.r_[1e4, draw.random(n - 1)]
    yield "two scales", draw.standard_normal(n) * np.where(places % 2, 1e4, 1e-4)


@pytest.mark.parametrize("total", [1e-3, 0.7, 30.0, 1e4])
@pytest.mark.parametrize("n", [1, 2, 33, 1001, 10007])
def test_the_error_of_all_entries_together(n, total):
    """At most (4 + log2(n)) eps of the total in the 2-norm; a second projection changes no bit."""
    allowed = (4 + np.log2(n)) * 2.0**-23 * total
    names, columns = zip(*families(n, np.random.default_rng(n)), strict=True)
    w = np.stack(columns, axis=1).astype("float32")
    for constraint in (kn.Simplex(total), kn.MaxNorm(total, ord=1)):
        result = constraint(ops.convert_to_tensor(w))
        projected, again = matrix(result), matrix(constraint(result))
        if isinstance(constraint, kn.MaxNorm):  # its set is the same on the other side of 0
            mirrored = constraint(-ops.convert_to_tensor(w))
            np.testing.assert_array_equal(matrix(mirrored), -projected)
        for name, v, got, twice in zip(names, w.T, projected.T, again.T, strict=True):
            np.testing.assert_array_equal(twice, got, err_msg=name)
            is_ball = isinstance(constraint, kn.MaxNorm)
            given, signs = (np.abs(v), np.sign(v)) if is_ball else (v, 1)
            if is_ball and given.sum(dtype="float64") <= total:
                np.testing.assert_array_equal(got, v, err_msg=name)
                continue
            error = np.linalg.norm(got - signs * nearest_by_sorting(given, total))
            assert error <= allowed, f"{name}: {error} > {allowed}"


@pytest.mark.parametrize("total", [1e-3, 0.7, 1e20])
def test_a_group_does_not_see_the_others(total):
    """One that is feasible but for rounding, beside one far away, small ones and negative ones."""
    draw = np.random.default_rng(0)
    feasible = draw.random(33)
    feasible = (feasible * (total / feasible.sum())).astype("float32")
    feasible[0] += np.spacing(np.float32(total)) * 6
    normal = total * draw.standard_normal(33)
    others = [1e9 * total + normal, normal * 1e-3, normal, -abs(normal)]
    w = np.stack([feasible, *others], axis=1).astype("float32")
    for constraint in (kn.Simplex(total), kn.MaxNorm(total, ord=1)):
        got = matrix(constraint(ops.convert_to_tensor(w)))
        np.testing.assert_array_equal(got[:, 0], feasible)
        for v, found in zip(w.T[1:], got.T[1:], strict=True):
            is_ball = isinstance(constraint, kn.MaxNorm)
            given, found = (np.abs(v), np.abs(found)) if is_ball else (v, found)
            is_inside = is_ball and given.sum(dtype="float64") <= total
            wanted = given if is_inside else exact(given, total)
            bound = (4 + np.log2(33)) * np.finfo("float32").eps * total
            assert np.linalg.norm(found - wanted) <= bound


@pytest.mark.parametrize("n", [2, 33, 1001, 10007])
def test_a_second_projection_in_float64_changes_no_bit(n):
    w = ops.convert_to_tensor(np.stack([v for _, v in families(n, np.random.default_rng(n))], 1))
    if ops.convert_to_numpy(w).dtype != "float64":
        pytest.skip("JAX has float64 only if x64 is enabled")
    for constraint in (kn.Simplex(0.7), kn.MaxNorm(30.0, ord=1)):
        once = constraint(w)
        np.testing.assert_array_equal(matrix(constraint(once)), matrix(once))


def slow_for_newton(first, ratio, groups, smallest):
    """Entries of which each step of Newton's method leaves out only the smallest that are left.

    Each group has `ratio` times as many entries as all before it, and lies just far enough below
    them to fall below the mean that counts it too.
    """
    counts, gaps = [first], [0.0]
    for _ in range(groups):
        count = round(sum(counts) * ratio)
        lead = gaps[-1] * 1.01 * (sum(counts) + count) - np.dot(counts, gaps)
        gaps.append(lead / count if len(gaps) > 1 else smallest)
        counts.append(count)
    below = np.array([0.0] + [(1 + gap) / first for gap in gaps[1:]])
    return np.repeat(1 - below, counts)


def test_the_slowest_input_is_exact():
    v = slow_for_newton(64, 0.3, 28, 2.0**-44)  # 30 steps; 12 on random entries
    w = ops.convert_to_tensor(v[:, None])
    if ops.convert_to_numpy(w).dtype != "float64":
        pytest.skip("JAX has float64 only if x64 is enabled")
    error = np.linalg.norm(numpy(kn.Simplex(1.0)(w)) - nearest_by_sorting(v, 1.0))
    assert error <= (4 + np.log2(len(v))) * 2.0**-52


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("n", [2, 33, 257, 1001])
def test_a_second_projection_in_half_precision_moves_less_than_an_ulp(n, dtype):
    """An ulp of the group's largest entry: rounding each entry moves the sum of all."""
    columns = [v for _, v in families(n, np.random.default_rng(n)) if np.abs(v).max() < 6e4]
    w = ops.cast(ops.convert_to_tensor(np.stack(columns, 1).astype("float32")), dtype)
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}[dtype]
    for total in (0.7, 30.0, 1e4):
        for constraint in (kn.Simplex(total), kn.MaxNorm(total, ord=1)):
            once = constraint(w)
            first, second = (matrix(ops.cast(x, "float32")) for x in (once, constraint(once)))
            moved = np.abs(second - first).max(axis=0)
            ulp = eps * 2.0 ** np.floor(np.log2(np.abs(first).max(axis=0)))
            assert (moved < ulp).all()


def nearest_by_sorting(v, total):
    """The nearest point of the simplex, in the 64 bits that a long double has."""
    falling = np.sort(v.astype("longdouble"))[::-1]
    excess = np.cumsum(falling - falling[0]) + total * np.longdouble(-1)
    counts = np.arange(1, len(v) + 1)
    last = np.nonzero((falling - falling[0]) * counts > excess)[0][-1]
    theta = excess[last] / counts[last]
    return np.maximum((v.astype("longdouble") - falling[0]) - theta, 0).astype("float64")


def test_eager_calls_leave_nothing_behind():
    """Under JAX, each `ops.while_loop` of an eager call keeps 4 MB of compiled program."""
    w = ops.convert_to_tensor(np.random.default_rng(0).standard_normal((64, 32)).astype("float32"))
    calls = [kn.Simplex(1.0).project, kn.MaxNorm(1.0, ord=1).excess]
    for call in calls:
        call(w)
    before = resident_megabytes()
    for call in calls * 50:
        call(w)
    assert resident_megabytes() - before < 50


def resident_megabytes():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


@pytest.mark.parametrize("seed", range(5))
def test_a_root_finder_agrees(seed):
    """A second opinion: theta by SciPy's bracketing, in float64."""
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(200).astype("float32")
    theta = scipy.optimize.brentq(
        lambda t: np.maximum(v - t, 0).sum() - 1.5, v.min() - 1.5, v.max(), xtol=1e-15
    )
    np.testing.assert_allclose(
        numpy(kn.Simplex(1.5)(column(v))), np.maximum(v - theta, 0), atol=4 * 2.0**-23
    )


def test_the_nearest_of_many_points():
    """No feasible point drawn at random, and no corner, is nearer."""
    rng = np.random.default_rng(0)
    v = rng.standard_normal(6)
    got = numpy(kn.MaxNorm(1.0, ord=1)(column(v)))
    points = np.concatenate([rng.dirichlet(np.ones(6), 2000), np.eye(6)])
    points = np.concatenate([points * s for s in rng.choice([-1, 1], (20, 6))])
    nearest = np.linalg.norm(points - v, axis=1).min()
    assert np.linalg.norm(got - v) <= nearest + 1e-6  # v is rounded to float32


def test_values_by_hand():
    v = np.array([0.5, 2.1, -3.5])
    np.testing.assert_array_equal(numpy(kn.Simplex()(column(v))), [0, 1, 0])
    np.testing.assert_allclose(
        numpy(kn.MaxNorm(2.0, ord=1)(column(v))), [0, 0.3, -1.7], rtol=8 * 2.0**-23
    )


def test_a_group_with_nan_does_not_stop_the_others():
    w = np.stack(
        [np.full(50, np.nan), np.random.default_rng(0).standard_normal(50)], axis=1
    ).astype("float32")
    got = np.asarray(ops.convert_to_numpy(kn.Simplex()(ops.convert_to_tensor(w))))
    np.testing.assert_array_equal(got[:, 1], numpy(kn.Simplex()(column(w[:, 1]))))
    assert np.isnan(got[:, 0]).all()


@pytest.mark.parametrize("constraint", [kn.Simplex(), kn.MaxNorm(1.0, ord=1)])
def test_one_nan_fills_a_long_group(constraint):
    """Comparisons and maxima may lose it; sums do not."""
    w = np.random.default_rng(0).standard_normal((10007, 3)).astype("float32")
    exact = matrix(constraint(ops.convert_to_tensor(w)))
    w[5000, 1] = np.nan
    ways = [compiled(constraint, one_graph=False, xla=xla) for xla in (True, False)]
    for function in (constraint, *ways):
        got = matrix(function(ops.convert_to_tensor(w)))
        assert np.isnan(got[:, 1]).all()
        np.testing.assert_allclose(got[:, [0, 2]], exact[:, [0, 2]], atol=2.0**-23)


def test_groups_without_entries():
    empty = ops.convert_to_tensor(np.ones((0, 3), "float32"))
    assert tuple(kn.MaxNorm(1.0, ord=1)(empty).shape) == (0, 3)
    with pytest.raises(ValueError, match=r"cannot sum to 1. Received: shape=\(0, 3\)"):
        kn.Simplex()(empty)


def test_the_largest_radius_of_float32():
    """Its power of two has a subnormal inverse, which JAX takes for zero."""
    w = np.array([3e38, 1e38, 1.0], "float32")
    result = ops.convert_to_numpy(kn.Simplex(2e38)(w))
    np.testing.assert_allclose(result, [2e38, 0, 0], rtol=1e-6)
