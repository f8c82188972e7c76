"""Classes of the users that are no dataclasses: nothing that their `__init__` takes is lost."""

import dataclasses
import json
import math
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from own_classes import Forgets, Remembers, registered
from whole_models import L

import keras_norms as kn
from keras_norms.constraints import Constraint
from keras_norms.models.loading import needed_to_load
from keras_norms.regularizers import Regularizer
from keras_norms.setting import same
from keras_norms.testing.laws.common import config_survives


@registered
class HalfRemembers(Forgets):
    def get_config(self):
        return {"axis": self.axis}


@registered
class TakesNothing(Constraint):
    def __init__(self):
        pass

    def compute_projection(self, w, axes):
        return ops.minimum(w, 1)


@registered
class OfKeras(keras.constraints.Constraint):
    """A class for Keras alone, whose config is Keras' empty one."""

    def __init__(self, bound=1.0):
        self._bound = bound

    def __call__(self, w):
        return ops.clip(w, -self._bound, self._bound)


class NoConfig(keras.constraints.Constraint):
    def get_config(self):
        raise KeyError("which is not saved")


@registered
class HoldsAnother(keras.constraints.Constraint):
    """An argument that Keras cannot compare is not called lost."""

    def __init__(self, inner=None):
        self.inner = inner or NoConfig()

    def __call__(self, w):
        return self.inner(w)


class Unregistered(Remembers):
    pass


def convolution(constraint):
    return keras.Sequential([L.Input((8, 8, 3)), L.Conv2D(4, 3, kernel_constraint=constraint)])


def not_saved(model, saving=False):
    return [f for f in kn.audit(model, saving=saving).findings if f.code == "not-saved"]


def test_a_model_is_not_saved_without_the_arguments(tmp_path):
    with pytest.raises(NotImplementedError, match=r"Forgets must override `get_config`.*bound, ax"):
        convolution(Forgets(5.0)).save(tmp_path / "model.keras")
    convolution(TakesNothing()).save(tmp_path / "model.keras")


@pytest.mark.parametrize("saving", [False, True])
@pytest.mark.parametrize("setting", [Forgets(5.0), HalfRemembers(5.0), OfKeras(5.0)])
def test_what_a_config_lacks_is_found(setting, saving):
    (finding,) = not_saved(convolution(setting), saving)
    name = type(setting).__name__
    assert finding.fix.startswith(f"# let `get_config` of {name} return all arguments")
    with pytest.warns(kn.KerasNormsWarning, match=f"Let `get_config` of {name} return all"):
        changes = kn.constrain(convolution(None), setting, axis="own")
    assert [change.saved for change in changes] == [False]


@pytest.mark.parametrize("saving", [False, True])
@pytest.mark.parametrize(
    "setting", [Remembers(5.0), HalfRemembers(), OfKeras(), TakesNothing(), HoldsAnother()]
)
def test_what_is_loaded_as_it_was_is_no_finding(setting, saving):
    assert not not_saved(convolution(setting), saving)


def test_a_class_that_keras_does_not_know():
    (finding,) = not_saved(convolution(Unregistered(5.0)))
    assert finding.fix.startswith("# make Unregistered known by")


def test_settings_are_not_written_without_the_arguments(tmp_path):
    with pytest.raises(ValueError, match="let `get_config` of OfKeras return all arguments"):
        kn.save_settings(convolution(OfKeras(5.0)), tmp_path / "settings.json")


def test_another_axis_comes_from_the_config():
    moved = Remembers(5.0).along((0, 1, 2))
    assert (moved.bound, moved.axis) == (5.0, (0, 1, 2))
    with pytest.raises(TypeError, match="or have `axis` in its config"):
        Forgets(5.0).along((0, 1, 2))


def test_an_audit_of_a_class_that_cannot_have_another_axis():
    codes = {f.code for f in kn.audit(convolution(Forgets())).findings}
    assert codes == {"not-saved"}
    assert "wrong-axis" in {f.code for f in kn.audit(convolution(Remembers())).findings}


@registered
@dataclasses.dataclass(frozen=True)
class Fields(Constraint):
    """A dataclass without checks of its fields, as the documentation shows one."""

    axis: int = 0
    high: float = 1.0
    table: Any = None

    def compute_projection(self, w, axes):
        return ops.minimum(w, self.high)


@dataclasses.dataclass(frozen=True)
class Listed(Fields):
    """Its config is read as JSON has it."""

    def __post_init__(self):
        pass


