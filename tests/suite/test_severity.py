"""How bad a failure is follows from what was measured."""

import dataclasses
import json
import math

import keras
import numpy as np
import pytest
from keras import ops
from one_case import case, expecting, outcome

import keras_norms as kn
from keras_norms.testing import severity
from keras_norms.testing.severity import CONVENTION, IMPRECISE, MISSING, WRONG


def scaled(factor):
    """Max-norm whose result is off by a factor."""
    return lambda **config: lambda w: kn.MaxNorm(**config)(w) * factor


@pytest.mark.parametrize(
    ("factor", "wanted"),
    [
        (1 + 1e-5, IMPRECISE),
        (1.009, IMPRECISE),
        (1.011, WRONG),
        (0.98, WRONG),
        (math.inf, WRONG),
        (math.nan, WRONG),
    ],
)
def test_a_value_may_be_off_by_one_per_cent(factor, wanted):
    assert outcome(case(), MaxNorm=scaled(factor)).severity == wanted


def test_what_passes_has_no_severity():
    assert outcome(case()).severity is None


def test_the_worst_measure_counts():
    given = case(kind="idempotent")
    given = dataclasses.replace(
        given, inputs=given.inputs | {"times": 1}, expected=given.expected | {"moves": 0}
    )

    def drifting(**config):
        return lambda w: w * (0.2000001 if float(ops.max(w)) > 1 else 0.9)

    found = outcome(given, MaxNorm=drifting)
    first, last, _ = found.measures
    assert first.relative < 0.01 < last.relative
    assert found.severity == WRONG


def test_below_the_smallest_normal_number_an_ulp_is_no_large_error():
    """Half of the smallest number of float16 is all of the value, and one rounding."""
    tiny = {"shape": [1], "values": [["0x1.0p-25", "0x0.0p+0"]], "dtype": "float16", "reduced": 1}
    given = case(
        dtype="float16",
        inputs={"w": {"shape": [1], "values": ["0x1.0p-24"]}},
        expected={"result": tiny | {"scale": "entry", "passes": 1}},
    )
    found = outcome(given, MaxNorm=lambda **config: lambda w: w * 2)
    assert found.severity == IMPRECISE
    assert found.measures[0].score == 1.5


def penalty(dtype, values, exact, reduced=2):
    """A penalty of half-precision weights: a float32 is due."""
    result = {"shape": [], "dtype": "float32", "reduced": reduced, "scale": "entry", "passes": 1}
    return case(
        target="L1",
        config={"l1": 1.0},
        dtype=dtype,
        inputs={"w": {"shape": [len(values)], "values": [float(v).hex() for v in values]}},
        expected={"result": result | {"values": [[float(exact).hex(), "0x0.0p+0"]]}},
    )


def in_own_dtype(factor=1.0):
    return lambda **config: lambda w: ops.sum(ops.abs(w)) * factor


def test_only_the_dtype_of_a_half_precision_penalty_is_a_convention():
    given = penalty("float16", [1.5, 2.5], 4.0)
    found = outcome(given, L1=in_own_dtype())
    assert (found.status, found.severity) == ("failed", CONVENTION)
    assert outcome(given, L1=in_own_dtype(1 + 2.0**-9)).severity == IMPRECISE
    assert outcome(given, L1=in_own_dtype(1.05)).severity == WRONG
    assert outcome(penalty("float16", [6e4, 6e4], 1.2e5), L1=in_own_dtype()).severity == WRONG


def test_the_dtype_of_weights_is_no_convention():
    lossy = expecting(dtype="float64")
    assert outcome(lossy).severity == IMPRECISE  # 0.6 in float32
    wide = expecting(dtype="float16", values=[["0x1.0p+0", "0x0.0p+0"]] * 2)
    found = outcome(wide, MaxNorm=lambda **config: ops.ones_like)
    assert (found.status, found.severity) == ("failed", WRONG)


@pytest.mark.parametrize("changes", [{"shape": [1, 2]}, {"shape": [2, 1], "dtype": "bool"}])
def test_another_shape_or_no_number_is_wrong(changes):
    made = (lambda **config: lambda w: w > 0) if "dtype" in changes else kn.MaxNorm
    given = expecting(shape=changes["shape"])
    assert outcome(given, MaxNorm=made).severity == WRONG


