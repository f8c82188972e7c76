"""Activity penalties that Keras loses: `fit` is asked whether it does, and the audit must agree."""

import re

import keras
import numpy as np
import pytest
from traps import TRAPS, cell, model_of
from whole_models import BUILDERS, L, batch

import keras_norms as kn
from keras_norms.keras_internals import DIVIDES_ACTIVITY_PENALTIES


def test_the_penalty_of_the_outermost_model():
    """Whether it is lost is asked of `fit`; the finding must say the same."""
    model = BUILDERS["subclassed"]()
    model.activity_regularizer = kn.L2(1.0)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x, y = batch(model)
    outputs = model.predict(x, verbose=0)
    data = ((outputs - y) ** 2).mean()
    lost = abs(model.fit(x, y, batch_size=8, verbose=0).history["loss"][0] / data - 1) < 1e-4
    dropped = [f for f in kn.audit(model).findings if f.code == "activity-dropped"]
    assert bool(dropped) == lost
    for finding in dropped:
        names = {"model": model, "kn": kn, "keras": keras}
        exec(finding.fix, names)
        model = names["model"]
        model.compile(keras.optimizers.SGD(0.0), "mse")
        loss = model.fit(x, y, batch_size=8, verbose=0).history["loss"][0]
        size = 8 if DIVIDES_ACTIVITY_PENALTIES else 1
        assert loss == pytest.approx(data + (outputs**2).sum() / size, rel=1e-5)
        assert not [f for f in kn.audit(model).findings if f.code == "activity-dropped"]


def shared_layer():
    """Calls one layer twice, each time on ones."""
    ones = {"kernel_initializer": "identity", "use_bias": False}
    return L.Dense(3, activity_regularizer=kn.L2(1.0), name="shared", **ones)


def chained():
    inputs, layer = L.Input((3,)), shared_layer()
    return keras.Model(inputs, layer(layer(inputs)))


def siamese():
    tower = keras.Sequential([L.Input((3,)), shared_layer()], name="tower")
    inputs = L.Input((3,))
    return keras.Model(inputs, L.Average()([tower(inputs), tower(inputs)]))


def called_inside():
    """The outermost model calls the model once that calls the layer twice."""
    inputs = L.Input((3,))
    return keras.Model(inputs, chained()(inputs))


def directly_and_inside():
    """Once by the outermost model, and once by a model that it calls."""
    inputs, layer = L.Input((3,)), shared_layer()
    tower = keras.Model(inputs, layer(inputs))
    return keras.Model(inputs, layer(tower(inputs)))


def two_towers():
    inputs, layer = L.Input((3,)), shared_layer()
    one, other = (keras.Model(inputs, layer(inputs)) for _ in "ab")
    return keras.Model(inputs, L.Average()([one(inputs), other(inputs)]))


@pytest.mark.parametrize("make", [chained, siamese, called_inside, directly_and_inside, two_towers])
def test_the_penalty_of_a_layer_that_is_called_twice(make):
    """Whether one of the two is lost is asked of `fit`; the finding must say the same."""

    def loss(model):
        model.compile(keras.optimizers.SGD(0.0), "mse")
        ones = np.ones((4, 3), "float32")
        return model.fit(ones, ones, verbose=0).history["loss"][0]

    model = make()
    of_each = 3.0 if DIVIDES_ACTIVITY_PENALTIES else 12.0
    lost = loss(model) < 1.5 * of_each
    dropped = [f for f in kn.audit(model).findings if f.code == "activity-dropped"]
    assert bool(dropped) == lost
    assert not (lost and make is called_inside)
    for finding in dropped:
        names = {"model": model, "keras": keras}
        exec(finding.fix, names)
        assert loss(names["model"]) == pytest.approx(2 * of_each)
        assert not kn.audit(names["model"]).findings


def test_dropped_penalties_are_really_dropped_and_then_not():
    model = TRAPS["activity-dropped"][1]()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = np.ones((4, 3, 2), "float32")
    y = model.predict(x, verbose=0)
    assert model.fit(x, y, verbose=0).history["loss"][0] < 1e-12
    assert model.evaluate(x, y, verbose=0) < 1e-12
    exec(kn.audit(model).findings[0].fix, {"model": model})
    size = 4 if DIVIDES_ACTIVITY_PENALTIES else 1
    expected = 0.1 * (y.astype("float64") ** 2).sum() / size
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert model.fit(x, y, verbose=0).history["loss"][0] == pytest.approx(expected, rel=1e-5)


def loss_of_fit(model, x, y):
    """The loss of an epoch; None if `fit` fails, because a scope of the backend keeps a penalty."""
    try:
        (loss,) = model.fit(x, y, verbose=0).history["loss"]
    except Exception as error:  # the classes are those of JAX and TensorFlow
        if not re.search("unexpected tracer|is out of scope", str(error)):
            raise
        return None
    return loss


