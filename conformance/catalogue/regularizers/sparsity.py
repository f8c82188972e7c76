"""The cases of the penalties that make groups or activations sparse."""

from mpmath import mpf

from conformance.catalogue.build import Subject, exactly, given
from conformance.catalogue.every import EVERY_AXIS, SAME_PENALTY, breadth, long_sums, manners
from conformance.catalogue.inputs import equal, numbers, of
from conformance.oracles import layers
from conformance.oracles.exact import Tensor
from conformance.oracles.regularizers import sparsity

GROUP_LASSO = Subject("group_lasso", "GroupLasso", sparsity.group_lasso, penalty=True)
HOYER = Subject("hoyer", "Hoyer", sparsity.hoyer, penalty=True, axis=None)
KL_SPARSITY = Subject("kl_sparsity", "KLSparsity", sparsity.kl_sparsity, penalty=True)

REQUIREMENTS = {
    "KN-GROUPLASSO-001": (
        "the penalty is the sum of the norms of the groups, each times the root of its size",
        "Yuan, Lin, JRSS B 68, 2006",
    ),
    "KN-GROUPLASSO-002": EVERY_AXIS,
    "KN-GROUPLASSO-003": SAME_PENALTY,
    "KN-GROUPLASSO-004": ("a zero group has gradient 0", "the subgradient of least norm"),
    "KN-GROUPLASSO-005": ("a bad factor, axis or flag is refused", "Keras' voice"),
    "KN-GROUPLASSO-006": (
        "penalties on many groups are as exact as on few",
        "XLA adds one term after another",
    ),
    "KN-HOYER-001": (
        "the penalty is the squared ratio of the L1 norm to the L2 norm, from 1 to n, whatever the "
        "size of the entries",
        "Yang, Wen, Li, ICLR 2020",
    ),
    "KN-HOYER-002": EVERY_AXIS,
    "KN-HOYER-003": SAME_PENALTY,
    "KN-HOYER-004": ("a group of zeros has penalty 0 and gradient 0", "0 / 0 otherwise"),
    "KN-HOYER-005": ("a bad factor or axis is refused", "Keras' voice"),
    "KN-KLSPARSITY-001": (
        "the penalty is the divergence of each unit's mean activation from rho, once under every "
        "Keras, and does not depend on the size of the batch",
        "Ng, CS294A, 2011",
    ),
    "KN-KLSPARSITY-002": (
        "means of 0 and 1 have a finite penalty",
        "the logarithm of 0",
    ),
    "KN-KLSPARSITY-003": ("a bad factor or rho is refused", "Keras' voice"),
}


def case_files():
    yield GROUP_LASSO.file("forward", group_lasso())
    yield GROUP_LASSO.file("long", long_sums(GROUP_LASSO, "KN-GROUPLASSO-006", {"factor": 0.5}))
    yield HOYER.file("forward", hoyer())
    yield KL_SPARSITY.file("activity", kl_sparsity())


def group_lasso():
    requirement, hand = "KN-GROUPLASSO-001", of((2, 2), [3, 0, 4, 0])
    for scaled, words in ((False, "5 / 2"), (True, "5 / 2 times the root of 2")):
        config = {"factor": 0.5, "size_scaled": scaled}
        title, hunts = f"by hand: {words}", "squares; a root of the wrong count"
        yield GROUP_LASSO.case(requirement, hand, title, hunts, config)
    w, filters = numbers("lasso", (3, 3, 2, 4)), {"factor": 0.5, "axis": [0, 1, 2]}
    title = "one norm per filter of a convolution"
    yield GROUP_LASSO.case(requirement, w, title, "rows of the kernel for filters", filters)
    yield from breadth(GROUP_LASSO, "KN-GROUPLASSO-002", {"factor": 0.5})
    yield from manners(GROUP_LASSO, "KN-GROUPLASSO-003", {"factor": 0.5})
    w = of((3, 3), [3, 0, 1, 4, 0, 2, 1, 0, -1])
    title, hunts = "the gradient with a zero group", "NaN from the root of 0"
    yield GROUP_LASSO.gradient("KN-GROUPLASSO-004", w, title, hunts, {"factor": 0.5})
    zero, title = equal((3, 2), 0), "the gradient at zero weights"
    yield GROUP_LASSO.gradient("KN-GROUPLASSO-004", zero, title, hunts, {"factor": 0.5})
    yield from refused(GROUP_LASSO, "KN-GROUPLASSO-005")
    yield GROUP_LASSO.raises(
        *("KN-GROUPLASSO-005", "size_scaled=1 is refused", {"size_scaled": 1}),
        ["Received: size_scaled=1"],
        error="TypeError",
    )


