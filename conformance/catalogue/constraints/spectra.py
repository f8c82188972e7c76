"""The cases of the constraints on singular values."""

import dataclasses

from mpmath import mpf

from conformance.catalogue.build import Subject
from conformance.catalogue.every import (
    EVERY_AXIS,
    SAME_CONSTRAINT,
    SAME_WITHOUT_SLOPE,
    bad_bounds,
    breadth,
    manners,
)
from conformance.catalogue.inputs import equal, numbers, of
from conformance.oracles.constraints import spectra


def _clip_error(w, dtype, max_value=1.0, axis=0, **_):
    """What the docstring promises: 1e-5 of the largest singular value of the weight.

    Far outside, that is more than the bound, and 1e-4 of the bound times the condition is less.
    """
    condition = spectra.condition(w, axis)
    return min(spectra.largest_singular_value(w, axis) / 10**5, mpf(max_value) * condition / 10**4)


def _polar_error(w, dtype, gain=1.0, axis=0):
    """What the docstring promises for float32, and as many units of rounding in float64."""
    error = mpf(gain) * (1 + spectra.condition(w, axis) / 10) / 10**5
    return error * mpf(2) ** -29 if dtype == "float64" else error


CLIP = Subject(
    "max_spectral_norm",
    "MaxSpectralNorm",
    spectra.max_spectral_norm,
    scale="largest",
    loops=True,
    slope=False,
    coupled=True,
    inexact=_clip_error,
)
SCALE = Subject(
    "max_spectral_norm",
    "MaxSpectralNorm",
    spectra.max_spectral_norm,
    moves=1,
    loops=True,
    coupled=True,
    nearest=dataclasses.replace(CLIP, oracle=spectra.clipped),
)
ORTHOGONAL = Subject(
    "orthogonal",
    "Orthogonal",
    spectra.orthogonal,
    scale="largest",
    loops=True,
    slope=False,
    coupled=True,
    inexact=_polar_error,
)

REQUIREMENTS = {
    "KN-MAXSPECTRALNORM-001": (
        "singular values above the bound become it, and the others stay",
        "the nearest point in the Frobenius norm: Sedghi et al., ICLR 2019",
    ),
    "KN-MAXSPECTRALNORM-002": (
        'with "scale", the weight is divided by the Gram bound of its largest singular value, if '
        "that is above the bound",
        "Miyato et al., ICLR 2018; Delattre et al., ICML 2023",
    ),
    "KN-MAXSPECTRALNORM-003": EVERY_AXIS,
    "KN-MAXSPECTRALNORM-004": SAME_CONSTRAINT,
    "KN-MAXSPECTRALNORM-005": (
        "the bound holds to 1e-5 of it, however far the weight was from it",
        "one pass of an iteration is not enough",
    ),
    "KN-MAXSPECTRALNORM-006": (
        "a weight in the set stays bit for bit, and its excess is 0",
        "the nearest point of a point of the set",
    ),
    "KN-MAXSPECTRALNORM-007": (
        "a bad bound, mode or axis raises one exception type, which quotes it",
        "Keras' voice",
    ),
    "KN-ORTHONORMAL-001": (
        "the groups become orthogonal and of norm `gain`: the nearest point. If there are more "
        "groups than entries in each, the columns do",
        "the polar factor: Higham, Functions of Matrices, chapter 8",
    ),
    "KN-ORTHONORMAL-002": EVERY_AXIS,
    "KN-ORTHONORMAL-003": SAME_WITHOUT_SLOPE,
    "KN-ORTHONORMAL-004": (
        "every finite weight ends orthogonal, also without full rank, and with any scale",
        "an iteration that stops, or starts from zero",
    ),
    "KN-ORTHONORMAL-005": (
        "a bad gain or axis raises one exception type, which quotes it",
        "Keras' voice",
    ),
}

_UNIT = 2.0**-23


def _sized(exponent):
    return f"a weight {'over' if exponent < 0 else 'times'} 2**{abs(exponent)}"


def case_files():
    yield CLIP.file("clip", clip())
    yield SCALE.file("scale", scale())
    yield ORTHOGONAL.file("forward", orthogonal())


