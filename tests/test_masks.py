"""What stays when weights with masks and other constraints are pruned."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_norms as kn

PATTERN = np.triu(np.ones((6, 4), bool))


def dense(constraint=None, scale=1.0, **arguments):
    """A layer of 6 inputs and 4 units, with weights from 1 to 24 times a scale."""
    layer = keras.layers.Dense(4, kernel_constraint=constraint, **arguments)
    layer.build((None, 6))
    layer.kernel.assign(scale * np.arange(1.0, 25.0).reshape(6, 4))
    return layer


def model_of(*layers):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((6,)), *layers])
    model.compile("sgd", "mse")
    return model


def fit(model, *callbacks, epochs=2):
    rng = np.random.default_rng(0)
    width = model.output_shape[-1]
    x, y = rng.standard_normal((16, 6)), rng.standard_normal((16, width))
    model.fit(x, y, epochs=epochs, verbose=0, callbacks=list(callbacks))


def weights(layer):
    return keras.ops.convert_to_numpy(layer.kernel)


@pytest.mark.parametrize(
    "pruned",
    [
        lambda model: kn.prune(model, 0.1),
        lambda model: kn.prune(model, 0.9),
        lambda model: kn.prune(model, 0.5, "global"),
        lambda model: fit(model, kn.SparsitySchedule(0.1, 0, 1)),
        lambda model: fit(model, kn.SparsitySchedule(0.9, 0, 1)),
    ],
)
def test_a_given_pattern_survives_every_way_to_prune(pruned):
    layer = dense(kn.FixedMask(PATTERN))
    model = model_of(layer)
    pruned(model)
    fit(model)
    assert not weights(layer)[~PATTERN].any()
    kn.freeze_zeros(model)
    assert not (layer.kernel.constraint.mask & ~PATTERN).any()


def test_frozen_zeros_stay_in_weights_that_are_not_projected_yet():
    layer = dense(kn.FixedMask(PATTERN))
    layer.kernel.assign(np.where(np.eye(6, 4), 0, 1))
    kn.freeze_zeros(layer, where="kernel")
    np.testing.assert_array_equal(layer.kernel.constraint.mask, PATTERN & ~np.eye(6, 4, dtype=bool))


@keras.saving.register_keras_serializable("test_masks")
@dataclasses.dataclass(frozen=True)
class Damped(kn.constraints.Constraint):
    """A class of the user's, whose mask is none."""

    mask: float = 0.5

    def compute_projection(self, w, axes):
        return keras.ops.clip(w, -self.mask, self.mask)


def test_what_another_class_calls_its_mask_is_none():
    layer = dense(Damped())
    kn.prune(layer, 0.5)
    assert layer.kernel.constraint == kn.Chain(Damped(), kn.Sparse(0.5))


def test_a_mask_of_ones_goes():
    layer = dense(kn.FixedMask(True))
    kn.prune(layer, 0.5)
    assert layer.kernel.constraint == kn.Sparse(0.5)


def test_one_threshold_is_for_what_the_constraints_leave():
    large, small = dense(kn.MaxNorm(1e-3), 100.0), dense(use_bias=False)
    model = keras.Sequential([keras.layers.Input((6,)), large, keras.layers.Dense(6), small])
    kn.prune(model, 0.5, "global", where=lambda layer, v: layer in (large, small) and v.ndim == 2)
    assert (np.mean(weights(large) == 0), np.mean(weights(small) == 0)) == (1.0, 0.0)


class Masks(keras.callbacks.Callback):
    """The mask of a layer in each epoch."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.seen = layer, []

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(self.layer.kernel.constraint.members[-1].mask)


def test_a_pruned_entry_goes_before_a_zero_that_is_in_use():
    """NonNeg makes more zeros than the schedule asks for, and they are all equal."""
    layer = dense(kn.NonNeg(), -1.0)
    model, masks = model_of(layer), Masks(layer)
    layer.kernel.assign(np.where(PATTERN, -1.0, 1.0))
    fit(model, kn.SparsitySchedule(0.5, 0, 4, 0.1), masks, epochs=6)
    for earlier, later in zip(masks.seen, masks.seen[1:], strict=False):
        assert not (later & ~earlier).any()
    kept = [mask.sum() for mask in masks.seen]
    assert kept == [22, 16, 13, 12, 12, 12]
    again = Masks(layer)  # as after the model has been loaded
    fit(model, kn.SparsitySchedule(0.5, 0, 4, 0.1), again, epochs=6)
    np.testing.assert_array_equal(again.seen, [masks.seen[-1]] * 6)


def test_of_equal_entries_those_that_are_pruned_go_first():
    mask = np.arange(24).reshape(6, 4) >= 6
    layer = dense(kn.FixedMask(mask), 0.0)
    fit(model_of(layer), kn.SparsitySchedule(0.25, 0, 0), epochs=1)
    np.testing.assert_array_equal(layer.kernel.constraint.mask, mask)


@pytest.mark.parametrize("constraint", [kn.Simplex(), kn.ZeroMean(), kn.Orthogonal()])
def test_a_chain_whose_members_do_not_agree_is_no_restored_weight(constraint, recwarn):
    layer = dense(constraint)
    model = model_of(layer)
    fit(model, kn.SparsitySchedule(0.5, 0, 1), epochs=3)
    assert not [w for w in recwarn if issubclass(w.category, kn.KerasNormsWarning)]
    (finding,) = kn.audit(model).findings
    assert finding.code == "violated"
    assert "a chain whose members do not agree" in finding.message
    assert "kn.project" not in finding.fix


def test_frozen_weights_that_are_named_are_left_out_with_a_warning():
    frozen, other = dense(trainable=False, name="frozen"), keras.layers.Dense(4, name="other")
    model, schedule = model_of(frozen, other), kn.SparsitySchedule(0.5, 0, 1, where="kernel")
    with pytest.warns(kn.KerasNormsWarning, match=r"leaves out .*frozen/kernel .*is frozen"):
        fit(model, schedule)
    (skipped,) = schedule.skipped
    assert skipped.path.endswith("frozen/kernel")
    assert weights(frozen).all()
