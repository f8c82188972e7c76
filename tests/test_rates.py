"""Constraints whose steps go a part of the way: who goes all of it, and who does not."""

import dataclasses

import keras
import numpy as np
import pytest
from whole_models import L

import keras_norms as kn
from keras_norms.constraints import Constraint

HALFWAY = kn.MinMaxNorm(0.0, 1.0, rate=0.5)


def far_out(constraint, **optimizer):
    """A model of which each unit of the first layer has the norm 8, and that does not learn."""
    layers = [L.Dense(2, name="d", kernel_constraint=constraint), L.Dense(2, name="e")]
    model = keras.Sequential([L.Input((4,)), *layers], name="m")
    model.get_layer("d").kernel.assign(np.full((4, 2), 4.0))
    model.compile(keras.optimizers.SGD(0.0, **optimizer), "mse")
    return model


def one_step(model, *callbacks):
    x, y = np.ones((2, 4), "float32"), np.ones((2, 2), "float32")
    model.fit(x, y, batch_size=2, verbose=0, callbacks=list(callbacks))
    return norms(model)


def norms(model):
    kernel = keras.ops.convert_to_numpy(model.get_layer("d").kernel)
    return np.linalg.norm(kernel, axis=0).tolist()


def callback(name):
    if name == "ProjectWeights":
        return kn.ProjectWeights()
    return kn.SparsitySchedule(0.5, 0, 1, where="^m/e/kernel$")


@pytest.mark.filterwarnings("ignore:The training ended with epoch 0")
@pytest.mark.parametrize("name", ["ProjectWeights", "SparsitySchedule"])
@pytest.mark.parametrize(
    "constraint", [HALFWAY, keras.constraints.MinMaxNorm(0.0, 1.0, rate=0.5)], ids=["ours", "keras"]
)
def test_a_callback_leaves_it_to_the_optimizer(name, constraint):
    assert one_step(far_out(constraint), callback(name)) == pytest.approx([4.5, 4.5], rel=1e-6)


def test_project_goes_all_of_the_way():
    model = far_out(HALFWAY)
    kn.project(model)
    assert norms(model) == pytest.approx([1.0, 1.0], rel=1e-6)


def test_of_a_chain_the_other_members_are_projected():
    model = far_out(kn.Chain(HALFWAY, kn.Clip(-3.0, 3.0)))
    model.evaluate(np.ones((2, 4)), np.ones((2, 2)), verbose=0, callbacks=[kn.ProjectWeights()])
    assert norms(model) == pytest.approx([6.0, 6.0], rel=1e-6)


def test_pruning_leaves_it_to_the_optimizer():
    model = far_out(HALFWAY)
    kn.prune(model, 0.5, where="^m/d/kernel$")
    assert norms(model) == pytest.approx([32**0.5] * 2, rel=1e-6)


def test_an_average_on_its_way_is_no_finding():
    model = far_out(HALFWAY, use_ema=True)
    one_step(model)
    assert [finding.code for finding in kn.audit(model).findings] == []


@dataclasses.dataclass(frozen=True)
class Noise(Constraint):
    """A class of a user's, to whom `rate` is something else."""

    rate: float = 0.1

    def compute_projection(self, w, axes):
        return keras.ops.minimum(w, 1)


class Slow(Constraint):
    """A class of a user's that is no dataclass, and says what a step does."""

    step_rate = 0.5

    def compute_projection(self, w, axes):
        return keras.ops.minimum(w, 1)

    def compute_step(self, w, axes):
        return (w + keras.ops.minimum(w, 1)) / 2

    def at_full_rate(self):
        return Noise()


@pytest.mark.parametrize(("constraint", "codes"), [(Noise(), []), (Slow(), ["repeated-rate"])])
def test_a_class_says_what_a_step_does(constraint, codes):
    model = far_out(constraint, gradient_accumulation_steps=2)
    kn.project(model)
    assert [f.code for f in kn.audit(model).findings if f.code != "not-saved"] == codes


def test_single_entries_go_a_part_of_the_way():
    step = kn.MinMaxNorm(0.0, 1.0, rate=0.5)([[3.0, -5.0, 0.5]])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(step), [[2.0, -3.0, 0.5]])
    tiny = kn.MinMaxNorm(1e10, 1e12, rate=0.5)([[1e-30, 0.0, np.nan]])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(tiny), [[5e9, 0.0, np.nan]])