def test_fields_without_a_check_come_back_as_they_were(tmp_path):
    model = convolution(None)
    kn.constrain(model, Fields(high=math.inf))
    model.save(tmp_path / "model.keras")
    (layer,) = keras.saving.load_model(tmp_path / "model.keras").layers
    assert layer.kernel.constraint == Fields((0, 1, 2), math.inf)
    assert len({layer.kernel.constraint, Fields((0, 1, 2), math.inf)}) == 1
    w = np.ones((3, 2), "float32")
    config_survives(Fields(), w)
    assert Fields(table=w).table is w
    with pytest.raises(AssertionError, match=r"axis=\(0, 1\)"):
        config_survives(Listed(), w)


@pytest.mark.parametrize("broken", [Forgets(), HalfRemembers()])
def test_a_law_asks_for_each_argument(broken):
    w = np.ones((3, 2), "float32")
    with pytest.raises((AssertionError, NotImplementedError), match="bound"):
        config_survives(broken, w)
    config_survives(Remembers(), w)


@registered
class ByWord(keras.constraints.Constraint):
    """Another meaning of `axis`."""

    axis = "rows"

    def __call__(self, w):
        return ops.minimum(w, 0.5)


@pytest.mark.parametrize("base", [keras.constraints.Constraint, keras.regularizers.Regularizer])
def test_a_class_of_keras_may_mean_something_else_by_all_our_names(base):
    """What is not ours is never asked."""

    @registered
    class Foreign(base):
        def __init__(self):
            self.members = self.factors = self.step_rate = self.axis = 8
            self.has_groups = self.needs_layout = self.for_activations = True
            self.is_sparse = self.is_exact = True
            self.norm_bounds = self.audit_columns = None

        def __call__(self, w):
            return 0.5 * w if base is keras.constraints.Constraint else ops.sum(w)

        def get_config(self):
            return {}

    model = keras.Sequential([L.Input((4,)), L.Dense(3)])
    is_constraint = base is keras.constraints.Constraint
    (kn.constrain if is_constraint else kn.regularize)(model, Foreign(), axis="own")
    model.compile("sgd", "mse")
    callbacks = [kn.NormHistory(), *([kn.ProjectWeights()] if is_constraint else [])]
    model.fit(np.ones((2, 4)), np.ones((2, 3)), verbose=0, callbacks=callbacks)
    audit = kn.audit(model)
    assert {finding.code for finding in audit.findings} <= {"violated"}  # it halves them each time
    audit.plot()
    assert "Foreign" in str(audit)
    if not is_constraint:
        with pytest.raises(ValueError, match="it has no factor"):
            model.fit(
                *(np.ones((2, 4)), np.ones((2, 3))),
                verbose=0,
                callbacks=[kn.FactorSchedule(float)],
            )


@registered
@dataclasses.dataclass(frozen=True)
class Named(Constraint):
    """A field that is a dict of arrays."""

    bounds: dict = dataclasses.field(default_factory=dict)

    def compute_projection(self, w, axes):
        return w


@registered
class LosesArrays(Constraint):
    """What it holds comes back as something else, under the same keys."""

    def __init__(self, bounds):
        self.bounds = bounds

    def get_config(self):
        return {"bounds": dict.fromkeys(self.bounds, 0.0)}

    def compute_projection(self, w, axes):
        return w


NOTEBOOK = """
@keras.saving.register_keras_serializable("notebook")
@dataclasses.dataclass(frozen=True)
class Half(Constraint):
    share: float = 0.5

    def compute_projection(self, w, axes):
        return w
"""


def test_a_class_of_a_notebook_cell_that_is_run_again_is_not_lost():
    names = {"dataclasses": dataclasses, "keras": keras, "Constraint": Constraint}
    exec(NOTEBOOK, names)
    model = keras.Sequential([L.Input((4,)), L.Dense(3, kernel_constraint=names["Half"](0.5))])
    exec(NOTEBOOK, names)
    assert kn.audit(model, saving=True).findings == ()
    before = model.layers[0].kernel.constraint
    assert same(before, names["Half"](0.5))
    assert not same(before, names["Half"](0.25))
    assert not same(TakesNothing(), Named())


def test_a_dict_of_arrays_comes_back(tmp_path):
    layer = L.Dense(3, kernel_constraint=Named({"a": np.array([1.0, 2.0]), "b": ({"c": 1.0},)}))
    model = keras.Sequential([L.Input((4,)), layer])
    assert kn.audit(model, saving=True).findings == ()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").layers[0].kernel.constraint
    np.testing.assert_array_equal(loaded.bounds["a"], [1.0, 2.0])
    assert loaded.bounds["b"] == ({"c": 1.0},)
    assert needed_to_load(loaded) is None
    assert needed_to_load(LosesArrays({"a": np.array([1.0, 2.0])})).startswith("let `get_config`")
    assert needed_to_load(LosesArrays({"a": 0.0})) is None