@pytest.mark.parametrize("unroll", [False, True])
def test_the_penalty_of_a_cell_is_never_lost_silently(unroll):
    """In a loop that is not unrolled, `fit` fails at it on JAX and TensorFlow."""
    model = cell(penalty=kn.L2(1e6), unroll=unroll)
    found = kn.audit(model).findings
    model.compile("sgd", "mse")
    x, y = np.ones((4, 3, 2), "float32"), np.ones((4, 2), "float32")
    loss = loss_of_fit(model, x, y)
    if loss is not None:
        assert loss > 100
    assert loss is not None or not unroll
    assert [f.code for f in found] == ([] if loss is not None else ["activity-dropped"])


def test_a_penalty_deep_inside_is_not_moved_to_other_outputs():
    inner = keras.Sequential([L.Dense(3, activity_regularizer=kn.L2(0.1)), L.Dense(2)])
    model = model_of(L.TimeDistributed(inner), shape=(3, 2))
    (finding,) = kn.audit(model).findings
    exec(finding.fix, {"model": model})
    assert kn.audit(model).findings == ()
    assert model.layers[0].activity_regularizer is None


def test_a_penalty_is_not_moved_over_another_one():
    inner = L.Dense(2, activity_regularizer=kn.L2(0.1))
    outer = L.TimeDistributed(inner, activity_regularizer=kn.L1(0.3))
    model = keras.Sequential([L.Input((3, 2)), outer])
    (finding,) = kn.audit(model).findings
    exec(finding.fix, {"model": model})
    assert (inner.activity_regularizer, outer.activity_regularizer) == (None, kn.L1(0.3))


class Block(L.Layer):
    """A layer around one with a penalty, which it may call in a scope of its own."""

    def __init__(self, in_cond=False, **kwargs):
        super().__init__(**kwargs)
        self.in_cond = in_cond
        self.inner = L.Dense(4, activity_regularizer=kn.L2(1.0), name="inner")

    def build(self, shape):
        self.inner.build(shape)
        self.built = True

    def call(self, x):
        if not self.in_cond:
            return self.inner(x)
        return keras.ops.cond(keras.ops.sum(x) > 0, lambda: self.inner(x), lambda: self.inner(x))


def computed_again(mode="full", **arguments):
    with keras.RematScope(mode=mode, **arguments):
        return Block(name="block")


BLOCKS = {
    "again": computed_again,
    "named": lambda: computed_again("list_of_layers", layer_names=["block"]),
    "not named": lambda: computed_again("list_of_layers", layer_names=["other"]),
    "activations": lambda: computed_again("activations"),
    "in a branch": lambda: Block(in_cond=True, name="block"),
}
BACKEND = keras.backend.backend()


@pytest.mark.parametrize("name", BLOCKS)
def test_the_penalty_in_a_scope_of_jax(name):
    """Whether `fit` fails is asked of it; with a batch, the audit must say the same."""
    x, y = np.ones((8, 8), "float32"), np.ones((8, 4), "float32")

    def model():
        made = keras.Sequential([L.Input((8,)), BLOCKS[name]()], name="m")
        made.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=BACKEND == "tensorflow")
        return made

    trained = model()
    audit = kn.audit(trained, x, y)
    found = [(f.code, f.path) for f in audit.findings]
    loss = loss_of_fit(trained, x, y)
    assert found == [("activity-dropped", "m/block/inner/activity")] * (loss is None)
    if loss is not None:
        assert loss == pytest.approx(audit.loss, rel=1e-5)
        return
    assert (audit.loss, audit.activities) == (None, {})
    mended = model()
    exec(kn.audit(mended, x, y).findings[0].fix, {"model": mended})
    assert kn.audit(mended, x, y).findings == ()
    mended.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="a step of `fit` failed"):
        kn.audit(trained)


def test_a_loop_that_is_run_eagerly():
    """TensorFlow then counts the penalty of a cell, and JAX still fails at it."""
    model = cell(penalty=kn.L2(1.0))
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    x, y = np.ones((4, 3, 2), "float32"), np.ones((4, 2), "float32")
    audit = kn.audit(model, x, y)
    if BACKEND == "jax":
        assert [f.code for f in audit.findings] == ["activity-dropped"]
        return
    assert audit.findings == ()
    assert model.fit(x, y, verbose=0).history["loss"][0] == pytest.approx(audit.loss, rel=1e-5)


class Named(type(keras.Model)):
    """A class of classes, with an attribute that cannot be read from them."""

    @property
    def gradient(cls):
        raise RuntimeError("not to be asked")


@pytest.mark.parametrize(("reads", "codes"), [("x.losses", []), ("x.gradient()", ["own-step"])])
def test_a_step_that_was_made_by_exec(reads, codes):
    made = {"__name__": None}
    exec(f"def train_step(x, *arguments):\n    return {reads}", made)
    assert made["train_step"].__module__ is None
    model = Named("Own", (keras.Model,), {"train_step": made["train_step"]})
    inputs = L.Input((3,))
    own = model(inputs, L.Dense(2, kernel_regularizer=kn.L2(0.1))(inputs))
    assert [f.code for f in kn.audit(own).findings] == codes


