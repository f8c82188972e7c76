"""`keras-norms audit`: files of models, and what is said of those that cannot be loaded."""

import json
import os
import subprocess
import sys
import zipfile

import keras
import pytest

import keras_norms as kn
from keras_norms import cli
from keras_norms.models.files import MEMBER


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


def test_a_reader_who_wants_no_more_is_no_crash(saved):
    """As `| head` is, which closes the pipe before all is written."""
    code = "import sys; from keras_norms.cli import main; sys.exit(main())"
    running = subprocess.Popen(
        [sys.executable, "-P", "-c", code, "audit", str(saved["right"])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout
    assert running.stderr
    running.stdout.close()
    said = running.stderr.read()
    running.stderr.close()
    assert running.wait() == 141
    assert "Traceback" not in said


def test_letters_that_the_terminal_lacks_are_escaped(tmp_path):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, name="\u6f22")])
    model.save(tmp_path / "model.keras")
    command = [sys.executable, "-P", "-m", "keras_norms", "audit", str(tmp_path / "model.keras")]
    env = os.environ | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert "\\u6f22" in done.stdout


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

    @keras.saving.register_keras_serializable("test_audit_command")
    def own_loss(y, p):
        return keras.ops.mean(y - p)

    model.compile(loss=own_loss)
    model.save(path)
    del keras.saving.get_custom_objects()["test_audit_command>own_loss"]
    assert cli.main(["audit", str(path), "--format", "json"]) == 1
    printed = capsys.readouterr()
    assert "Its optimizer and loss cannot be loaded" in printed.err
    (finding,) = json.loads(printed.out)["findings"]
    assert (finding["code"], finding["severity"]) == ("wrong-axis", "error")


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
