"""Settings in a file: they come back on every model, and never on another one."""

import json
import os
import pathlib
import zipfile

import keras
import numpy as np
import pytest
from older_keras import TAKES_NO_FUNCTION, fails_before
from whole_models import BUILDERS, L, batch, fit, kernels, quietly

import keras_norms as kn


def settings(model):
    return [(v.constraint, v.regularizer) for v in kernels(model).values()]


def constrained(name):
    model = BUILDERS[name]()
    quietly(kn.constrain, model, kn.MaxNorm(0.5))
    quietly(kn.regularize, model, kn.L1(0.1) + keras.regularizers.L2(0.2))
    return model


def plain(settings):
    """Settings as configs, because Keras' own are equal only if they are one object."""
    return [[s and keras.saving.serialize_keras_object(s) for s in pair] for pair in settings]


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("ending", ["json", "keras"])
def test_they_come_back_whatever_the_config_holds(name, ending, tmp_path):
    model, twin = constrained(name), BUILDERS[name]()
    path = tmp_path / f"model.{ending}"
    if ending == "keras":
        model.save(path)
    written = kn.save_settings(model, path)
    assert len(written) == len(kernels(model))
    if ending == "keras":
        custom = {type(model).__name__: type(model)}
        twin = keras.saving.load_model(path, custom_objects=custom)
        if name == "subclassed":
            twin(batch(model)[0])
        for mine, theirs in zip(twin.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert len(kn.load_settings(twin, path)) == len(written)
    assert plain(settings(twin)) == plain(settings(model))


def test_they_replace_all_that_is_there():
    model = keras.Sequential([L.Input((3,)), L.Dense(2, kernel_constraint=kn.NonNeg())])
    other = keras.Sequential([L.Input((3,)), L.Dense(2, kernel_regularizer="l2")])
    kn.save_settings(model, "settings.json")
    kn.load_settings(other, "settings.json")
    (dense,) = other.layers
    assert (dense.kernel.constraint, dense.kernel.regularizer) == (kn.NonNeg(), None)
    assert (dense.kernel_constraint, dense.kernel_regularizer) == (kn.NonNeg(), None)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_file_is_written_again():
    model = constrained("sequential")
    model.save("model.keras")
    mode = os.stat("model.keras").st_mode
    for bound in (1.0, 2.0):
        kn.constrain(model, kn.MaxNorm(bound))
        kn.save_settings(model, "model.keras")
    assert os.stat("model.keras").st_mode == mode
    assert os.listdir() == ["model.keras"]
    names = zipfile.ZipFile("model.keras").namelist()
    assert len(names) == len(set(names)) == 4
    kn.load_settings(model, "model.keras")
    assert model.layers[0].kernel.constraint == kn.MaxNorm(2.0)


def test_paths_come_before_the_order():
    def two(first, second):
        parts = {n: L.Dense(8, name=n) for n in (first, second)}
        return keras.Sequential([L.Input((8,)), *parts.values()], name="two"), parts

    model, parts = two("a", "b")
    parts["a"].kernel.constraint = kn.MaxNorm(1.0)
    kn.save_settings(model, "settings.json")
    other, its = two("b", "a")
    kn.load_settings(other, "settings.json")
    assert (its["a"].kernel.constraint, its["b"].kernel.constraint) == (kn.MaxNorm(1.0), None)
    other, its = two("c", "d")  # as Keras numbers names anew
    kn.load_settings(other, "settings.json")
    assert (its["c"].kernel.constraint, its["d"].kernel.constraint) == (kn.MaxNorm(1.0), None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"constraint": "max_norm"}, "The constraint of m/last/kernel must be what .* 'max_norm'"),
        ({"regularizer": 3}, "The regularizer of m/last/kernel must be what .* Received: 3"),
        ({"shape": 5}, "`filepath` must be a file that `keras_norms.save_settings` wrote"),
        ({"path": 5}, "`filepath` must be a file that `keras_norms.save_settings` wrote"),
    ],
)
def test_a_file_that_was_edited_changes_nothing(change, message):
    layers = [L.Dense(4, name="first"), L.Dense(2, name="last")]
    model = keras.Sequential([L.Input((3,)), *layers], name="m")
    kn.save_settings(model, "settings.json")
    data = json.loads(pathlib.Path("settings.json").read_text())
    next(each for each in data["weights"] if each["path"] == "m/last/kernel").update(change)
    pathlib.Path("settings.json").write_text(json.dumps(data))
    kn.constrain(model, kn.MaxNorm(1.0))
    with pytest.raises(ValueError, match=message):
        kn.load_settings(model, "settings.json")
    assert [layer.kernel.constraint for layer in layers] == [kn.MaxNorm(1.0)] * 2


def test_another_model_is_refused_and_left_alone():
    kn.save_settings(constrained("sequential"), "settings.json")
    for other, message in (
        (keras.Sequential([L.Input((8,)), L.Dense(2)]), "which has 4 weights, and this one has 2"),
        (keras.Sequential([L.Input((8,)), L.Dense(6), L.Dense(3)]), r"has the shape \(6, 2\), and"),
    ):
        with pytest.raises(ValueError, match=message):
            kn.load_settings(other, "settings.json")
        assert all(pair == (None, None) for pair in settings(other))


