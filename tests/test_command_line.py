"""The commands, in processes of their own, as a user runs them."""

import json
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

import keras_norms as kn
from keras_norms import cli, startup
from keras_norms.models.files import MEMBER


def command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-P", "-m", "keras_norms", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "120"} | environment,
    )


def test_the_demo_shows_what_max_norm_does(tmp_path):
    picture = tmp_path / "demo.png"
    rates = ["--rates", 0.05, 0.3]
    done = command("demo", "--seed", 4, *rates, "--plot", picture)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^ (0\.\S+) +(\S+)% +(\S+)% *$", done.stdout, re.MULTILINE)
    right = {float(rate): (float(plain), float(bounded)) for rate, plain, bounded in rows}
    # Chance is 10 %, where the plain twin ends at 0.3. The spread over seeds and backends is in
    # docs/demo.md.
    assert min(right[0.05]) > 95
    assert right[0.3][0] < 30 < 90 < right[0.3][1]
    assert "at least 95% for learning rates from 0.05 to 0.05\nmax-norm" in done.stdout
    assert "1536" in done.stdout, "the groups under axis=0"
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("backend", [b for b in startup.BACKENDS if not startup.is_installed(b)])
def test_a_backend_that_is_not_installed_is_one_line_and_exit_2(backend):
    done = command("demo", KERAS_BACKEND=backend)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"The backend {backend} is not installed: pip install {backend}"
    ]


def test_an_unknown_backend_is_one_line_and_exit_2():
    done = command("demo", KERAS_BACKEND="theano")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "KERAS_BACKEND must be one of tensorflow, jax, torch. Received: theano"
    ]


@pytest.mark.parametrize("name", ["picture.gif", "no-such-folder/picture.png"])
def test_a_picture_that_cannot_be_written_is_refused_before_training(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["demo", "--plot", name])
    assert stopped.value.code == 2
    assert f"Received: {name}" in capsys.readouterr().err


