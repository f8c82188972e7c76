"""The cases of the sparse constraints. No result is rounded, and ties are decided."""

from mpmath import mpf

from conformance.catalogue.build import Subject
from conformance.catalogue.every import EVERY_AXIS, SAME_CONSTRAINT, breadth, manners
from conformance.catalogue.inputs import BITS, HALF, equal, numbers, of, whole
from conformance.oracles.constraints import sparsity

SPARSE = Subject(
    "sparse", "Sparse", sparsity.sparse, axis=None, rounds=False, scale="largest", loops=True
)
SPARSE_NM = Subject("sparse_nm", "SparseNM", sparsity.sparse_nm, rounds=False)
SPARSE_UNITS = Subject(
    *("sparse_units", "SparseUnits", sparsity.sparse_units),
    rounds=False,
    loops=True,
    coupled=True,
)
FIXED_MASK = Subject(
    "fixed_mask", "FixedMask", sparsity.fixed_mask, axis=[], rounds=False, coupled=True
)

REQUIREMENTS = {
    "KN-SPARSE-001": (
        "each group of n entries keeps the round(n * (1 - sparsity)) of largest magnitude, bit for "
        "bit, and the others become 0",
        "the nearest point: Blumensath, Davies, J. Fourier Anal. Appl. 14, 2008",
    ),
    "KN-SPARSE-002": EVERY_AXIS,
    "KN-SPARSE-003": SAME_CONSTRAINT,
    "KN-SPARSE-004": (
        "of equal magnitudes the first by index stay, on every backend, also among zeros and in "
        "half precision, where many are equal",
        "a set of nearest points needs a rule",
    ),
    "KN-SPARSE-005": (
        "magnitudes that are next to one another, and ones far apart, are told apart",
        "a threshold must be exact",
    ),
    "KN-SPARSE-006": ("a bad share or axis raises one exception type, which quotes it", "Keras"),
    "KN-SPARSENM-001": (
        "every m consecutive entries along the axis keep their n largest, and the first of equal "
        "ones; a last block that is shorter keeps n, too",
        "Mishra et al., 2021",
    ),
    "KN-SPARSENM-002": ("every axis works, in every dtype", "NumPy's meaning of `axis`"),
    "KN-SPARSENM-003": SAME_CONSTRAINT,
    "KN-SPARSENM-004": ("a bad n, m or axis raises one exception type, which quotes it", "Keras"),
    "KN-SPARSEUNITS-001": (
        "the groups with the largest Euclidean norms stay bit for bit, the first of equal ones; "
        "the others become 0",
        "Li et al., ICLR 2017",
    ),
    "KN-SPARSEUNITS-002": EVERY_AXIS,
    "KN-SPARSEUNITS-003": SAME_CONSTRAINT,
    "KN-SPARSEUNITS-004": ("a bad share or axis raises one exception type", "Keras"),
    "KN-FIXEDMASK-001": (
        "entries are 0 where the mask is, and stay bit for bit elsewhere; a mask broadcasts",
        "Germain et al., ICML 2015",
    ),
    "KN-FIXEDMASK-002": SAME_CONSTRAINT,
    "KN-FIXEDMASK-003": ("the config holds the mask as packed bits", "one bit for each weight"),
    "KN-FIXEDMASK-004": ("a bad mask, or one that does not fit, raises ValueError", "Keras"),
}

_ULP = mpf(2) ** -23


def case_files():
    yield SPARSE.file("forward", sparse())
    yield SPARSE_NM.file("forward", sparse_nm())
    yield SPARSE_UNITS.file("forward", sparse_units())
    yield FIXED_MASK.file("forward", fixed_mask())


