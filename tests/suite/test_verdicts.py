"""No run is green because something was not asked, and none is red for what is right."""

import dataclasses
import functools
import json

import keras
import pytest
from keras import ops
from one_case import case
from third_party_package import outside_norms

import keras_norms as kn
from conformance import plant
from keras_norms import cli
from keras_norms.constraints import Constraint
from keras_norms.testing import runner
from keras_norms.testing.controls import Mutant, run_mutant
from keras_norms.testing.expected import load_expected
from keras_norms.testing.harness import OURS, Harness
from keras_norms.testing.laws import checks, parametrize_with_checks
from keras_norms.testing.laws.asking import name_of

CAPPED = "third_party_package.outside_norms:Capped"


@dataclasses.dataclass(frozen=True)
class TwoModes(Constraint):
    """Right in one mode and wrong in the other."""

    mode: str = "right"
    axis: int = 0

    @classmethod
    def examples(cls):
        return [cls(), cls("wrong")]

    def compute_projection(self, w, axes):
        return w if self.mode == "right" else 2 * w


class Packed(keras.constraints.Constraint):
    """Its config holds its argument under another name, and its own reader knows that."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, w):
        return w * ops.cast(self.factor, w.dtype)

    def get_config(self):
        return {"packed": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(config["packed"])


packed = Packed(0.5)
filters = kn.MaxNorm(1.0, axis=(0, 1, 2))


def makes_a_constraint(max_value=2.0):
    return outside_norms.Capped(max_value)


class RefusesHalf(keras.constraints.Constraint):
    """It refuses float16, and takes other weights."""

    def __call__(self, w):
        if keras.backend.standardize_dtype(w.dtype) == "float16":
            raise TypeError("no float16")
        return w


def written(folder, *some, target=CAPPED):
    """The option for a folder of such cases."""
    folder.mkdir(exist_ok=True)
    cases = [{k: v for k, v in vars(each).items() if k != "target"} for each in some]
    data = {"target": target, "count": len(cases), "cases": cases}
    (folder / "cases.json").write_text(json.dumps(data))
    return ["conformance", "--cases", str(folder)]


def training(path, expected=None, **changes):
    inputs = {"path": path} | changes.pop("inputs", {})
    return case(kind="training", inputs=inputs, expected=expected or {"bound": 1.0}, **changes)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (training("optimizer", inputs={"optimizer": "adamw"}), "'adamw' is not one of"),
        (training("optimizer"), "'optimizer' is a required property"),
        (training("fit", inputs={"optimizer": "Adam"}), "'optimizer' is not one of"),
        (training("fitt"), "'fitt' is not one of"),
        (training("fit", {"bound": 1.0, "of": "singular_values"}), "'singular_values' is not"),
        (training("fit", {"bound": 1.0, "steps": 7}), "'steps' is not one of"),
        (training("fit_eagerly", dtype="float16"), "dtype: 'float32' was expected"),
        (
            case(kind="by_name", inputs={"name": "l2"}, expected={"config": {}}),
            "asks for a name, which no third_party",
        ),
        (
            case(
                kind="gradient",
                inputs=case().inputs | {"weights": {"shape": [2, 1], "values": ["0x1p-1", "0.1"]}},
            ),
            "weights.values[1]: '0.1' does not match",
        ),
        (
            case(
                kind="gradient",
                inputs=case().inputs
                | {"weights": {"shape": [2, 1], "values": ["0x1p-1", "0x1.999999999999ap-4"]}},
            ),
            "The array 'weights' of a must hold numbers that are exact in float32",
        ),
    ],
)
def test_what_a_case_says_and_nothing_reads_is_refused(given, words, tmp_path, capsys):
    assert cli.main(written(tmp_path, given)) == 3
    assert words in capsys.readouterr().out


def test_an_array_may_be_an_input_and_expected(tmp_path):
    """As the kernel before and after a step of training."""
    one, two = ({"shape": [1, 1], "values": [v]} for v in ("0x1p+0", "0x1p+1"))
    exact = {"shape": [1, 1], "dtype": "float32", "reduced": 2, "scale": "entry", "passes": 1}
    step = case(
        kind="fit_step",
        config={"max_value": 1.0},
        inputs={"x": one, "y": two, "kernel": one, "learning_rate": 0.5},
        expected={
            "kernel": exact | {"values": [["0x1p+0", "0x0p+0"]]},
            "bias": exact | {"shape": [1], "values": [["0x1p+0", "0x0p+0"]]},
        },
    )
    assert cli.main(written(tmp_path, step)) == 0


@pytest.mark.parametrize("kind", ["projection", "excess"])
def test_a_method_that_is_asked_for_must_be_there(kind, tmp_path, capsys):
    assert cli.main(written(tmp_path, case(), case(id="b", kind=kind))) == 1
    assert f"no attribute '{kind.removesuffix('ion')}" in capsys.readouterr().out


def test_no_argument_beside_members_is_dropped(tmp_path, capsys):
    members = [
        {"class_name": "NonNeg", "config": {}},
        {"class_name": "MaxNorm", "config": {"max_value": 1.0}},
    ]
    right, wrong = ({"members": members} | more for more in ({}, {"scale": 2.0}))
    folder = written(
        tmp_path, case(config=right), case(id="b", config=wrong), target="keras_norms:Chain"
    )
    assert cli.main(folder) == 1
    assert "1 passed, 1 failed" in capsys.readouterr().out


def test_training_looks_at_the_groups_of_the_axis(tmp_path):
    rows = case(config={"max_value": 1.0, "axis": 1}).config
    assert cli.main(written(tmp_path, training("fit", config=rows))) == 0


def test_bad_input_is_given_in_the_dtype_of_the_case():
    given = case(
        target="RefusesHalf",
        kind="raises",
        config={},
        dtype="float16",
        expected={"error": "TypeError", "words": ["float16"]},
    )
    harness = Harness(OURS.classes() | {"RefusesHalf": RefusesHalf})
    assert runner.run_case(given, harness).status == "passed"


@pytest.mark.parametrize("option", [["--target", "keras"], ["--keras-report", "theirs.json"]])
def test_keras_is_not_asked_about_a_class_of_the_user(option, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*written(tmp_path / "cases", case()), *option]) == 3
    assert f"Received: cases of {CAPPED}" in capsys.readouterr().out
    assert not (tmp_path / "theirs.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cases", ""], "--cases must be a folder. Received an empty text"),
        (["--controls", ""], "--controls must be a folder. Received an empty text"),
        (["--report", ""], "--report must be a file. Received an empty text"),
        (["--keras-report", ""], "--keras-report must be a file. Received an empty text"),
        (["--report", "/dev/null/report.json"], "--report"),
        (["--target", CAPPED, "--device", "mesh"], "has no use for: --device mesh"),
    ],
)
def test_what_would_not_be_done_is_wrong_usage(arguments, words, capsys):
    assert cli.main(["conformance", *arguments]) == 2
    assert words in capsys.readouterr().out


def test_no_report_takes_the_place_of_cases(tmp_path, capsys):
    command = written(tmp_path, case())
    before = (tmp_path / "cases.json").read_text()
    assert cli.main([*command, "--report", str(tmp_path / "cases.json")]) == 2
    assert "must not lie among the cases" in capsys.readouterr().out
    assert (tmp_path / "cases.json").read_text() == before


CONTROL = """
from keras_norms.testing.controls import Mutant, Trouble