def hoyer():
    requirement, config = "KN-HOYER-001", {"factor": 0.5}
    for title, entries in (
        ("by hand: one entry has 1", [0, -7, 0, 0]),
        ("by hand: four equal entries have 4", [3, -3, 3, -3]),
        ("by hand: [3, 4] has 49 / 25", [3, 4]),
        ("weights over 2**60", [mpf(2) ** -60 * x for x in (3, -1, 2, 5)]),
        ("weights times 2**60", [mpf(2) ** 60 * x for x in (3, -1, 2, 5)]),
        ("one large entry beside many small ones", [mpf(1024)] + [mpf(0.125)] * 255),
    ):
        w, hunts = of((len(entries),), entries), "an epsilon; a square that is lost"
        yield HOYER.case(requirement, w, title, hunts, config)
    yield from breadth(HOYER, "KN-HOYER-002", config)
    yield from manners(HOYER, "KN-HOYER-003", config)
    w = of((3, 3), [3, 0, 1, 4, 0, 2, 1, 0, -1])
    title, hunts = "the gradient with a zero group", "0 / 0"
    yield HOYER.gradient("KN-HOYER-004", w, title, hunts, config | {"axis": 0})
    zero = equal((3, 2), 0)
    yield HOYER.case("KN-HOYER-004", zero, "zero weights have penalty 0", hunts, config, exact=True)
    yield HOYER.gradient("KN-HOYER-004", zero, "the gradient at zero weights", hunts, config)
    yield from refused(HOYER, "KN-HOYER-005")


def refused(subject, requirement):
    """Factors and axes that cannot be."""
    title, words = "factor=-1 is refused", ["`factor`", "Received: factor=-1"]
    yield subject.raises(requirement, title, {"factor": -1}, words)
    w, title = numbers("bad axis", (3, 4)), "axis=2 is refused on rank 2"
    yield subject.raises(requirement, title, {"axis": 2}, ["Received: axis=2"], w)


def kl_sparsity():
    x = of((4, 3), [v / mpf(16) for v in (1, 3, 8, 2, 2, 4, 1, 6, 8, 3, 1, 0)])
    eye = of((3, 3), [1, 0, 0, 0, 1, 0, 0, 0, 1])
    twice = of((8, 3), [*x.entries, *x.entries])
    hunts = "a division by the batch; a sum over samples; the two rates swapped"
    for title, batch, config in (
        ("the divergence of three units", x, {"factor": 0.5, "rho": 0.25}),
        ("a batch that is repeated has the same penalty", twice, {"factor": 0.5, "rho": 0.25}),
        ("the default rho", x, {"factor": 1.0}),
        ("a single sample", of((1, 3), x.entries[:3]), {"factor": 1.0, "rho": 0.125}),
    ):
        yield _of_outputs("KN-KLSPARSITY-001", title, hunts, batch, eye, config)
    ends = of((2, 3), [0, 1, 0.5, 0, 1, 0.5])
    title, hunts = "means of 0 and 1", "infinity, or NaN"
    yield _of_outputs("KN-KLSPARSITY-002", title, hunts, ends, eye, {"factor": 0.5})
    for config, words in (
        ({"factor": -1}, "factor=-1"),
        ({"rho": 0}, "rho=0"),
        ({"rho": 1}, "rho=1"),
        ({"rho": 1.5}, "rho=1.5"),
    ):
        title = f"{words} is refused"
        yield KL_SPARSITY.raises("KN-KLSPARSITY-003", title, config, [f"Received: {words}"])


def _of_outputs(requirement, title, hunts, x, kernel, config):
    """A case about the activity penalty of a Dense layer, which enters the loss as it is."""
    outputs = layers.dense(x, kernel)
    number = Tensor((), (sparsity.kl_sparsity(outputs, **config),))
    found = exactly(number, "float32", len(outputs.entries))
    regularizers = {"activity_regularizer": ("KLSparsity", config)}
    inputs = {"x": given(x), "kernel": given(kernel), "regularizers": regularizers}
    about = (title, hunts, config, inputs, {"sum": found, "mean": found})
    return KL_SPARSITY.about("activity", requirement, *about)
