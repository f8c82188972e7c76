"""A class of the user's overrides public methods, and every room of the package asks it."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops
from whole_models import L, batch

import keras_norms as kn
from keras_norms.constraints import Constraint
from keras_norms.regularizers import ActivityRegularizer, Regularizer
from keras_norms.setting import Setting
from keras_norms.testing.laws import checks, left_out
from keras_norms.testing.laws.constraints import step

registered = keras.saving.register_keras_serializable("test_hooks")


@registered
@dataclasses.dataclass(frozen=True)
class MaxSpectral(Constraint):
    """The largest singular value of a matrix is at most 1: a set whose groups are coupled."""

    axis: int = 0
    has_coupled_groups = True

    def compute_projection(self, w, axes):
        return w / ops.maximum(ops.linalg.norm(w, ord=2), 1.0)

    def audit_columns(self, w):
        return {"singular value": ops.convert_to_numpy(ops.linalg.norm(w, ord=2))}


@registered
@dataclasses.dataclass(frozen=True)
class Alternate(Constraint):
    """Every second entry along the input axis is zero: a pattern that needs that axis."""

    axis: int = 0

    def for_layout(self, layout):
        inputs = [axis for axis, word in enumerate(layout.split()) if word == "in"]
        return dataclasses.replace(self, axis=inputs[-1])

    def compute_projection(self, w, axes):
        shape = [1] * len(w.shape)
        shape[self.axis] = w.shape[self.axis]
        return w * ops.reshape(ops.cast(ops.arange(w.shape[self.axis]) % 2, w.dtype), shape)


@registered
@dataclasses.dataclass(frozen=True)
class GroupNorms(Regularizer):
    """The sum of the norms of groups, of which each unit of a layer is one."""

    factor: float = 0.5
    axis: int = 0

    def compute_penalty(self, x):
        axes = self.group_axes(len(x.shape))
        return self.factor * ops.sum(ops.sqrt(ops.sum(x * x, axis=axes)))

    def audit_columns(self, w):
        return {"zero units": 0.0}


@registered
@dataclasses.dataclass(frozen=True)
class Spread(ActivityRegularizer):
    """The variance of the outputs over the batch."""

    def compute_penalty(self, x):
        return ops.mean(ops.var(x, axis=0))


def dense(**arguments):
    return keras.Sequential([L.Input((8,)), L.Dense(6, name="hidden", **arguments)])


def test_a_set_with_coupled_groups_has_one_excess():
    w = np.diag([3.0, 0.5]).astype("float32")
    excess = MaxSpectral().excess(w)
    assert excess.shape == ()
    # w / 3 is sqrt(2**2 + (1/3)**2) away.
    assert float(excess) == pytest.approx(np.hypot(2, 1 / 3), rel=1e-6)
    assert kn.MaxNorm(1.0, axis=0).excess(w).shape == (2,)
    chain = kn.Chain(kn.NonNeg(), MaxSpectral())
    assert chain.has_coupled_groups
    assert chain.excess(w).shape == ()


def test_a_set_with_coupled_groups_is_audited_as_a_whole(monkeypatch):
    from keras_norms.models import measures

    monkeypatch.setattr(measures, "PART", 4)  # smaller than the weight
    model = dense()
    model.layers[0].kernel.assign(3 * np.eye(8, 6))
    model.layers[0].kernel.constraint = MaxSpectral()
    (report,) = kn.audit(model).weights
    assert report.excess == pytest.approx(2 * np.sqrt(6), rel=1e-6)
    assert report.columns == {"singular value": pytest.approx(3.0)}
    model.compile("sgd", "mse")
    history = model.fit(*_data(model), verbose=0, callbacks=[kn.NormHistory()]).history
    assert history[f"on_bound/{report.path}"] == [1.0]  # every step ends on the bound


def _data(model):
    x, _ = batch(model)
    return x, np.zeros((len(x), 6), "float32")


def test_laws_do_not_ask_coupled_groups_to_be_independent():
    asked = {repr(check) for check in checks(MaxSpectral())}
    assert not asked & {"groups_independent", "nan_stays_in_its_group"}
    assert "its groups are coupled" in left_out(MaxSpectral())


def test_columns_of_a_class_are_in_every_form_of_the_audit():
    model = dense(kernel_regularizer=GroupNorms())
    model.layers[0].kernel.constraint = MaxSpectral()
    report = kn.audit(model)
    assert set(report.weights[0].columns) == {"singular value", "zero units"}
    for form in (str(report), report.to_markdown(), report._repr_html_()):
        assert "singular value" in form
        assert "zero units" in form
    assert report.to_dict()["weights"][0]["columns"]["zero units"] == 0.0
    assert kn.audit(dense()).weights[0].columns == {}
    assert set((kn.L1() + GroupNorms()).audit_columns(np.ones((2, 2), "float32"))) == {"zero units"}


def test_a_class_says_what_it_becomes_for_a_layout():
    inputs = L.Input((6, 6, 4))
    x = L.Conv2D(4, 3, name="conv")(inputs)
    x = L.Conv2DTranspose(4, 3, name="up")(x)
    model = keras.Model(inputs, L.Dense(2, name="head")(L.Flatten()(x)))
    changes = kn.constrain(model, Alternate(), where="kernel")
    assert [change.after.axis for change in changes] == [2, 3, 0]
    chained = kn.constrain(model, kn.Chain(Alternate(), kn.MaxNorm(9.0)), where="up/kernel")
    assert chained[0].after == kn.Chain(Alternate(3), kn.MaxNorm(9.0, axis=(0, 1, 3)))
    assert not [f for f in kn.audit(model).findings if f.code == "wrong-axis"]
    model.get_layer("conv").kernel.constraint = Alternate(axis=0)
    (finding,) = [f for f in kn.audit(model).findings if f.code == "wrong-axis"]
    assert "this layout asks for 36 groups of 4, axis=(2,)" in finding.message
    exec(finding.fix, {"model": model, "kn": kn})
    assert model.get_layer("conv").kernel.constraint == Alternate(axis=2)
    penalties = kn.regularize(model, GroupNorms())
    assert [change.after.axis for change in penalties] == [(0, 1, 2), (0, 1, 3), 0]
    summed = kn.regularize(model, kn.L2(0.1) + GroupNorms(), where="conv/kernel")
    assert summed[0].after == kn.L2(0.1) + GroupNorms(axis=(0, 1, 2))


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_an_activity_penalty_of_the_users_enters_the_loss_as_it_is(batch_size):
    model = dense(activity_regularizer=Spread())
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.random.default_rng(0).standard_normal((batch_size, 8)).astype("float32")
    outputs = model.predict(x, verbose=0)
    loss = model.evaluate(x, outputs, batch_size=batch_size, verbose=0)
    # A float32 mean of 6 variances of up to 8 numbers.
    assert loss == pytest.approx(outputs.astype("float64").var(axis=0).mean(), rel=1e-5, abs=1e-9)


def test_an_activity_penalty_is_refused_for_weights_and_found_there():
    model = dense(kernel_regularizer=Spread())
    with pytest.raises(ValueError, match="which have no batch"):
        kn.regularize(model, Spread())
    (finding,) = kn.audit(model).findings
    assert finding.code == "batch-of-weights"
    exec(finding.fix, {"model": model, "kn": kn})
    assert model.layers[0].kernel.regularizer is None
    for given, better in (
        (kn.L1(0.1) + kn.BatchMean(kn.L2(0.1)), kn.L1(0.1) + kn.L2(0.1)),
        (kn.L1(0.1) + Spread(), kn.L1(0.1)),
        (kn.BatchMean(kn.L2(0.1)), kn.L2(0.1)),
        (kn.BatchMean(keras.regularizers.L2(0.5)), kn.L2(0.5)),
    ):
        model = dense(kernel_regularizer=given)
        (finding,) = [f for f in kn.audit(model).findings if f.code == "batch-of-weights"]
        exec(finding.fix, {"model": model, "kn": kn})
        assert model.layers[0].kernel.regularizer == better


SINGLE = [kn.MaxNorm(3.0), kn.UnitNorm(), kn.NonNeg(), kn.Clip(0, 1), kn.L1(), kn.BatchMean("l2")]


@pytest.mark.parametrize("thing", SINGLE, ids=repr)
def test_a_single_one_is_its_own_member(thing):
    assert thing.members == (thing,)


def test_what_the_classes_say_of_themselves():
    chain = kn.Chain(kn.NonNeg(), kn.MinMaxNorm(0.5, 2.0, rate=0.25, axis=(0, 1)))
    assert chain.members == (kn.NonNeg(), kn.MinMaxNorm(0.5, 2.0, 0.25, axis=(0, 1)))
    assert chain.group_axes(4) == (0, 1)
    assert chain.norm_bounds == (0.5, 2.0)
    assert (chain.step_rate, chain.at_full_rate().step_rate) == (0.25, 1)
    assert kn.Chain(kn.MaxNorm(axis=1), kn.MaxNorm(axis=0)).group_axes(3) == (0, 1)
    assert kn.Chain(kn.Chain(kn.NonNeg(), kn.MaxNorm()), kn.Clip(0, 1)).members == (
        *(kn.NonNeg(), kn.MaxNorm(), kn.Clip(0, 1)),
    )
    assert chain.keeps_zero_groups
    assert chain.has_groups
    assert not chain.has_default_axis
    assert kn.Chain(kn.NonNeg(), kn.MaxNorm()).has_default_axis
    assert not kn.NonNeg().has_groups
    assert not (kn.L1() + kn.L2()).has_groups
    assert kn.MaxNorm(1.0, axis=[-1, 0]).group_axes(3) == (0, 2)
    assert kn.MaxNorm(3.0).norm_bounds == (0, 3.0)
    assert kn.MaxNorm(3.0, ord=1).norm_bounds == (0, np.inf)
    assert kn.UnitNorm().norm_bounds == (1, 1)
    assert kn.NonNeg().norm_bounds == (0, np.inf)
    assert kn.L1L2(0.1, 0.2).factors == ("l1", "l2")
    assert kn.OrthogonalRegularizer(1).factors == ("factor",)
    assert kn.BatchMean("l2").factors == ("l2",)
    assert kn.BatchMean(keras.regularizers.L2(0.1)).factors == ("l2",)
    assert (kn.L1() + kn.L2()).factors == ()
    assert GroupNorms().factors == ("factor",)
    assert not kn.L1().for_activations
    assert kn.BatchMean("l1").for_activations
    assert (kn.L2() + kn.BatchMean("l1")).for_activations
    l1 = keras.regularizers.L1(0.5)
    assert (l1 + kn.BatchMean("l2")).for_weights() == l1 + kn.L2()


def test_vectors_that_cannot_all_be_reached():
    rows = kn.OrthogonalRegularizer(0.1)
    assert rows.why_never_zero((8, 4)) == "8 rows of 4 entries cannot all be orthogonal"
    assert rows.why_never_zero((4, 4)) is None
    assert rows.why_never_zero(()) is rows.why_never_zero((1, 0)) is None
    assert rows.reaching_zero((8, 4)) == kn.OrthogonalRegularizer(0.1, "columns")
    assert rows.reaching_zero((4, 8)) == rows
    columns = kn.OrthogonalRegularizer(0.1, "columns")
    assert columns.why_never_zero((2, 3, 8)) == "8 columns of 6 entries cannot all be orthogonal"
    assert kn.L2().why_never_zero((8, 4)) is None


def test_every_exported_class_is_a_setting_with_examples():
    for module in (kn.constraints, kn.regularizers):
        for name in module.__all__:
            cls = getattr(module, name)
            assert issubclass(cls, Setting)
            assert all(isinstance(example, cls) for example in cls.examples())


def test_a_chain_has_what_its_members_have():
    chain = kn.Chain(kn.Sparse(0.5), kn.MaxNorm(1.0))
    assert dict(chain.audit_columns(np.eye(2, dtype="float32"))) == {"zeros": 0.5}
    chain = kn.Chain(kn.MaxSpectralNorm(1.0), kn.NonNeg(), kn.MaxSpectralNorm(2.0))
    assert chain.inexactness == 2e-5
    assert kn.Chain(kn.UnitNorm(), kn.MaxNorm(1.0)).keeps_zero_groups


def test_a_sum_that_one_of_its_terms_keeps_from_zero():
    rows = kn.OrthogonalRegularizer(0.1)
    both = kn.L2(0.1) + rows + keras.regularizers.L1(0.1)
    assert both.why_never_zero((8, 4)) == rows.why_never_zero((8, 4))
    assert both.why_never_zero((4, 4)) is None
    mended = both.reaching_zero((8, 4))
    assert mended.regularizers[1] == rows.reaching_zero((8, 4))
    assert mended.why_never_zero((8, 4)) is None
    # Three groups without entries are no orthogonal vectors: the penalty is 3.
    assert kn.SoftOrthogonalRegularizer(1.0).why_never_zero((0, 3))


def test_a_chain_whose_members_go_a_part_of_the_way_has_no_law_about_its_own():
    part = kn.MinMaxNorm(0.5, 1.5, rate=0.5)
    assert (step,) in left_out(kn.Chain(kn.NonNeg(), part)).values()
    assert (step,) not in left_out(kn.Chain(kn.NonNeg(), part.at_full_rate())).values()
    assert (step,) not in left_out(part).values()