def test_the_nearest_of_two_wrappers_is_named():
    dense = L.Dense(3, activity_regularizer=kn.L2(1.0))
    near = L.TimeDistributed(dense, name="near")
    model = keras.Sequential([L.Input((2, 2, 4)), L.TimeDistributed(near, name="far")])
    (finding,) = [f for f in kn.audit(model).findings if f.code == "activity-dropped"]
    assert "near has the same outputs" in finding.message


def test_the_penalty_of_each_call_is_shown():
    dense = L.Dense(3, activity_regularizer=kn.L2(1.0), kernel_initializer="ones")
    inputs = L.Input((3,))
    model = keras.Model(inputs, dense(dense(inputs)))
    (penalty,) = kn.audit(model, np.ones((1, 3), "float32")).activities.values()
    assert penalty == 3 * 3**2 + 3 * 9**2


def test_the_loss_is_that_of_evaluation_and_not_that_of_a_constraint():
    class Loud(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return keras.ops.convert_to_tensor(7.0 if training else 1.0)

    inputs = L.Input((2,))
    model = Loud(inputs, L.Dense(1)(inputs))
    model.compile("sgd", "mse")
    x, y = np.ones((2, 2), "float32"), np.ones((2, 1), "float32")
    assert kn.audit(model, x, y).loss == 1.0
    layer = L.Dense(1, activity_regularizer=kn.MaxNorm(0.1))
    model = keras.Sequential([L.Input((2,)), layer])
    model.compile("sgd", "mse")
    assert kn.audit(model, x, y).loss is None


class OwnAndPenalised(L.Layer):
    """Adds a loss of its own before that of its outputs, and calls a layer twice."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = L.Identity(activity_regularizer=kn.BatchMean(kn.L1(1.0)))

    def call(self, x):
        self.add_loss(keras.ops.max(x) * 100)
        return self.inner(x) + self.inner(2 * x)


def test_a_loss_that_a_layer_adds_is_no_penalty_of_its_outputs():
    penalty = kn.BatchMean(kn.L2(1.0))
    layer = OwnAndPenalised(activity_regularizer=penalty)
    model = keras.Sequential([L.Input((2,)), layer])
    model.compile("sgd", "mse")
    x = np.ones((4, 2), "float32")
    report = kn.audit(model, x, np.zeros((4, 2)))
    assert list(report.activities.values()) == [2 * 9.0, 2.0 + 4.0]
    assert report.loss == pytest.approx(9 + 100 + 18 + 6)
    assert layer.activity_regularizer is penalty


def test_a_penalty_that_is_one_number_per_output_is_summed_as_in_keras():
    model = keras.Sequential([L.Input((2,)), L.Identity(activity_regularizer=lambda o: o)])
    model.compile("sgd", "mse")
    x = np.full((4, 2), 3.0, "float32")
    report = kn.audit(model, x, x)
    assert not report.errors
    assert report.loss == pytest.approx(model.evaluate(x, x, verbose=0))
    assert list(report.activities.values()) == [pytest.approx(report.loss)]


@pytest.mark.parametrize(
    ("penalty", "words"),
    [
        (kn.GroupLasso(0.1, axis=5), "axis"),
        ("l2", "a str cannot be called"),
    ],
)
def test_a_penalty_that_raises_is_a_finding_and_its_fix_removes_it(penalty, words):
    layer = L.Dense(2, kernel_constraint=kn.MaxNorm(9.0))
    model = keras.Sequential([L.Input((2,)), layer])
    layer.activity_regularizer = penalty
    model.compile("sgd", "mse")
    x = np.ones((4, 2), "float32")
    report = kn.audit(model, x, x)
    (finding,) = report.errors
    assert (finding.code, report.loss, report.activities) == ("cannot-apply", None, {})
    assert words in finding.message
    assert len(report.weights) == 1
    assert layer.activity_regularizer is penalty
    assert bool(kn.audit(model).errors) == isinstance(penalty, str)
    exec(finding.fix, {"model": model})
    assert not kn.audit(model, x, x).errors
    model.fit(x, x, verbose=0)


class StepsOfItsOwn(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(6)

    def call(self, x):
        return self.dense(x)

    def train_step(self, *_):
        return {"loss": 0.0}


def test_a_model_without_a_loss_is_refused_alike_everywhere():
    model, x = StepsOfItsOwn(), np.ones((2, 6), "float32")
    model(x)
    model.compile("sgd")
    with pytest.raises(ValueError, match="`y` needs a model with a loss"):
        kn.audit(model, x, x)
    assert kn.audit(model, x).loss is None
    model.dense.activity_regularizer = kn.BatchMean(kn.L2(1.0))
    report = kn.audit(model, x, x)
    assert report.loss == pytest.approx(*report.activities.values())