def test_without_keras_backend_the_installed_one_is_found(tmp_path):
    """Keras itself would insist on TensorFlow."""
    done = command(
        "conformance",
        "-k",
        "unit_norm-forward-bfloat16 zero",
        KERAS_BACKEND="",
        KERAS_HOME=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert "1 passed, 0 failed" in done.stdout


@pytest.fixture
def saved(tmp_path):
    """Files of a model with the wrong axis, and of one that is right."""
    files = {}
    for name, axis in (("wrong", 0), ("right", (0, 1, 2))):
        conv = keras.layers.Conv2D(4, 3, kernel_constraint=keras.constraints.MaxNorm(9.0, axis))
        model = keras.Sequential([keras.layers.Input((8, 8, 3)), conv])
        model.compile(loss="mse")
        files[name] = tmp_path / f"{name}.keras"
        model.save(files[name])
    return files


def test_audit_of_a_file(saved, tmp_path, capsys):
    picture = tmp_path / "norms.svg"
    assert cli.main(["audit", str(saved["right"]), "--plot", str(picture)]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    assert "<svg" in picture.read_text("utf-8")
    assert cli.main(["audit", str(saved["wrong"])]) == 1
    assert "error wrong-axis" in capsys.readouterr().out
    assert cli.main(["audit", str(saved["wrong"]), "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["code"] == "wrong-axis"
    assert cli.main(["audit", str(saved["wrong"]), "--format", "markdown"]) == 1
    assert "| error | wrong-axis |" in capsys.readouterr().out


def test_the_settings_that_a_file_holds_are_audited(saved, tmp_path, capsys):
    path = tmp_path / "model.keras"
    model = keras.Sequential([keras.layers.Input((9, 3)), keras.layers.Conv1D(4, 3)])
    model.save(path)
    kn.constrain(model, kn.MaxNorm(9.0), axis="own")
    kn.save_settings(model, path)
    assert cli.main(["audit", str(path)]) == 1
    said = capsys.readouterr()
    assert "error wrong-axis" in said.out
    assert "`save_settings` wrote into it are loaded" in said.err
    other = tmp_path / "other.keras"
    keras.Sequential([keras.layers.Input((9, 3)), keras.layers.Conv1D(5, 3)]).save(other)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "a") as target:
        target.writestr(MEMBER, source.read(MEMBER))
    assert cli.main(["audit", str(other)]) == 2
    assert "cannot be loaded: The settings are of another model" in capsys.readouterr().err


def unsafe(path):
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Lambda(lambda x: x * 2)])
    model.save(path)


def foreign(path):
    path.write_bytes(b"not a model")


@pytest.mark.parametrize("write", [unsafe, foreign, lambda path: None])
@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_a_file_that_cannot_be_audited_is_one_line_and_exit_2(write, tmp_path, capsys):
    path = tmp_path / "model.keras"
    write(path)
    assert cli.main(["audit", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith(f"{path} cannot be audited: ")


def test_an_unknown_loss_is_said_and_the_rest_audited(tmp_path, capsys):
    conv = keras.layers.Conv2D(4, 3, kernel_constraint=keras.constraints.MaxNorm(9.0))
    model = keras.Sequential([keras.layers.Input((8, 8, 3)), conv])
    path = tmp_path / "model.keras"

    @keras.saving.register_keras_serializable("test_command_line")
    def own_loss(y, p):
        return keras.ops.mean(y - p)

    model.compile(loss=own_loss)
    model.save(path)
    del keras.saving.get_custom_objects()["test_command_line>own_loss"]
    assert cli.main(["audit", str(path), "--format", "json"]) == 1
    printed = capsys.readouterr()
    assert "Its optimizer and loss cannot be loaded" in printed.err
    (finding,) = json.loads(printed.out)["findings"]
    assert (finding["code"], finding["severity"]) == ("wrong-axis", "error")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-k", "non_neg float32"], 0),
        (["-k", "no such case"], 5),
        (["--cases", "nowhere"], 3),
        (["--controls", "nowhere"], 3),
        (["--device", "gpu", "-k", "non_neg"], 4),
        # PyTorch spreads a training over processes, and no case of NonNeg trains.
        (["--device", "mesh", "-k", "non_neg"], 5 if keras.backend.backend() == "torch" else 4),
    ],
)
def test_exit_codes_of_the_suite(arguments, code, capsys):
    assert cli.main(["conformance", *arguments]) == code
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["keras_norms:MaxNorm"], 0, "laws hold"),
        (["keras.constraints:UnitNorm", "-k", "small"], 1, "FAILED small_weights_stay"),
        (["keras_norms"], 2, "is package:name, not keras_norms"),
        (["no_such_package:Name"], 2, "No module named 'no_such_package'"),
        (["keras_norms:NoName"], 2, "has no attribute 'NoName'"),
        (["keras_norms:MaxNorm", "--device", "gpu"], 4, "Asked for gpu"),
        (["keras_norms:MaxNorm", "-k", "no such law"], 5, "has 'no such law' in its name"),
        (["test_command_line:MASK"], 2, "shapes for FixedMask(mask of shape (5, 7)"),
        (["test_command_line:MASK", "--shape", "5,7", "-k", "pure"], 0, "1 of 1 laws hold"),
    ],
)
def test_exit_codes_of_the_laws(arguments, code, words, capsys):
    assert cli.main(["laws", *arguments]) == code
    assert words in capsys.readouterr().out


MASK = kn.FixedMask(np.tri(5, 7))