def clip():
    config, requirement = {"max_value": 0.75}, "KN-MAXSPECTRALNORM-001"
    hand = of((2, 2), [0, 2, 0.5, 0])
    title = "by hand: singular values 2 and 0.5 become 0.75 and 0.5"
    yield CLIP.case(requirement, hand, title, "a scaling of all of them", config)
    for shape in ((3, 5), (5, 3), (1, 4), (4, 1), (12, 12)):
        w = numbers(f"clip {shape}", shape)
        hunts = "a Gram matrix of the wrong side; a norm of each column"
        yield CLIP.case(requirement, w, f"a matrix {shape}", hunts, config)
    w, filters = numbers("clip filters", (2, 2, 3, 4)), config | {"axis": [0, 1, 2]}
    title, hunts = "the filters of a convolution", "rows of the kernel for filters"
    yield CLIP.case(requirement, w, title, hunts, filters)
    equals = of((3, 3), [0, 0, -2, 2, 0, 0, 0, 2, 0])
    yield CLIP.case(requirement, equals, "equal singular values", "a tie", config)
    low = of((3, 2), [1, 2, 2, 4, -1, -2])
    yield CLIP.case(requirement, low, "a rank of 1", "0 / 0 in a direction", config)
    yield from breadth(CLIP, "KN-MAXSPECTRALNORM-003", config)
    yield from manners(CLIP, "KN-MAXSPECTRALNORM-004", config)
    requirement = "KN-MAXSPECTRALNORM-005"
    spread = numbers("clip spread", (8, 12))
    for exponent in (0, 4, 14, 60, -60):
        w = of(spread.shape, [x * mpf(2) ** exponent for x in spread.entries])
        title, hunts = _sized(exponent), "one pass; a power that overflows; zeros"
        smallest = spectra.largest_singular_value(w) / spectra.condition(w)
        least = float(min(mpf(0.75), smallest) - _clip_error(w, "float32", **config))
        limits = {"least": least, "most": 0.75, "within": 1e-5}
        yield CLIP.spectrum(requirement, w, title, hunts, config, **limits)
        yield CLIP.case(requirement, w, title, hunts, config)
    huge, title = equal((3, 4), 1.5 * 2.0**126), "a norm that float32 cannot hold"
    limits["least"] = 0.0  # its rank is 1
    yield CLIP.spectrum(requirement, huge, title, "infinity", config, **limits)
    w = of((2, 2), [0, 1.5 * 2.0**127, -(2.0**126), 0])
    title, hunts = "the largest numbers of float32", "a unit that is not put back"
    yield CLIP.case(requirement, w, title, hunts, config)
    for title, hunts, shape, entries in (
        ("exactly at the bound", "a bound that is below", (2, 2), [0.75, 0, 0, -0.75]),
        ("just within", "a margin", (2, 2), [0, 0.75 * (1 - 2 * _UNIT), 0.5, 0]),
        ("zeros", "0 / 0", (3, 2), [0] * 6),
        ("a row that is within", "an average", (1, 2), [0.375, 0.5]),
    ):
        w = of(shape, list(map(mpf, entries)))
        requirement = "KN-MAXSPECTRALNORM-006"
        yield CLIP.case(requirement, w, f"{title} stays", hunts, config, exact=True)
        yield CLIP.excess(requirement, w, f"the excess of {title}", hunts, config)
    beyond = of((2, 2), [0, mpf(0.75) * (1 + mpf(2) ** -10), 0.5, 0])
    title, hunts = "the excess just beyond", "a margin of the Gram bound"
    yield CLIP.excess(requirement, beyond, title, hunts, config)
    yield from bad_bounds(CLIP, "KN-MAXSPECTRALNORM-007", "max_value")
    title, words = "an unknown mode is refused", ["`mode`", "Received: mode='power'"]
    yield CLIP.raises("KN-MAXSPECTRALNORM-007", title, {"mode": "power"}, words)