MUTANTS = [Mutant("doubled", {"L2": lambda **config: None})]
"""


def test_a_run_says_that_it_is_a_part_and_that_no_control_is_about_it(tmp_path, capsys):
    (tmp_path / "controls_of_l2").mkdir()
    (tmp_path / "controls_of_l2" / "mutants_of_l2.py").write_text(CONTROL)
    command = [*written(tmp_path / "cases", case(), case(id="b")), "-k", "a"]
    assert cli.main([*command, "--controls", str(tmp_path / "controls_of_l2")]) == 0
    printed = capsys.readouterr().out
    assert "This is a part: the cases with 'a'" in printed
    assert "No control of 1 is about these cases" in printed


def test_words_of_markup_are_only_words(tmp_path, capsys):
    assert cli.main([*written(tmp_path, case()), "-k", "[/x]"]) == 5
    (tmp_path / "odd_controls").mkdir()
    named = CONTROL + "TROUBLES = [Trouble('none [/x]', lambda cases, device: True)]\n"
    named = named.replace('"L2"', f'"{CAPPED}"').replace("None", "lambda w: 2 * w")
    (tmp_path / "odd_controls" / "odd.py").write_text(named)
    controls = ["--controls", str(tmp_path / "odd_controls")]
    assert cli.main([*written(tmp_path / "cases", case()), *controls]) == 0
    assert "none [/x]: noticed" in capsys.readouterr().out


def test_controls_that_cannot_be_imported_are_broken(tmp_path, capsys):
    (tmp_path / "broken_controls").mkdir()
    (tmp_path / "broken_controls" / "broken.py").write_text("import nothing_here")
    controls = ["--controls", str(tmp_path / "broken_controls")]
    assert cli.main([*written(tmp_path / "cases", case()), *controls]) == 3
    assert "broken.py cannot be imported: ModuleNotFoundError" in capsys.readouterr().out


def test_a_mutant_takes_the_place_of_a_class_of_the_user():
    given = case(target=CAPPED)
    doubled = Mutant("doubled", {CAPPED: lambda **config: lambda w: 2 * w})
    assert run_mutant(doubled, [given]).dead
    assert runner.run_case(given, Harness(OURS.classes())).status == "passed"


FAILURE = '[[failure]]\nid = "{}"\nreason = "{}"\nlink = "x"\nmessage = "must"\ninputs = {{ {} }}\n'


def test_one_pattern_may_be_expected_with_several_inputs(tmp_path):
    path = tmp_path / "expected.toml"
    cases = [case(id=f"a{steps}", inputs={"steps": steps}) for steps in (1, 2)]
    path.write_text(
        FAILURE.format("a*", "first", "steps = 1") + FAILURE.format("a*", "second", "steps = 2")
    )
    found = load_expected(path, cases, "jax", "3.15.1")
    assert [found[each.id].reason for each in cases] == ["first", "second"]


def test_the_laws_take_weights_as_large_as_a_kernel():
    target = outside_norms.Capped()
    right, wrong = (
        {repr(c): c for c in checks(each, max_examples=3, shapes=[(64, 64)])}
        for each in (target, outside_norms.Epsilon())
    )
    for law in ("pure", "idempotent", "small_weights_stay"):
        right[law](target)
    with pytest.raises(AssertionError):
        wrong["small_weights_stay"](outside_norms.Epsilon())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["TwoModes", "-k", "idempotent"], 1, "FAILED idempotent"),
        (["packed", "-k", "config"], 0, "1 of 1 laws hold"),
        (["filters", "--shape", "3,4"], 2, "takes no weights of shape (3, 4)"),
        (["makes_a_constraint"], 2, "makes_a_constraint, which returns Capped"),
    ],
)
def test_the_laws_are_asked_of_all_that_is_named(arguments, code, words, capsys):
    assert cli.main(["laws", f"test_verdicts:{arguments[0]}", *arguments[1:]]) == code
    printed = capsys.readouterr().out
    assert words in printed
    assert arguments[0] != "TwoModes" or "TwoModes(mode='right', axis=0): 1 of 1" in printed


def test_a_length_of_0_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["laws", "test_verdicts:packed", "--shape", "0,3"])
    assert "must be lengths" in capsys.readouterr().err


def test_targets_are_counted_and_named_alike_in_every_process():
    with pytest.raises(ValueError, match="Received: targets="):
        parametrize_with_checks(iter([]))
    assert " at 0x" not in name_of(functools.partial(ops.clip, x_min=0, x_max=1))
    assert " at 0x" not in name_of(kn.L1() + keras.regularizers.L2())


def test_bugs_are_planted_where_the_project_passes(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["plant", "--only", "no such bug"])
    assert plant.main() == 1
    monkeypatch.setattr("sys.argv", ["plant", "--old", "x"])
    with pytest.raises(SystemExit):
        plant.main()
    assert "needs --module, --old and --new" in capsys.readouterr().err
    monkeypatch.setattr(plant, "_run", lambda root, *arguments: (2, "no backend"))
    with pytest.raises(SystemExit, match="fails without a bug: no backend"):
        plant.check_environment()
