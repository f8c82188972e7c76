"""Cases about whole models: what `constrain`, `project` and `audit` make of one that is built.

A model is given by its layers, and by the values of all of its weights in the order of Keras.
"""

import warnings

import keras
from keras import ops

from keras_norms.testing.cases import input_array
from keras_norms.testing.harness import Mismatch


def constrained(case, harness):
    """What is set on each weight, and the values of all weights right after."""
    model = _model(case, harness)
    weights = list(model.weights)
    where = case.inputs.get("where")
    if isinstance(where, dict):
        where = getattr(keras.layers, where["layer"])
    setting = _made(case.inputs["setting"], harness)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `saved` says the same
        changes = harness.find("constrain")(
            model, setting, where=where, axis=case.inputs.get("axis", "unit")
        )
    places = {w.path: i for i, w in enumerate(weights)}
    found = [
        {"weight": places[c.path], "axis": _listed(c.after.axis), "saved": c.saved} for c in changes
    ]
    wanted = case.expected["changes"]
    if sorted(found, key=lambda change: change["weight"]) != wanted:
        raise Mismatch(f"The changes must be {wanted}. Received: {found}")
    for change in wanted:
        held = weights[change["weight"]].constraint
        if _listed(getattr(held, "axis", None)) != change["axis"]:
            raise Mismatch(f"Weight {change['weight']} must have {change}. Received: {held}")
    return _compared(weights, case, harness)


def projected(case, harness):
    """The paths of the projected weights, and the values of all weights."""
    model = _model(case, harness)
    weights = list(model.weights)
    paths = harness.find("project")(model)
    wanted = [weights[i].path for i in case.expected["moved"]]
    if sorted(paths) != sorted(wanted):
        raise Mismatch(f"These must be projected: {wanted}. Received: {paths}")
    return _compared(weights, case, harness)


def audited(case, harness):
    """The findings, in their order, and what is expected of the measures."""
    model = _model(case, harness)
    result = harness.find("audit")(model)
    found = [[f.code, f.severity, _short(f.path, model)] for f in result.findings]
    if found != case.expected["findings"]:
        raise Mismatch(f"The findings must be {case.expected['findings']}. Received: {found}")
    reports = {_short(report.path, model): report for report in result.weights}
    measures = []
    for what in ("norms", "penalties"):
        for path, expected in case.expected.get(what, {}).items():
            got = reports[path].norms if what == "norms" else reports[path].penalty
            got = ops.convert_to_tensor(got, dtype=expected["dtype"])
            measures.append(harness.compare(f"{what} of {path}", got, expected))
    return measures


def _model(case, harness):
    """The model of a case, with its weights."""
    data = case.inputs
    x = inputs = keras.Input(data["input_shape"])
    for each in data["layers"]:
        layer = _made(each, harness)
        attends = isinstance(layer, keras.layers.MultiHeadAttention)
        x = layer(x, x) if attends else layer(x)
    model = keras.Model(inputs, x, name="model")
    if len(model.weights) != len(data["weights"]):
        raise ValueError(f"{case.id} must give {len(model.weights)} weights")
    for variable, given in zip(model.weights, data["weights"], strict=True):
        variable.assign(ops.cast(input_array(given), variable.dtype))
    for name, attribute, value in data.get("after", []):
        setattr(model.get_layer(name), attribute, _made(value, harness))
    return model


def _made(value, harness):
    """What JSON describes by the name of a class and its arguments, at any depth."""
    if not isinstance(value, dict) or set(value) != {"class_name", "config"}:
        return value
    name = value["class_name"]
    arguments = {key: _made(each, harness) for key, each in value["config"].items()}
    layer = getattr(keras.layers, name, None)
    return (harness.find(name) if layer is None else layer)(**arguments)


def _compared(weights, case, harness):
    return [
        harness.compare(f"weight {i}", ops.convert_to_tensor(weight), expected)
        for i, (weight, expected) in enumerate(zip(weights, case.expected["weights"], strict=True))
    ]


def _short(path, model):
    """A path below the model: its name may be that of another model with a number."""
    return path.removeprefix(f"{model.name}/")


def _listed(axis):
    """An axis as JSON lists it."""
    return [axis] if isinstance(axis, int) else list(axis) if axis is not None else None


KINDS = {f.__name__: f for f in (constrained, projected, audited)}
