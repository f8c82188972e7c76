"""The cases of the penalties on the rows and columns of a matrix, and on its singular values."""

from mpmath import mpf

from conformance.catalogue.build import Subject
from conformance.catalogue.every import EVERY_AXIS, SAME_PENALTY, breadth, manners
from conformance.catalogue.inputs import BITS, numbers, of
from conformance.oracles.regularizers import spectra

ORTHOGONAL = Subject(
    "orthogonal_regularizer",
    "OrthogonalRegularizer",
    spectra.orthogonal_regularizer,
    penalty=True,
)
SOFT = Subject(
    "soft_orthogonal_regularizer",
    "SoftOrthogonalRegularizer",
    spectra.soft_orthogonal_regularizer,
    penalty=True,
)
SPECTRAL = Subject(
    "spectral_regularizer", "SpectralRegularizer", spectra.spectral_regularizer, penalty=True
)

REQUIREMENTS = {
    "KN-ORTHOGONAL-001": (
        "the penalty is the mean abs cosine over pairs of rows, or of columns",
        "`keras.regularizers.OrthogonalRegularizer`",
    ),
    "KN-ORTHOGONAL-002": (
        "the same holds for a kernel of any rank, read as a matrix (rest, last axis)",
        "Keras takes matrices only",
    ),
    "KN-ORTHOGONAL-003": (
        "zero vectors and single vectors count as orthogonal",
        "0/0 otherwise",
    ),
    "KN-ORTHOGONAL-004": SAME_PENALTY,
    "KN-SOFTORTHOGONAL-001": (
        "the penalty is the distance of the Gram matrix of the groups from the identity: of one "
        "side, of both, or of its worst entry",
        "Bansal et al., NeurIPS 2018: SO, DSO and MC",
    ),
    "KN-SOFTORTHOGONAL-002": EVERY_AXIS,
    "KN-SOFTORTHOGONAL-003": SAME_PENALTY,
    "KN-SOFTORTHOGONAL-004": (
        "orthonormal groups have penalty 0, and zero weights have gradient 0",
        "the minimum of a square",
    ),
    "KN-SOFTORTHOGONAL-005": ("an unknown mode or a bad axis is refused", "Keras' voice"),
    "KN-SPECTRAL-001": (
        "the penalty is half of the square of the Gram bound of the largest singular value",
        "Delattre et al., ICML 2023; Yoshida and Miyato, 2017",
    ),
    "KN-SPECTRAL-002": EVERY_AXIS,
    "KN-SPECTRAL-003": SAME_PENALTY,
    "KN-SPECTRAL-004": (
        "it is exact for large and small weights, and 0 with gradient 0 for zero weights",
        "powers of a matrix over- and underflow",
    ),
    "KN-SPECTRAL-005": ("a bad axis raises ValueError, which quotes it", "Keras' voice"),
}


def case_files():
    yield ORTHOGONAL.file("forward", orthogonal())
    yield SOFT.file("forward", soft())
    yield SPECTRAL.file("forward", spectral())


def orthogonal():
    swapped = "rows and columns swapped; the diagonal counted"
    modes = [(mode, {"factor": 0.5, "mode": mode}) for mode in ("rows", "columns")]
    for dtype in BITS:
        for mode, config in modes:
            w, title = numbers(f"orth-{mode}", (3, 4), dtype), f"{mode} of a matrix"
            yield ORTHOGONAL.case("KN-ORTHOGONAL-001", w, title, swapped, config, dtype)
    for mode, config in modes:
        for title, w in (
            (f"{mode} of a Conv2D kernel", numbers("orth-conv", (2, 2, 3, 4))),
            (f"{mode} of a Conv1D kernel", numbers("orth-conv-1", (2, 3, 4))),
            (f"{mode} of a vector", numbers("orth-vector", (4,))),
        ):
            yield ORTHOGONAL.case("KN-ORTHOGONAL-002", w, title, "rank 2 only", config)
        for title, hunts, w in (
            (f"{mode} with a zero column", "0/0", of((2, 3), [3, 0, 1, 4, 0, 2])),
            (f"{mode} of a single row", "a mean over no pairs", of((1, 3), [3, 0, 1])),
            (f"{mode} without rows", "an empty weight", of((0, 3), [])),
        ):
            yield ORTHOGONAL.case("KN-ORTHOGONAL-003", w, title, hunts, config)
        w = of((3, 3), [3, 0, 1, 4, 0, 2, 1, 0, -1])
        title, hunts = f"the gradient of {mode} with a zero column", "NaN from the root of 0"
        yield ORTHOGONAL.gradient("KN-ORTHOGONAL-003", w, title, hunts, config)
        yield from manners(ORTHOGONAL, "KN-ORTHOGONAL-004", config)