def slope(w, weights, exact):
    """The gradient of the sum of weights times what a constraint returns."""
    return case(
        kind="gradient",
        target="NonNeg",
        config={},
        inputs={
            name: {"shape": [len(v)], "values": [float(x).hex() for x in v]}
            for name, v in (("w", w), ("weights", weights))
        },
        expected={
            "result": {
                "shape": [len(w)],
                "dtype": "float32",
                "reduced": 1,
                "scale": "entry",
                "passes": 1,
                "values": [[float(x).hex(), "0x0.0p+0"] for x in exact],
            }
        },
    )


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda w: ops.where(w >= 0, w, 0 * w), CONVENTION),  # the slope on the right
        (lambda w: ops.where(w > 0, w, ops.where(w == 0, w / 2, 0 * w)), CONVENTION),
        (lambda w: ops.where(w > 0, w, ops.where(w == 0, w * 3, 0 * w)), WRONG),  # no slope there
        (lambda w: ops.where(w >= 0, w, w), WRONG),  # and off where there is no kink
        (lambda w: ops.where(w == 0, w * math.inf, ops.maximum(w, 0)), WRONG),
    ],
)
def test_only_another_slope_at_a_kink_is_a_convention(function, wanted):
    given = slope([0.0, 2.0, -1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0])
    found = outcome(given, NonNeg=lambda **config: function)
    assert (found.status, found.severity) == ("failed", wanted)


def test_a_wrong_gradient_at_a_zero_without_a_kink_is_wrong():
    given = slope([0.0, 2.0], [1.0, 1.0], [1.0, 1.0])
    found = outcome(given, NonNeg=lambda **config: lambda w: ops.where(w == 0, w * 0, w))
    assert found.severity == WRONG


def raising(error):
    def make(**config):
        raise error

    return make


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (ValueError("`l1` must be a float. Received: l1=0.5"), MISSING),
        (TypeError("Inputs must have rank 2. Received: shape=(3,)"), MISSING),
        (ValueError("shapes (3,) and (2,) cannot be broadcast"), WRONG),
        (RuntimeError("expected float. Received: half"), WRONG),
        (type("Backend", (ValueError,), {})("Received: "), WRONG),
    ],
)
def test_a_refusal_in_keras_own_words_is_a_missing_feature(error, wanted):
    found = outcome(case(), MaxNorm=raising(error))
    assert (found.status, found.severity) == ("crashed", wanted)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (None, WRONG),
        (TypeError("Received: max_value=-1"), WRONG),
        (ValueError("no"), CONVENTION),
    ],
)
def test_bad_input_must_be_refused_by_one_type_of_exception(error, wanted):
    given = case(kind="raises", inputs={}, expected={"error": "ValueError", "words": ["Received"]})
    made = raising(error) if error else lambda **config: None
    found = outcome(given, MaxNorm=made)
    assert (found.status, found.severity) == ("failed", wanted)


def test_what_cannot_be_compiled_is_wrong():
    given = case(kind="jit")
    given = dataclasses.replace(given, inputs=given.inputs | {"one_graph": True})

    def detour(**config):
        return lambda w: ops.convert_to_tensor(np.asarray(w.numpy()))

    assert outcome(given, MaxNorm=detour).severity == WRONG


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ({"a": 0.10000000149}, IMPRECISE),
        ({"a": 0.102}, WRONG),
        ({"a": math.inf}, WRONG),
        ({"a": "nothing"}, WRONG),
        ({"a": [0.1]}, WRONG),
        ({"a": True}, WRONG),
    ],
)
def test_a_number_in_a_config_may_be_rounded(found, wanted):
    assert severity.of_config(found, {"a": 0.1}) == wanted
    assert severity.of_config(found | {"b": 2}, {"a": 0.1, "b": 1}) == WRONG


def test_equality_and_names_are_missing():
    given = case(kind="equality", inputs={}, expected={})
    found = outcome(given, MaxNorm=keras.constraints.MaxNorm)
    assert (found.status, found.severity) == ("failed", MISSING)
    given = case(kind="by_name", inputs={"name": "no such"}, expected={"config": {}})
    assert outcome(given).severity == MISSING


def test_weights_that_leave_the_set_are_wrong_and_by_a_rounding_they_are_imprecise():
    inputs = {"path": "set_weights"}
    given = case(kind="training", inputs=inputs, expected={"bound": 1.0})
    assert outcome(given).severity == WRONG
    start = float(np.linalg.norm([math.sqrt(2)] * 4))
    near = dataclasses.replace(given, expected={"bound": start * (1 - 1e-5)})
    assert outcome(near).severity == IMPRECISE


def test_an_expected_failure_that_passes_is_wrong():
    from keras_norms.testing import runner
    from keras_norms.testing.expected import Expected

    known = {"a": Expected("a", "Keras", "https://example.org", message="off")}
    (found,) = runner.run([case()], expected=known)
    assert (found.status, found.severity) == ("failed", WRONG)


def test_a_measure_can_be_written_as_json():
    (measure,) = outcome(case(), MaxNorm=scaled(1.001)).measures
    assert json.loads(json.dumps(vars(measure)))["relative"] == pytest.approx(1e-3, rel=1e-3)