def sparse():
    yield SPARSE.case(
        "KN-SPARSE-001",
        of((4,), [3, -1, 0.5, -2]),
        "by hand: [3, -1, 0.5, -2] becomes [3, 0, 0, -2]",
        "signed entries that are sorted; a sign that is lost",
    )
    w = numbers("one sparsity for each unit", (8, 3))
    title = "each unit has zeros of its own with axis=0"
    yield SPARSE.case("KN-SPARSE-001", w, title, "one threshold for all", {"axis": 0})
    for n, share in ((5, 0.5), (7, 0.5), (10, 0.9), (3, 0.99), (1, 0.5), (1, 0.4), (9, 0), (9, 1)):
        yield SPARSE.case(
            "KN-SPARSE-001",
            numbers(f"sparse {n} {share}", (n,)),
            f"{round(n * (1 - share))} of {n} entries stay at sparsity {share}",
            "a count that is rounded in another way",
            {"sparsity": share},
        )
    yield from breadth(SPARSE, "KN-SPARSE-002", {"sparsity": 0.4})
    yield from manners(SPARSE, "KN-SPARSE-003", {"sparsity": 0.4})
    yield from ties()
    yield from close_and_far()
    yield from bad_shares(SPARSE, "KN-SPARSE-006")


def ties():
    """Equal magnitudes, which sorts and thresholds leave open."""
    requirement, hunts = "KN-SPARSE-004", "another one of equal entries; more of them than asked"
    for title, w, config in (
        ("six equal entries", equal((6,), 0.75), {"sparsity": 0.5}),
        ("equal magnitudes of both signs", of((6,), [2, -2, 2, 1, -2, 2]), {"sparsity": 0.5}),
        ("zeros, more than are asked for", of((6,), [0, 0, 3, 0, 0, 0]), {"sparsity": 0.5}),
        ("all zeros", equal((5,), 0), {"sparsity": 0.5}),
        (
            "a tie in each column",
            of((4, 3), [1, 2, 4, 1, -2, 3, 1, 2, -3, -1, 2, 3]),
            {"sparsity": 0.5, "axis": 0},
        ),
        ("a tie in rows", of((2, 4), [1, 2, 1, 1, 3, -3, 3, 3]), {"sparsity": 0.5, "axis": 1}),
        ("ties in C order", of((2, 3, 2), [1, 1, 2] * 4), {"sparsity": 0.6, "axis": [0, 2]}),
        ("quarters, many of them equal", whole("sparse ties", (37, 29)), {"sparsity": 0.7}),
    ):
        for dtype in BITS:
            yield SPARSE.case(requirement, w, title, hunts, config, dtype)
    for dtype in HALF:
        w = numbers("sparse many", (64, 33), "bfloat16")
        title = "2112 entries of few magnitudes"
        yield SPARSE.case(requirement, w, title, hunts, {"sparsity": 0.9}, dtype)


def close_and_far():
    """What a threshold that is not exact gets wrong."""
    requirement = "KN-SPARSE-005"
    neighbours = [1 + k * _ULP for k in (3, 1, 5, 2, 0, 4)]
    powers = [mpf(2) ** k * (-1) ** (k % 2) for k in (127, -126, 0, 64, -64, 3, -3, 100, -100, 1)]
    largest = (2 - _ULP) * mpf(2) ** 127
    digits = [1 + k * mpf(2) ** -52 for k in (3, 1, 5, 2, 0, 4)]
    for title, entries, dtype in (
        ("neighbours of 1", neighbours, "float32"),
        ("neighbours of 1 in float64", digits, "float64"),
        ("neighbours below 2", [2 - x for x in neighbours], "float32"),
        ("powers of 2, the largest and the smallest", powers, "float32"),
        ("the largest number", [largest, 1, -largest, largest / 2, 3], "float32"),
        ("the smallest normal numbers", [mpf(2) ** -126 * k for k in (2, 1, 3, 1)], "float32"),
        ("1e200 and 1e-200 in float64", [mpf(2) ** (665 * k) for k in (1, -1, 0, 1)], "float64"),
        ("a prime number of entries", numbers("sparse prime", (1009,)).entries, "float32"),
    ):
        for share in (0.5, 0.25):
            w, config = of((len(entries),), entries), {"sparsity": share}
            words = f"{title}, sparsity {share}"
            yield SPARSE.case(requirement, w, words, "a coarse threshold", config, dtype)