def soft():
    requirement, config = "KN-SOFTORTHOGONAL-001", {"factor": 0.5}
    hand = of((2, 2), [2, 0, 0, 1])
    yield SOFT.case(requirement, hand, "by hand: diag(2, 1) has 9 / 2", "a root", config)
    for mode, hunts in (
        ("frobenius", "the Gram matrix of the wrong side; no identity"),
        ("double", "one side only"),
        ("coherence", "the sum in place of the worst; a diagonal left out"),
        ("so", "a short name that is not known"),
        ("dso", "a short name that is not known"),
        ("mc", "a short name that is not known"),
    ):
        for shape in ((3, 4), (4, 3), (3, 3)):
            w = numbers(f"soft {shape}", shape)
            title = f"{mode} of groups {shape}"
            yield SOFT.case(requirement, w, title, hunts, config | {"mode": mode})
    w = numbers("soft filters", (2, 2, 3, 4))
    for mode in ("frobenius", "double", "coherence"):
        filters = config | {"mode": mode, "axis": [0, 1, 2]}
        title, hunts = f"{mode} of the filters of a convolution", "rows of the kernel for filters"
        yield SOFT.case(requirement, w, title, hunts, filters)
        yield from manners(SOFT, "KN-SOFTORTHOGONAL-003", config | {"mode": mode})
        zero, title = of((3, 2), [0] * 6), f"the gradient of {mode} at zero weights"
        yield SOFT.gradient("KN-SOFTORTHOGONAL-004", zero, title, "NaN", config | {"mode": mode})
        turned = of((2, 2), [0, -1, 1, 0])
        yield SOFT.case(
            "KN-SOFTORTHOGONAL-004",
            turned,
            f"a rotation has no {mode} penalty",
            "a penalty of norms below 2; a shift",
            config | {"mode": mode},
            exact=True,
        )
        title, hunts = f"{mode} of no groups", "an empty maximum"
        empty, configured = of((3, 0), []), config | {"mode": mode}
        if mode != "double":  # its other side is three zero vectors
            yield SOFT.case("KN-SOFTORTHOGONAL-004", empty, title, hunts, configured)
    yield from breadth(SOFT, "KN-SOFTORTHOGONAL-002", config)
    title, words = "an unknown mode is refused", ["`mode`", "Received: mode='rows'"]
    yield SOFT.raises("KN-SOFTORTHOGONAL-005", title, {"mode": "rows"}, words)
    w = numbers("bad axis", (3, 4))
    title = "axis=2 is refused on rank 2"
    yield SOFT.raises("KN-SOFTORTHOGONAL-005", title, {"axis": 2}, ["Received: axis=2"], w)


def spectral():
    config = {"factor": 0.5}
    hand, title = of((3, 1), [1, 2, 2]), "by hand: one group of norm 3 has 9 / 4"
    yield SPECTRAL.case("KN-SPECTRAL-001", hand, title, "no square; no half", config)
    for title, hunts, shape, entries in (
        ("equal singular values", "too few squarings", (3, 3), [0, 0, -2, 2, 0, 0, 0, 2, 0]),
        ("two that are near each other", "power iteration", (2, 2), [1, 0, 0, 1 - 2.0**-6]),
        ("a vector orthogonal to ones", "a start at ones", (2, 2), [3, 1, -3, 1]),
        ("a rank of 1", "a wrong root", (3, 2), [1, 2, 2, 4, -1, -2]),
    ):
        yield SPECTRAL.case("KN-SPECTRAL-001", of(shape, entries), title, hunts, config)
    for shape in ((3, 5), (5, 3), (16, 16)):
        w, title = numbers(f"spectral {shape}", shape), f"a matrix {shape}"
        yield SPECTRAL.case("KN-SPECTRAL-001", w, title, "a Gram matrix of the wrong side", config)
    w, filters = numbers("spectral filters", (2, 2, 3, 4)), config | {"axis": [0, 1, 2]}
    title, hunts = "the filters of a convolution", "rows of the kernel for filters"
    yield SPECTRAL.case("KN-SPECTRAL-001", w, title, hunts, filters)
    yield from breadth(SPECTRAL, "KN-SPECTRAL-002", config)
    yield from manners(SPECTRAL, "KN-SPECTRAL-003", config)
    w = numbers("spectral sizes", (4, 3))
    for size, exponent in (("tiny", -40), ("huge", 40)):
        scaled = of((4, 3), [x * mpf(2) ** exponent for x in w.entries])
        title, hunts = f"{size} weights", "a power that leaves float32"
        yield SPECTRAL.case("KN-SPECTRAL-004", scaled, title, hunts, config)
    for shape in ((3, 2), (0, 2), (2, 0)):
        size = shape[0] * shape[1]
        zero, title = of(shape, [0] * size), f"zeros of shape {shape}"
        yield SPECTRAL.case("KN-SPECTRAL-004", zero, title, "a logarithm of 0", config)
    title = "the gradient at zero weights"
    yield SPECTRAL.gradient("KN-SPECTRAL-004", of((3, 2), [0] * 6), title, "NaN", config)
    w, title = numbers("bad axis", (3, 4)), "axis=2 is refused on rank 2"
    yield SPECTRAL.raises("KN-SPECTRAL-005", title, {"axis": 2}, ["Received: axis=2"], w)