def test_the_next_fit_uses_them():
    model, twin = constrained("sequential"), BUILDERS["sequential"]()
    kn.save_settings(model, "settings.json")
    twin.compile(keras.optimizers.SGD(10.0, clipnorm=10.0), "mse")
    fit(twin)
    twin.evaluate(*batch(twin), verbose=0)
    kn.load_settings(twin, "settings.json")
    fit(twin)
    norms = [np.linalg.norm(np.asarray(v), axis=0).max() for v in kernels(twin).values()]
    assert max(norms) <= 0.5 * (1 + 1e-6)


@keras.saving.register_keras_serializable("test_files")
class Masked(keras.constraints.Constraint):
    """Keeps the weights where a mask is 1."""

    def __init__(self, mask):
        self.mask = mask

    def __call__(self, w):
        return w * self.mask

    def get_config(self):
        return {"mask": keras.saving.serialize_keras_object(self.mask)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["mask"]))


def test_arrays_travel_too():
    model = keras.Sequential([L.Input((3,)), L.Dense(2)])
    mask = np.array([[1, 0], [0, 1], [1, 1]], "float32")
    kn.constrain(model, Masked(mask), where="kernel", axis="own")
    kn.save_settings(model, "settings.json")
    kn.constrain(model, None, where="")
    kn.load_settings(model, "settings.json")
    np.testing.assert_array_equal(model.layers[0].kernel.constraint.mask, mask)


def halved(w):
    return w * 0.5


@fails_before((3, 15), TAKES_NO_FUNCTION)
def test_what_cannot_be_loaded_is_refused():
    model = BUILDERS["sequential"]()
    quietly(kn.constrain, model, halved, where="kernel", axis="own")
    with pytest.raises(ValueError, match=r"make halved known by .* Received: halved of"):
        kn.save_settings(model, "settings.json")
    kn.constrain(model, kn.NonNeg())
    kn.save_settings(model, "settings.json")
    with open("settings.json") as file:
        text = file.read().replace("NonNeg", "Gone")
    with open("settings.json", "w") as file:
        file.write(text)
    with pytest.raises(ValueError, match="cannot be loaded; name its class"):
        kn.load_settings(model, "settings.json")
    assert model.layers[0].kernel.constraint == kn.NonNeg()
    custom = {"keras_norms>Gone": kn.UnitNorm}
    kn.load_settings(model, "settings.json", custom_objects=custom)
    assert model.layers[0].kernel.constraint == kn.UnitNorm()


def named(*names, model="m"):
    return keras.Sequential([L.Input((4,)), *(L.Dense(4, name=name) for name in names)], name=model)


@pytest.mark.parametrize(
    "names", [("b", "a"), ("b_3", "a_7"), ("a", "c"), ("c", "d")], ids="-".join
)
def test_names_come_before_the_order(names):
    model = named("a", "b")
    model.layers[0].kernel.constraint = kn.MaxNorm(1.0)
    kn.save_settings(model, "settings.json")
    other = named(*names, model="other")
    kn.load_settings(other, "settings.json")
    place = 1 if names[1].startswith("a") else 0  # by the order only if no name says better
    assert [layer.kernel.constraint for layer in other.layers] == [
        kn.MaxNorm(1.0) if i == place else None for i in range(2)
    ]


def test_a_name_at_another_place_is_one_of_another_model():
    kn.save_settings(named("a", "b"), "settings.json")
    with pytest.raises(ValueError, match=r"another model, which has b/\w+ at another place"):
        kn.load_settings(named("b", "c"), "settings.json")


@pytest.mark.parametrize("path", ["model.h5", "notes.txt", "folder"])
def test_nothing_else_is_overwritten(path):
    os.mkdir("folder")
    model = named("a")
    for place in ("model.h5", "notes.txt"):
        pathlib.Path(place).write_text("of someone else", "utf-8")
    with pytest.raises(ValueError, match=f'such as "settings.json". Received: filepath=.{path}'):
        kn.save_settings(model, path)
    assert os.path.isdir(path) or pathlib.Path(path).read_text("utf-8") == "of someone else"


def test_an_empty_file_is_written():
    pathlib.Path("empty.json").touch()  # as tempfile makes one
    given, loaded = named("a"), named("a")
    kn.constrain(given, kn.MaxNorm(0.5))
    kn.save_settings(given, "empty.json")
    kn.load_settings(loaded, "empty.json")
    assert loaded.get_layer("a").kernel.constraint == kn.MaxNorm(0.5)


def test_settings_of_a_newer_version():
    pathlib.Path("settings.json").write_text('{"format": 2, "weights": []}')
    with pytest.raises(ValueError, match="by a newer keras_norms, in format 2; this one reads"):
        kn.load_settings(named("a"), "settings.json")
    with pytest.raises(TypeError, match=r"`filepath` must be a path; .* Received: None"):
        kn.load_settings(named("a"), None)


