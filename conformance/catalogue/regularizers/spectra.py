"""The cases of the penalties on the rows and columns of a matrix."""

from conformance.catalogue.build import Subject
from conformance.catalogue.every import SAME_PENALTY, manners
from conformance.catalogue.inputs import BITS, numbers, of
from conformance.oracles.regularizers import spectra

ORTHOGONAL = Subject(
    "orthogonal_regularizer",
    "OrthogonalRegularizer",
    spectra.orthogonal_regularizer,
    penalty=True,
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
}


def case_files():
    yield ORTHOGONAL.file("forward", orthogonal())


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
