"""Functions of whole models, with the classic mistakes."""

import dataclasses

import keras

import keras_norms as kn
from keras_norms.testing.controls import Mutant


def one_axis(model, constraint, where=None, axis="unit"):
    """The constraint's own axis for every layer, as Keras' users write it."""
    return kn.constrain(model, constraint, where, axis="own")


def dense_only(model, constraint, where=None, axis="unit"):
    """Layers whose kernel is not called so are left out."""
    return kn.constrain(model, constraint, where or r"(^|/)kernel$", axis)


def later(model, constraint, where=None, axis="unit"):
    """The weights wait for the next step of an optimizer."""
    values = model.get_weights()
    changes = kn.constrain(model, constraint, where, axis)
    model.set_weights(values)
    return changes


def everything_saved(model, constraint, where=None, axis="unit"):
    changes = kn.constrain(model, constraint, where, axis)
    return [dataclasses.replace(change, saved=True) for change in changes]


def biases_too(model, constraint, where=None, axis="unit"):
    changes = kn.constrain(model, constraint, where, axis)
    for weight in model.weights:
        if weight.constraint is None and len(weight.shape) == 1:
            weight.assign(keras.ops.clip(weight, -0.5, 0.5))
    return changes


def where_ignored(model, constraint, where=None, axis="unit"):
    return kn.constrain(model, constraint, None if isinstance(where, str) else where, axis)


def axis_ignored(model, constraint, where=None, axis="unit"):
    return kn.constrain(model, dataclasses.replace(constraint, axis=0), where)


def trainable_only(model):
    """Frozen weights are skipped, as by Keras."""
    values = {w.path: keras.ops.copy(w) for w in model.non_trainable_weights}
    paths = kn.project(model)
    for weight in model.non_trainable_weights:
        weight.assign(values[weight.path])
    return paths


def kernels_only(model):
    values = {w.path: keras.ops.copy(w) for w in model.weights}
    paths = kn.project(model)
    for weight in model.weights:
        if not weight.path.endswith("kernel"):
            weight.assign(values[weight.path])
    return paths


def _found(change):
    """An audit whose findings are changed."""

    def audit(model):
        result = kn.audit(model)
        return dataclasses.replace(result, findings=tuple(change(result.findings)))

    return audit


def _measured(change):
    """An audit whose reports of weights are changed."""

    def audit(model):
        result = kn.audit(model)
        return dataclasses.replace(result, weights=tuple(map(change, result.weights)))

    return audit


def _with(report, norms, times=1):
    penalty = report.penalty and report.penalty * times
    return dataclasses.replace(report, norms=norms, penalty=penalty)


MUTANTS = [
    Mutant("one axis for all layers", {"constrain": one_axis}),
    Mutant("kernels of other names left out", {"constrain": dense_only}),
    Mutant("weights outside until the next step", {"constrain": later}),
    Mutant("a loss that is not told", {"constrain": everything_saved}),
    Mutant("biases moved too", {"constrain": biases_too}),
    Mutant("where ignored", {"constrain": where_ignored}),
    Mutant("the user's axis ignored", {"constrain": axis_ignored}),
    Mutant("frozen weights not projected", {"project": trainable_only}),
    Mutant("kernels only projected", {"project": kernels_only}),
    Mutant("no finding", {"audit": _found(lambda findings: [])}),
    Mutant("errors only", {"audit": _found(lambda f: [x for x in f if x.severity == "error"])}),
    Mutant("findings in reverse", {"audit": _found(reversed)}),
    Mutant("squared norms in the audit", {"audit": _measured(lambda r: _with(r, r.norms**2))}),
    Mutant(
        "penalties doubled in the audit",
        {"audit": _measured(lambda r: _with(r, r.norms, 2))},
    ),
]