@pytest.mark.parametrize(
    "arguments",
    [
        ["laws", "exits:x"],
        ["conformance", "--target", "exits:x"],
        ["audit", "model.keras", "--import", "exits"],
        ["audit", "model.keras", "--import", "boom"],
        ["audit", "model.keras", "--import", ".x"],
        ["audit", "model.keras", "--import", "exits.py"],
        ["laws", "exits.py:x"],
    ],
)
def test_a_module_of_the_users_does_not_decide_the_exit_code(
    arguments, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "exits.py").write_text("import sys; sys.exit(0)")
    (tmp_path / "boom.py").write_text("1 / 0")
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert len((printed.out + printed.err).splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "foo", "--report", "kept.json"], "--target is"),
        (["--report", "kept.json", "--all-kills"], "needs --controls"),
        (["--report", "folder"], "--report must be a file in a folder"),
        (["--keras-report", "kept.json/sub/r.json"], "--keras-report must be a file in a folder"),
        (["--report", "kept.json", "--keras-report", "kept.json"], "must be two files"),
    ],
)
def test_a_report_that_cannot_be_written_is_wrong_usage(
    arguments, words, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "kept.json").write_text("keep")
    assert cli.main(["conformance", "-k", "non_neg", *arguments]) == 2
    assert words in capsys.readouterr().out
    assert (tmp_path / "kept.json").read_text() == "keep"


def test_a_target_that_ends_the_process_is_a_crash(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "ends.py").write_text("def mine(w):\n    raise SystemExit(0)")
    assert cli.main(["laws", "ends:mine"]) == cli.CRASHED
    assert "was ended by sys.exit(0)" in capsys.readouterr().err


def test_seeds_beyond_those_of_numpy_are_refused_at_once(capsys):
    assert cli.main(["demo", "--seed", "4294967295", "--seeds", "2"]) == 2
    assert "The last seed, 4294967296, is beyond" in capsys.readouterr().err


OWN_CASES = pathlib.Path(__file__).parent / "third_party_package" / "cases"


def weights(data, first=None):
    """The weights of the first case, of which the first may be replaced."""
    values = data["cases"][0]["inputs"]["w"]["values"]
    if first is None:
        return values
    values[0] = first


def own_cases(folder, change):
    data = json.loads((OWN_CASES / "capped" / "cases.json").read_text("utf-8"))
    data["target"], data["cases"] = "keras_norms:MaxNorm", data["cases"][:1]
    data["count"] = 1
    text = change(data)
    (folder / "mine").mkdir()
    (folder / "mine" / "cases.json").write_text(text or json.dumps(data))
    return ["conformance", "--cases", str(folder)]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda data: None, 0, "1 passed, 0 failed"),
        (lambda data: data["cases"][0]["config"].update(max_value=3.0), 1, "1 failed"),
        (lambda data: "{", 3, "is not JSON: Expecting property name"),
        (lambda data: data.update(count=2), 3, "must hold 2 cases. Received: 1"),
        (lambda data: data["cases"][0].update(kind="forwrad"), 3, "$.cases[0].kind: 'forwrad'"),
        (lambda data: data["cases"][0].update(kind="jit"), 3, "'one_graph' is a required property"),
        (lambda data: data["cases"][0]["inputs"].update(repeat=3), 3, "('repeat' was unexpected)"),
        (lambda data: data["cases"][0]["expected"].update(gap=0), 3, "('gap' was unexpected)"),
        (lambda data: weights(data).pop() and None, 3, "The array 'w' of"),
        (lambda data: weights(data, "0x1.000000001p-1"), 3, "exact in float32"),
        (lambda data: weights(data, "0x1.8p+500"), 3, "exact in float32"),
        (lambda data: weights(data, "0x1.3p+5000"), 3, "is broken"),
        (
            lambda data: data["cases"][0]["expected"]["result"].pop("scale") and None,
            3,
            "$.cases[0].expected.result: 'scale' is a required property",
        ),
    ],
)
def test_cases_of_the_users_own(change, code, words, tmp_path, capsys):
    assert cli.main(own_cases(tmp_path, change)) == code
    printed = capsys.readouterr().out
    assert words in printed
    assert code != 3 or "cases.json" in printed or "capped-" in printed


