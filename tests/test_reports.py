"""What an audit shows: names of all kinds in tables, Markdown and pictures."""

import json

import keras
import numpy as np
import pytest
from whole_models import L, quietly

import keras_norms as kn


def small(layer):
    return keras.Sequential([L.Input((2,)), layer])


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


def test_a_page_shows_names_as_they_are():
    page = kn.audit(small(L.Dense(1, name="a<b>&c")))._repr_html_()
    assert "a&lt;b&gt;&amp;c" in page
    assert "a<b>" not in page


def test_json_has_no_infinite_penalty():
    model = small(L.Dense(1, kernel_regularizer=kn.L2(1.0)))
    model.layers[0].kernel.assign([[1e30], [1.0]])
    data = kn.audit(model).to_dict()
    json.dumps(data, allow_nan=False)
    assert data["weights"][0]["penalty"] is None


def test_json_has_the_share_of_a_penalty_of_outputs():
    model = small(L.Dense(1, activity_regularizer=kn.L2(1.0)))
    model.compile("sgd", "mse")
    audit = kn.audit(model, np.ones((1, 2), "float32"), np.ones((1, 1), "float32"))
    (each,) = audit.to_dict()["activities"]
    assert each["share"] == pytest.approx(each["penalty"] / audit.loss)


def test_a_group_without_length_keeps_its_place_in_the_picture():
    model = small(L.Dense(2))
    model.layers[0].kernel.assign([[0.0, 1.0], [0.0, 1.0]])
    assert kn.audit(model).plot().axes[0].get_xscale() == "linear"


def test_the_title_is_there_without_weights():
    model = small(L.Flatten(activity_regularizer=kn.L2(1.0)))
    model.compile("sgd", "mse")
    text = str(kn.audit(model, np.ones((1, 2), "float32"), np.ones((1, 2), "float32")))
    assert text.splitlines()[0].strip() == f"{model.name}: loss 2"


def test_a_picture_of_a_weight_whose_axes_count_no_units():
    layer = keras.layers.Dense(4, name="dense")
    model = keras.Sequential([keras.layers.Input((6,)), layer])
    layer.enable_lora(2)
    quietly(kn.constrain, model, kn.MaxNorm(9.0), where="lora_kernel_a", axis="own")
    assert kn.audit(model).plot().axes
