"""What an audit shows: names of all kinds in tables, Markdown and pictures."""

import keras
import numpy as np
import pytest

import keras_norms as kn


def test_names_stand_in_one_cell_of_markdown():
    layer = keras.layers.Dense(2, name="a\\|b\nc <d>", kernel_constraint=kn.MaxNorm(9.0))
    model = keras.Sequential([keras.layers.Input((4,)), layer], name="m")
    (row,) = [line for line in kn.audit(model).to_markdown().splitlines() if "MaxNorm" in line]
    assert row.startswith("| m/a\\\\\\|b c &lt;d&gt;/kernel | (4, 2) |")


def test_penalties_of_layers_with_one_name_are_told_apart():
    """Layers without weights have no path."""

    def branch(name, factor):
        penalty = kn.BatchMean(kn.L2(factor))
        act = keras.layers.Activation("relu", name="act", activity_regularizer=penalty)
        return keras.Sequential([keras.layers.Input((4,)), act], name=name)

    inputs = keras.layers.Input((4,))
    both = keras.layers.Add()([branch("a", 100.0)(inputs), branch("b", 1.0)(inputs)])
    model = keras.Model(inputs, keras.layers.Dense(4)(both), name="m")
    found = kn.audit(model, np.ones((2, 4), "float32")).activities
    assert found == pytest.approx({"m/a/act/activity": 400.0, "m/b/act/activity": 4.0})
    model.compile("sgd", "mse")
    schedule = kn.FactorSchedule(lambda epoch: 2.0, where="b/act")
    model.fit(np.ones((2, 4)), np.ones((2, 4)), callbacks=[schedule], verbose=0)
    found = kn.audit(model, np.ones((2, 4), "float32")).activities
    assert found == pytest.approx({"m/a/act/activity": 400.0, "m/b/act/activity": 8.0})


@pytest.mark.parametrize("name", ["$\\frac$", "plain"])
def test_a_picture_has_names_as_they_are(name, tmp_path):
    layer = keras.layers.Dense(2, name=name)
    figure = kn.audit(keras.Sequential([keras.layers.Input((4,)), layer])).plot()
    figure.savefig(tmp_path / "norms.svg")
    (label,) = [each.get_text() for each in figure.axes[0].get_yticklabels()]
    assert name in label


def test_a_picture_of_no_weights():
    empty = keras.Sequential([keras.layers.Input((4,)), keras.layers.ReLU()])
    assert kn.audit(empty).plot().axes[0].get_ylim() == (0.5, -0.5)