def scale():
    config, requirement = {"max_value": 0.75, "mode": "scale"}, "KN-MAXSPECTRALNORM-002"
    hand, title = of((3, 1), [1, 2, 2]), "by hand: a group of norm 3 is divided by 4"
    yield SCALE.case(requirement, hand, title, "a square", config)
    for title, hunts, shape, entries in (
        ("two singular values, scaled", "singular values clipped one by one", (2, 2), [0, 2, 1, 0]),
        ("by hand: just above the bound, scaled", "a margin", (2, 2), [0, 1, 0.5, 0]),
        ("equal singular values, scaled", "too few squarings", (2, 2), [0, -2, 2, 0]),
        ("a vector orthogonal to ones", "a start at ones", (2, 2), [3, 1, -3, 1]),
    ):
        yield SCALE.case(requirement, of(shape, entries), title, hunts, config)
    for shape in ((3, 5), (5, 3), (12, 12)):
        w, title = numbers(f"scale {shape}", shape), f"a matrix {shape}, scaled"
        yield SCALE.case(requirement, w, title, "a Gram matrix of the wrong side", config)
    yield from breadth(SCALE, "KN-MAXSPECTRALNORM-003", config)
    yield from manners(SCALE, "KN-MAXSPECTRALNORM-004", config)
    sizes = numbers("scale sizes", (4, 3))
    for exponent in (-60, 20, 100):
        w = of((4, 3), [x * mpf(2) ** exponent for x in sizes.entries])
        title, hunts = f"{_sized(exponent)}, scaled", "a power that leaves float32"
        yield SCALE.case("KN-MAXSPECTRALNORM-005", w, title, hunts, config)
    for title, w in (
        ("half the bound, scaled", of((2, 2), [0, 0.375, 0.375, 0])),
        ("zeros, scaled", of((3, 2), [0] * 6)),
    ):
        hunts = "a division by the norm, whether it is above the bound or not"
        yield SCALE.case("KN-MAXSPECTRALNORM-006", w, title, hunts, config, exact=True)
        title = f"the excess of {title}"
        yield SCALE.excess("KN-MAXSPECTRALNORM-006", w, title, hunts, config)


def orthogonal():
    config, requirement = {"gain": 1.25}, "KN-ORTHONORMAL-001"
    hand = of((2, 2), [0, -3, 0.5, 0])
    title = "by hand: a turn by 90 degrees, stretched, becomes the turn"
    yield ORTHOGONAL.case(requirement, hand, title, "a norm of each column", {})
    for shape in ((3, 5), (5, 3), (1, 4), (4, 1), (12, 12)):
        w = numbers(f"orthogonal {shape}", shape)
        hunts = "Gram-Schmidt; the wrong side"
        yield ORTHOGONAL.case(requirement, w, f"a matrix {shape}", hunts, config)
    filters = config | {"axis": [0, 1, 2]}
    w, title = numbers("orthogonal filters", (2, 2, 3, 4)), "the filters of a convolution"
    yield ORTHOGONAL.case(requirement, w, title, "rows of the kernel for filters", filters)
    near = of((2, 2), [mpf(1.25), mpf(2) ** -6, 0, mpf(1.25)])
    title, hunts = "a weight after a small step", "a fast way that stops too early"
    yield ORTHOGONAL.case(requirement, near, title, hunts, config)
    yield from breadth(ORTHOGONAL, "KN-ORTHONORMAL-002", config)
    yield from manners(ORTHOGONAL, "KN-ORTHONORMAL-003", config)
    requirement, limits = "KN-ORTHONORMAL-004", {"least": 1.25, "most": 1.25, "within": 1e-5}
    turned = of((2, 2), [0, -1, 1, 0])
    title, hunts = "a rotation stays bit for bit", "steps that are not due"
    yield ORTHOGONAL.case(requirement, turned, title, hunts, {}, exact=True)
    spread = numbers("orthogonal spread", (8, 12))
    for exponent in (60, -60, 120):
        w = of(spread.shape, [x * mpf(2) ** exponent for x in spread.entries])
        title, hunts = _sized(exponent), "a square that overflows"
        yield ORTHOGONAL.case(requirement, w, title, hunts, config)
    for shape in ((3, 5), (5, 3)):
        title, hunts = f"zeros of shape {shape}", "zeros that stay"
        yield ORTHOGONAL.case(requirement, of(shape, [0] * 15), title, hunts, config)
    for title, hunts, shape, entries in (
        ("two equal groups", "a direction that is lost", (2, 2), [1, 1, 2, 2]),
        ("a rank of 1", "a direction that is lost", (3, 2), [1, 2, 2, 4, -1, -2]),
        ("a zero beside others", "a zero that stays", (3, 3), [2, 0, 1, 0, 0, 3, 1, 0, 5]),
        ("a shift", "a completion by the identity", (3, 3), [0, 1, 0, 0, 0, 1, 0, 0, 0]),
        ("a condition of 2**14", "too few steps", (2, 2), [1, 1, 1, 1 + mpf(2) ** -12]),
        ("a condition of 2**22", "too few steps", (2, 2), [1, 1, 1, 1 + mpf(2) ** -20]),
    ):
        w = of(shape, list(map(mpf, entries)))
        yield ORTHOGONAL.spectrum(requirement, w, title, hunts, config, **limits)
    yield from bad_bounds(ORTHOGONAL, "KN-ORTHONORMAL-005", "gain")