def sparse_nm():
    yield SPARSE_NM.case(
        "KN-SPARSENM-001",
        of((6,), [1, -4, 3, 2, 5, 0.5]),
        "by hand: 2 of 4, and a last block of 2",
        "a tail that is dropped, or counted with the block before",
    )
    for n, m, size in ((1, 4, 12), (2, 4, 13), (3, 4, 7), (4, 8, 11), (1, 2, 5), (5, 7, 20)):
        w, title = numbers(f"nm {n} {m}", (size, 3)), f"{n} of every {m} of {size} entries"
        config = {"n": n, "m": m}
        yield SPARSE_NM.case("KN-SPARSENM-001", w, title, "blocks that are not consecutive", config)
    for title, config in (
        ("nothing stays", {"n": 0}),
        ("all stay", {"n": 4}),
        ("blocks of 1", {"n": 1, "m": 1}),
        ("blocks longer than the axis", {"n": 2, "m": 16}),
    ):
        w = numbers("nm edges", (8, 3))
        yield SPARSE_NM.case("KN-SPARSENM-001", w, title, "an edge of a count", config)
    for dtype in BITS:
        w = whole("nm ties", (12, 5))
        title, hunts = "equal magnitudes in a block", "another one of equal entries"
        yield SPARSE_NM.case("KN-SPARSENM-001", w, title, hunts, dtype=dtype)
        w = equal((8,), -1.5)
        yield SPARSE_NM.case("KN-SPARSENM-001", w, "equal entries", hunts, dtype=dtype)
        for axis, shape in (
            *((0, (9,)), (-1, (6,)), (1, (3, 9)), (-2, (9, 3)), (2, (2, 2, 6, 3))),
            *((1, (2, 5, 3)), ([0], (5, 2)), (4, (1, 2, 1, 2, 5))),
        ):
            w, title = numbers(f"nm {axis}", shape, dtype), f"axis={axis} on rank {len(shape)}"
            hunts = "another axis"
            yield SPARSE_NM.case("KN-SPARSENM-002", w, title, hunts, {"axis": axis}, dtype)
    yield from manners(SPARSE_NM, "KN-SPARSENM-003", {"n": 1, "m": 2})
    for config, words in (
        ({"n": -1}, "n=-1"),
        ({"n": 5, "m": 4}, "n=5, m=4"),
        ({"n": 0, "m": 0}, "m=0"),
        ({"n": 2, "m": 33}, "m=33"),
    ):
        title = f"{words} is refused"
        yield SPARSE_NM.raises("KN-SPARSENM-004", title, config, [f"Received: {words}"])
    title = "n=1.5 is refused"
    words = ["Received: n=1.5"]
    yield SPARSE_NM.raises("KN-SPARSENM-004", title, {"n": 1.5}, words, error="TypeError")
    w = numbers("bad axis", (3, 4))
    for axis in (2, [0, 1], None):
        title, words = f"axis={axis} is refused on rank 2", [f"Received: axis={axis}"]
        yield SPARSE_NM.raises("KN-SPARSENM-004", title, {"axis": axis}, words, w)