def test_a_users_class_may_mean_something_else_by_axis():
    layer = L.Dense(4, kernel_constraint=ByWord(), kernel_initializer="zeros")
    model = keras.Sequential([L.Input((3,)), layer])
    assert not kn.audit(model).findings
    model.compile("sgd", "mse")
    history = model.fit(
        np.ones((4, 3)), np.ones((4, 4)), callbacks=[kn.NormHistory()], verbose=0
    ).history
    assert f"max_norm/{layer.kernel.path}" in history
    layer.kernel.constraint = keras.constraints.MaxNorm(axis=5)
    assert "cannot-apply" in {f.code for f in kn.audit(model).findings}


@dataclasses.dataclass(frozen=True)
class Raises(Constraint):
    def compute_projection(self, w, axes):
        raise ZeroDivisionError("one more weight")


@dataclasses.dataclass(frozen=True)
class NotScalar(Regularizer):
    def compute_penalty(self, x):
        return x


@pytest.mark.parametrize("wrong", [Raises(), Constraint(), kn.Chain(Raises(), kn.NonNeg())])
def test_a_constraint_that_cannot_be_applied_changes_nothing(wrong):
    model = convolution(kn.NonNeg())
    with pytest.raises(ValueError, match=r"cannot be applied to .*kernel"):
        kn.constrain(model, wrong, axis="own")
    assert model.layers[0].kernel.constraint == kn.NonNeg()


def test_a_penalty_that_is_no_number_changes_nothing():
    model = convolution(None)
    with pytest.raises(ValueError, match="must return one number"):
        kn.regularize(model, NotScalar())
    assert model.layers[0].kernel.regularizer is None


@registered
class Rows(Constraint):
    """One that is no dataclass, and whose axis has a default."""

    def __init__(self, axis=0):
        self.axis = axis

    def compute_projection(self, w, axes):
        return w / (1 + ops.sum(ops.abs(w), axis=axes, keepdims=True))

    def get_config(self):
        return {"axis": self.axis}


def test_the_default_axis_of_a_class_is_that_of_its_arguments():
    model = convolution(None)
    (change,) = kn.constrain(model, Rows())
    assert change.after.axis == (0, 1, 2)
    with pytest.raises(ValueError, match="has an axis of its own"):
        kn.constrain(model, Rows(axis=1))


@registered
@dataclasses.dataclass(frozen=True)
class Nested(Constraint):
    """One whose fields hold other settings, and numbers in a tuple."""

    inner: Any = kn.NonNeg()
    more: tuple[Any, ...] = ()
    range: tuple[float, float] = (0.0, 1.0)

    def compute_projection(self, w, axes):
        return ops.clip(self.inner.project(w), *self.range)


def test_settings_in_settings_come_back(tmp_path):
    given = Nested(kn.Clip(-1.0, 1.0), (kn.NonNeg(), kn.MaxNorm(2.0)), (0.0, math.inf))
    json.dumps(given.get_config(), allow_nan=False)
    model = convolution(given)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].kernel.constraint == given
    assert not not_saved(model, saving=True)


class TwoNumbers(TakesNothing):
    def audit_columns(self, w):
        return (1.0, 2.0)


def test_columns_that_are_none_are_refused_as_what_they_are():
    with pytest.raises(TypeError, match=r"`audit_columns` of TwoNumbers must .* \(1.0, 2.0\)"):
        kn.audit(convolution(TwoNumbers()))


class Unknown(keras.regularizers.Regularizer):
    """One that is not registered."""

    def __call__(self, x):
        return ops.sum(x)

    def get_config(self):
        return {}


@pytest.mark.parametrize("penalty", [kn.L1(0.1) + Unknown(), kn.BatchMean(Unknown())])
def test_the_advice_is_about_the_part_that_needs_it(penalty):
    assert needed_to_load(penalty) == (
        "make Unknown known by `keras.saving.register_keras_serializable`"
    )


def test_factors_are_found_where_annotations_are_text():
    code = """
from __future__ import annotations
import dataclasses
from keras_norms.regularizers import Regularizer
@dataclasses.dataclass(frozen=True)
class Own(Regularizer):
    amount: float = 0.5
    number: int = 1
"""
    names = {}
    exec(code, names)
    assert names["Own"]().factors == ("amount",)