NO_SETTINGS = [
    {"format": "1", "weights": []},
    {"format": 1, "weights": 5},
    {"format": 1, "weights": [{}]},
]


@pytest.mark.parametrize("content", [None, "", "[]", *map(json.dumps, NO_SETTINGS)])
def test_a_file_without_settings(content):
    model = BUILDERS["sequential"]()
    if content is not None:
        with open("settings.json", "w") as file:
            file.write(content)
    wrong = "must be a file that .* Received: filepath" if content is not None else "File not found"
    with pytest.raises(ValueError, match=wrong):
        kn.load_settings(model, "settings.json")
    model.save("model.keras")
    with pytest.raises(ValueError, match="must be a file that"):
        kn.load_settings(model, "model.keras")
    with pytest.raises(ValueError, match=r"call `model.save` first"):
        kn.save_settings(model, "other.keras")


def test_a_folder_that_is_not_there(tmp_path):
    path = tmp_path / "nodir" / "settings.json"
    with pytest.raises(
        FileNotFoundError, match=r"folder .* must exist\. Received: .*settings.json'"
    ):
        kn.save_settings(constrained("sequential"), path)


class Blocks(keras.Model):
    """Two layers whose names a user numbered, made in either order."""

    def __init__(self, *names, **arguments):
        super().__init__(**arguments)
        for name in names:
            setattr(self, f"of_{name}", L.Dense(3, use_bias=False, name=name))

    def call(self, x):
        return self.of_block_2(self.of_block_1(x))


def blocks(*names):
    model = Blocks(*names)
    model(np.ones((1, 3)))
    return model


def test_numbers_of_the_users_own_stay(tmp_path):
    model, other = blocks("block_1", "block_2"), blocks("block_2", "block_1")
    assert model.name != other.name
    kn.constrain(model, kn.MaxNorm(1.0), where="block_1")
    kn.save_settings(model, tmp_path / "settings.json")
    kn.load_settings(other, tmp_path / "settings.json")
    assert other.of_block_1.kernel.constraint == kn.MaxNorm(1.0)
    assert other.of_block_2.kernel.constraint is None


def test_a_file_that_cannot_be_written_to_its_end_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "settings.json"
    model = constrained("sequential")
    kn.save_settings(model, path)
    before = path.read_text("utf-8")

    def half(self, text, encoding):
        with self.open("w", encoding=encoding) as file:
            file.write(text[: len(text) // 2])
        raise OSError("No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_text", half)
    with pytest.raises(OSError, match="No space left"):
        kn.save_settings(model, path)
    monkeypatch.undo()
    assert path.read_text("utf-8") == before
    assert list(tmp_path.iterdir()) == [path]


class Twins(keras.Model):
    """Two layers of one name, and so two weights of one path."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.first, self.second = (L.Dense(3, use_bias=False, name="dense") for _ in range(2))

    def call(self, x):
        return self.second(self.first(x))


def test_weights_of_one_name_come_back_on_a_model_of_another_name(tmp_path):
    model, other = Twins(name="one"), Twins(name="two")
    for each in (model, other):
        each(np.ones((1, 3)))
    model.second.kernel.constraint = kn.MaxNorm(1.0)
    kn.save_settings(model, tmp_path / "settings.json")
    kn.load_settings(other, tmp_path / "settings.json")
    assert (other.first.kernel.constraint, other.second.kernel.constraint) == (
        *(None, kn.MaxNorm(1.0)),
    )


@keras.saving.register_keras_serializable("test_files")
class Filled(keras.constraints.Constraint):
    def __init__(self, fill=float("nan")):
        self.fill = fill

    def __call__(self, w):
        return w

    def get_config(self):
        return {"fill": self.fill}


def test_an_argument_may_be_nan(tmp_path):
    layer = L.Dense(3, kernel_constraint=Filled(), name="d")
    model = keras.Sequential([L.Input((4,)), layer], name="m")
    assert kn.save_settings(model, tmp_path / "settings.json") == ["m/d/kernel"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other links and permissions")
def test_a_link_stays_one_and_a_private_file_private(tmp_path):
    model, path = constrained("sequential"), tmp_path / "model.keras"
    model.save(path)
    path.chmod(0o600)
    link = tmp_path / "link.keras"
    link.symlink_to(path)
    written = kn.save_settings(model, link)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(kn.load_settings(BUILDERS["sequential"](), path)) == len(written)


def test_a_damaged_archive_is_refused_as_any_other_file(tmp_path):
    model, path = constrained("sequential"), tmp_path / "model.keras"
    model.save(path)
    kn.save_settings(model, path)
    data = path.read_bytes()
    place = data.rindex(b'"constraint"', 0, data.rindex(b"PK\x01\x02"))
    path.write_bytes(data[:place] + b'"Constraint"' + data[place + 12 :])
    with pytest.raises(ValueError, match="must be a file that `keras_norms"):
        kn.load_settings(model, path)
