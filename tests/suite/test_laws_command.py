"""`keras-norms laws`: what it prints, and what docs/your-own.md says that it prints."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

import keras_norms as kn
from keras_norms import cli
from keras_norms.constraints import Constraint
from keras_norms.testing.laws import CONSTRAINT_LAWS, CONVEX_LAWS, PENALTY_LAWS, command


@pytest.mark.parametrize(
    ("code", "words", "exit_code", "said"),
    [
        ("mine = 1 / 0", "", 2, "Cannot check my_norms:mine: ZeroDivisionError"),
        ("mine = (", "", 2, "Cannot check my_norms:mine: SyntaxError"),
        ("import keras; mine = keras.ops.relu", "PURE", 0, "1 of 1 laws hold; -k left out 8 more"),
        ("import keras; mine = keras.ops.relu", "nothing", 5, "No law for relu"),
    ],
)
def test_what_the_command_says(code, words, exit_code, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_norms.py").write_text(code)
    sys.modules.pop("my_norms", None)
    console = Console(record=True, width=200)
    assert command.run("my_norms:mine", console, words) == exit_code
    assert said in console.export_text()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["keras_norms:MaxNorm", "-k", "feasible"], 0, "laws hold"),
        (["keras.constraints:UnitNorm", "-k", "small"], 1, "FAILED small_weights_stay"),
        (["keras.constraints:UnitNorm", "-k", "small"], 1, "    for w = array([["),
        (["keras_norms"], 2, "is package:name, not keras_norms"),
        (["no_such_package:Name"], 2, "No module named 'no_such_package'"),
        (["keras_norms:NoName"], 2, "has no attribute 'NoName'"),
        (["keras_norms:MaxNorm", "--device", "gpu"], 4, "Asked for gpu"),
        (["keras_norms:MaxNorm", "-k", "no such law"], 5, "has 'no such law' in its name"),
        (["test_laws_command:NoExamples"], 5, "has no `examples()`"),
        (["test_laws_command:MASK"], 2, "shapes for FixedMask(mask of shape (5, 7)"),
        (["test_laws_command:MASK", "--shape", "5,7", "-k", "pure"], 0, "1 of 1 laws hold"),
    ],
)
def test_exit_codes_of_the_laws(arguments, code, words, capsys):
    assert cli.main(["laws", *arguments]) == code
    assert words in capsys.readouterr().out


MASK = kn.FixedMask(np.tri(5, 7))


class NoExamples(Constraint):
    """It gives the laws nothing to ask."""

    @classmethod
    def examples(cls):
        return []


def test_a_target_that_ends_the_process_is_a_crash(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "ends.py").write_text("def mine(w):\n    raise SystemExit(0)")
    assert cli.main(["laws", "ends:mine"]) == cli.CRASHED
    assert "was ended by sys.exit(0)" in capsys.readouterr().err


def test_the_page_lists_every_law():
    for law in {*CONSTRAINT_LAWS, *CONVEX_LAWS, *PENALTY_LAWS}:
        row = f"| `{law.__name__}` | {law.__doc__.splitlines()[0]} |"
        assert row in PAGE.read_text("utf-8")


PAGE = pathlib.Path(__file__).parents[2] / "docs" / "your-own.md"


@pytest.mark.parametrize(("position", "code"), [(0, 1), (1, 0)])
def test_the_page_goes_from_red_to_green(position, code, tmp_path):
    """The command prints what docs/your-own.md says, but for numbers that backends differ in."""
    section = PAGE.read_text("utf-8").split("## From red to green")[1].split("\n## ")[0]
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    module = [text for language, text in blocks if language][position]
    shown = [text for language, text in blocks if not language][position]
    (tmp_path / "my_norms.py").write_text(module)
    command = [sys.executable, "-P", "-m", "keras_norms", "laws", "my_norms:bounded"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    numbers = re.compile(r"Received: .*|for w = array.*")
    printed = [numbers.sub("", line) for line in done.stdout.splitlines()]
    assert printed == [numbers.sub("", line) for line in shown.splitlines()]


def test_without_assertions_no_law_is_asked(tmp_path):
    code = "import keras_norms.testing.laws"
    environment = os.environ | {"PYTHONOPTIMIZE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "The laws are assertions: run Python without -O" in done.stderr