def sparse_units():
    yield SPARSE_UNITS.case(
        "KN-SPARSEUNITS-001",
        of((2, 4), [3, 1, 0, -4, 4, 1, 1, 3]),
        "by hand: of norms 5, 1.4, 1 and 5, those of 5 stay",
        "a sum of entries, or of magnitudes, for a norm",
    )
    w, config = of((2, 3), [3, 4, 0, 3, 0, 4.125]), {"sparsity": 0.67}
    title = "a unit of one large weight beats one of a larger sum"
    yield SPARSE_UNITS.case("KN-SPARSEUNITS-001", w, title, "the L1 norm", config)
    w, config = of((2, 4), [1, 0, -1, 0, 0, 1, 0, -1]), {"sparsity": 0.5}
    title = "equal norms: the first units stay"
    yield SPARSE_UNITS.case("KN-SPARSEUNITS-001", w, title, "the last of equals", config)
    w, config = numbers("filters", (3, 3, 4, 8)), {"axis": [0, 1, 2], "sparsity": 0.75}
    title = "two of eight filters of a convolution stay"
    yield SPARSE_UNITS.case("KN-SPARSEUNITS-001", w, title, "rows of the kernel", config)
    for share in (0, 1, 0.3):
        w, title = numbers("units", (4, 5)), f"a share of {share} is zero"
        config = {"sparsity": share}
        yield SPARSE_UNITS.case("KN-SPARSEUNITS-001", w, title, "a wrong count", config)
    yield from breadth(SPARSE_UNITS, "KN-SPARSEUNITS-002", {"sparsity": 0.4})
    yield from manners(SPARSE_UNITS, "KN-SPARSEUNITS-003", {"sparsity": 0.4})
    yield from bad_shares(SPARSE_UNITS, "KN-SPARSEUNITS-004")


def fixed_mask():
    mask = [[1, 0, 0, 1], [0, 1, 1, 1], [1, 1, 0, 0]]
    # 1001 0111 | 1100 0000: the bytes 0x97 and 0xC0 in base64.
    packed = {"shape": [3, 4], "bits": "l8A="}
    for dtype in BITS:
        w = numbers("mask", (3, 4), dtype)
        title, hunts = "zeros where the mask is 0", "a mask that is inverted, or transposed"
        yield FIXED_MASK.case("KN-FIXEDMASK-001", w, title, hunts, {"mask": mask}, dtype)
    for mask_given, shape in (
        ([1, 0, 1], (4, 3)),
        ([[1], [0]], (2, 3)),
        ([[[[1, 0, 1, 1]]]], (2, 2, 3, 4)),
        ([0], (5,)),
        ([[1, 0], [0, 1]], (3, 2, 2)),
    ):
        w, title = numbers("broadcast", shape), f"a mask {mask_given} for weights {shape}"
        config = {"mask": mask_given}
        yield FIXED_MASK.case("KN-FIXEDMASK-001", w, title, "another axis", config)
    # Manners compare the config with that of the constraint, which has packed bits.
    yield from manners(FIXED_MASK, "KN-FIXEDMASK-002", {"mask": packed})
    w = numbers("mask", (3, 4))
    yield FIXED_MASK.case(
        "KN-FIXEDMASK-003",
        w,
        "twelve bits are two bytes",
        "a list of numbers",
        {"mask": mask},
        kind="config_roundtrip",
        expected={"config": {"mask": packed}},
    )
    title = "a mask with a 2 is refused"
    yield FIXED_MASK.raises("KN-FIXEDMASK-004", title, {"mask": [1, 2]}, ["`mask`", "Received"])
    title, words = "a mask of another shape is refused", ["shape (3, 4)", "shape (4, 3)"]
    w = numbers("mask", (4, 3))
    yield FIXED_MASK.raises("KN-FIXEDMASK-004", title, {"mask": mask}, words, w)


def bad_shares(subject, requirement):
    """Shares out of [0, 1], and axes that the weights do not have."""
    for value in (-0.1, 1.5, "nan", None):
        yield subject.raises(
            requirement,
            f"sparsity={value} is refused",
            {"sparsity": {"float": value} if isinstance(value, str) else value},
            ["sparsity", f"Received: sparsity={value}"],
            error="TypeError" if value is None else "ValueError",
        )
    w = numbers("bad axis", (3, 4))
    for axis in (2, [0, 0]):
        title = f"axis={axis} is refused on rank 2"
        yield subject.raises(requirement, title, {"axis": axis}, ["Received: axis="], w)
