"""Laws of constraints."""

import itertools
import math

import keras
import numpy as np
from keras import ops

from keras_norms.testing.harness import float64
from keras_norms.testing.laws.measures import (
    EPS,
    allowed_gap,
    excess,
    function_of,
    gap_between,
    project,
    tensor,
)

# The largest power of two in float32.
LARGEST = 2.0**127


def feasible(target, w):
    """What `project` returns has no excess but rounding."""
    once = project(target, w).astype("float32")
    found = excess(target, once)
    # A zero group has no nearest point, and its excess says so.
    if target.keeps_zero_groups and not target.has_coupled_groups:
        found = found[np.abs(once).sum(axis=target.group_axes(w.ndim)) != 0]
    allowed = allowed_gap(target, w, once)
    assert (found <= allowed).all(), f"excess must be at most {allowed}. Received: {found.max()}"


def idempotent(target, w):
    """A second projection moves nothing but rounding."""
    once = project(target, w).astype("float32")
    moved = np.abs(project(target, once) - once).max(initial=0)
    assert moved <= allowed_gap(target, w, once), (
        f"a second call must not move weights. Received: {moved}"
    )


def small_weights_stay(target, w):
    """A second projection moves no small weights either, as an epsilon beside a norm would."""
    once = project(target, w * np.float32(2.0**-20)).astype("float32")
    moved = np.abs(project(target, once) - once).max(initial=0)
    size = float(np.linalg.norm(once.astype("float64")))
    allowed = ((4 + math.log2(w.size)) * EPS + getattr(target, "inexactness", 0.0)) * size
    assert moved <= allowed, (
        "a second call must not move small weights, as an epsilon beside their norm does. "
        f"Received: {moved:.3g} for weights of norm {size:.3g}"
    )


def shape_and_dtype(target, w):
    """Shape and dtype are kept, in half precision too."""
    for dtype in ("float16", "bfloat16", "float32"):
        given = ops.cast(tensor(w), dtype)
        got = function_of(target, "__call__")(given)
        found = (tuple(got.shape), keras.backend.standardize_dtype(got.dtype))
        assert found == (w.shape, dtype), f"must be {(w.shape, dtype)}. Received: {found}"


def groups_independent(target, w):
    """What is outside of a group does not change it."""
    axes = target.group_axes(w.ndim)
    group = tuple(slice(None) if a in axes else slice(0, 1) for a in range(w.ndim))
    other = 1 - w
    other[group] = w[group]
    one, two = project(target, w)[group], project(target, other)[group]
    gap = np.abs(one - two).max(initial=0)
    assert gap <= allowed_gap(target, w, one), (
        f"what is outside of a group along axis {axes} must not change it. Received: {gap}"
    )


def permuting_axes_commutes(target, w):
    """Axes in another order, and `axis` with them, give the same entries."""
    axes = target.group_axes(w.ndim)
    moved = tuple(w.ndim - 1 - a for a in axes)
    other = target.along(moved) if axes and len(axes) < w.ndim else target
    one = project(target, w)
    two = project(other, np.ascontiguousarray(w.transpose())).transpose()
    gap = gap_between(target, w, one, two)
    assert gap <= allowed_gap(target, w, one), f"axes must commute. Received: {gap}"


def finite(target, w):
    """Finite weights stay finite."""
    for each in (w, np.copysign(LARGEST, w)):
        got = project(target, each)
        assert np.isfinite(got).all(), f"must be finite. Received: {got}"


def nan_stays_in_its_group(target, w):
    """NaN in one entry makes its group NaN, or that entry alone; no other group sees it."""
    axes = target.group_axes(w.ndim)
    spoiled = w.copy()
    spoiled.flat[0] = np.nan
    hit = np.zeros(w.shape, bool)
    hit[tuple(slice(None) if a in axes else 0 for a in range(w.ndim))] = True
    got, without = project(target, spoiled), project(target, w)
    assert np.array_equal(got[~hit], without[~hit]), "NaN must not reach another group"
    is_elementwise = np.array_equal(got.flat[1:], without.flat[1:]) and np.isnan(got.flat[0])
    assert is_elementwise or np.isnan(got[hit]).all(), f"must be NaN. Received: {got[hit]}"


def feasible_input_is_identical(target, w):
    """Weights without excess are unchanged, where a set has an inside."""
    once = project(target, w).astype("float32")
    if excess(target, once).max(initial=0) == 0:
        again = project(target, once)
        assert np.array_equal(again, once), f"feasible weights must stay. Received: {again - once}"


def nearest(target, w):
    """No feasible point is nearer, in a convex set: <w - p, z - p> <= 0 for its points z."""
    axes = target.group_axes(w.ndim)
    largest = np.abs(w) == np.abs(w).max(axis=axes, keepdims=True)
    # Another point, and one from the corner that the largest entry points to.
    others = (w[::-1] * np.float32(0.75) + np.float32(0.25), 4 * w * largest)
    points = [project(target, other.astype("float32")) for other in others]
    # Of small and of large weights, too.
    for given, z in itertools.product(
        (w, w * np.float32(2.0**-20), w * np.float32(2.0**6)), points
    ):
        p = project(target, given)
        product = (given - p) * (z - p)
        product = product.sum(axis=None if target.has_coupled_groups else axes).max()
        # Rounding and iterations move p and z by a part of their size, and of that of the weights.
        part = (4 + math.log2(max(2, w.size))) * EPS + getattr(target, "inexactness", 0.0)
        sizes = [float(np.linalg.norm(each)) for each in (given, p, z)]
        gaps = float(np.linalg.norm(given - p) + np.linalg.norm(z - p))
        assert product <= part * sum(sizes) * gaps, f"p must be nearest. Received: {product}"


def step(target, w):
    """A training step goes to the projection, or as far on the way to it as `step_rate` says."""
    moved = float64(function_of(target, "__call__")(tensor(w)))
    expected = w + target.step_rate * (project(target, w) - w)
    gap = gap_between(target, w, moved, expected)
    assert gap <= allowed_gap(target, w, w, moved), (
        f"a call must go {target.step_rate:g} of the way to what `project` gives. Received: "
        f"{gap:.3g} apart"
    )


def non_expansive(target, w):
    """Two projections are no further apart than their arguments, in a convex set."""
    other = (w * np.float32(0.5) + np.float32(0.125)).astype("float32")
    apart = np.linalg.norm(project(target, w) - project(target, other))
    allowed = np.linalg.norm(w.astype("float64") - other) + allowed_gap(target, w, w, other)
    assert apart <= allowed, f"must be at most {allowed} apart. Received: {apart}"
