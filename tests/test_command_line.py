"""The command line: the demo, the backend that it finds, and slips."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import keras_norms as kn
from keras_norms import cli, startup


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


@pytest.mark.parametrize("name", ["picture.gif", "no-such-folder/picture.png", "folder.png"])
def test_a_picture_that_cannot_be_written_is_refused_before_training(
    name, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
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


def test_seeds_beyond_those_of_numpy_are_refused_at_once(capsys):
    assert cli.main(["demo", "--seed", "4294967295", "--seeds", "2"]) == 2
    assert "The last seed, 4294967296, is beyond" in capsys.readouterr().err


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


def test_a_user_without_a_home_folder(monkeypatch):
    """As in a container: Keras looks below /tmp if it cannot write to the home folder."""
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert startup._configured_backend()
    looked_for = []
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(pathlib.Path, "read_text", lambda path, _: looked_for.append(path) or "{}")
    assert startup._configured_backend() == "tensorflow"
    assert looked_for == [pathlib.Path("/tmp/.keras/keras.json")]