def test_a_part_of_the_cases_with_controls(capsys):
    """As CONTRIBUTING.md has it. Mutants and troubles need cases that are not in the part."""
    controls = pathlib.Path(__file__).parents[1] / "conformance" / "mutants"
    assert cli.main(["conformance", "-k", "non_neg", "--controls", str(controls)]) == 0
    printed = capsys.readouterr().out
    assert "abs for max(w, 0): killed by non_neg-" in printed
    assert re.search(r"controls: (\d+) = \1 dead \+ 0 alive", printed)


@pytest.mark.parametrize("arguments", [["--device", "tpu"], ["--backend", "numpy"]])
def test_wrong_usage_is_exit_2(arguments):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["conformance", *arguments])
    assert stopped.value.code == 2


def test_a_backend_is_asked_for_in_a_new_process(capfd):
    other = next(b for b in startup.BACKENDS if b != keras.backend.backend())
    code = cli.main(["conformance", "--backend", other, "-k", "non_neg float32"])
    printed = capfd.readouterr()
    if startup.is_installed(other):
        assert f"on {other}, cpu" in printed.out
    else:
        assert code == 2
        assert f"pip install {other}" in printed.err


STATUSES = ("passed", "failed", "expected failures", "not applicable")


def test_the_report_holds_what_a_reader_needs(tmp_path):
    path = tmp_path / "folder" / "report.json"
    assert cli.main(["conformance", "-k", "non_neg", "--report", str(path)]) == 0
    report = json.loads(path.read_text("utf-8"))
    assert (
        report["counts"]["planned"]
        == len(report["cases"])
        == sum(report["counts"][status] for status in STATUSES)
    )
    assert report["device"] == "cpu"
    assert {"keras", "numpy", "python", "keras_norms"} < set(report["versions"])


OWN = """
import keras, keras_norms as kn

@keras.saving.register_keras_serializable("own_classes")
class Own(keras.layers.Dense):
    pass
"""
SAVE = """
import sys
import keras, keras_norms as kn, own_classes
layer = own_classes.Own(2, kernel_constraint=kn.MaxNorm(9.0))
keras.Sequential([keras.layers.Input((3,)), layer]).save(sys.argv[1])
"""


def test_a_model_with_classes_of_the_users(tmp_path, monkeypatch, capsys):
    (tmp_path / "own_classes.py").write_text(OWN)
    run = {"cwd": tmp_path, "capture_output": True, "text": True, "check": False}
    done = subprocess.run([sys.executable, "-c", SAVE, "model.keras"], **run)
    assert done.returncode == 0, done.stderr
    audit = [sys.executable, "-P", "-m", "keras_norms", "audit", "model.keras"]
    done = subprocess.run([*audit, "--import", "own_classes"], **run)
    assert done.returncode == 0, done.stderr
    assert "0 errors, 0 warnings" in done.stdout

    # This process knows no such class.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert cli.main(["audit", "model.keras"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("If the model has classes of your own, --import")
    assert cli.main(["audit", "model.keras", "--import", "no_such_module"]) == 2
    assert "--import no_such_module fails: No module named" in capsys.readouterr().err


def test_a_crash_is_exit_3(saved, monkeypatch, capsys):
    def crash(*arguments, **named):
        raise RuntimeError("out of order")

    monkeypatch.setattr("keras_norms.auditing.command.audit", crash)
    assert cli.main(["audit", str(saved["right"])]) == 3
    assert "RuntimeError: out of order" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["audti", "model.keras"], "Did you mean audit?"),
        (["conformance", "--backend", "tensorflw"], "Did you mean tensorflow?"),
        (["demo", "--seed", "-1"], "must be an integer from 0 to 2**32 - 1. Received: -1"),
        (["demo", "--seed=4294967296"], "Received: 4294967296"),
        (["demo", "--seeds", "0"], "must be a positive integer. Received: 0"),
        (["demo", "--rates", "-1"], "must be positive and finite. Received: -1"),
        (["demo", "--rates", "fast"], "must be positive and finite. Received: fast"),
    ],
)
def test_a_slip_is_named(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_the_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.strip() == f"keras-norms {kn.__version__}"
