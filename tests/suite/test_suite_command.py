"""`keras-norms conformance`: exit codes, reports, and cases of one's own."""

import json
import pathlib
import re

import jsonschema
import keras
import pytest

from keras_norms import cli, startup
from keras_norms.testing.cases import packaged_cases


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
    ("arguments", "words"),
    [
        (["--target", "foo", "--report", "kept.json"], "--target is"),
        (["--report", "kept.json", "--all-kills"], "needs --controls"),
        (["--device", "mesh", "--controls", "folder"], "--device mesh has no use for: --controls"),
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


OWN_CASES = pathlib.Path(__file__).parents[1] / "third_party_package" / "cases"


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


def raising(words):
    """A case of an error, whose message has these words."""
    config = {"max_value": -1.0}
    return {
        "kind": "raises",
        "config": config,
        "inputs": {},
        "expected": {"error": "ValueError", "words": words},
    }


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda data: None, 0, "1 passed, 0 failed"),
        (lambda data: data["cases"][0]["config"].update(max_value=3.0), 1, "1 failed"),
        (lambda data: "{", 3, "is not JSON: Expecting property name"),
        (lambda data: '{"count": 1, "count": 1}', 3, "the key 'count' is there twice"),
        (lambda data: '{"count": 1e999}', 3, "1e999 is not a finite number"),
        (lambda data: '{"count": NaN}', 3, "NaN is not a finite number"),
        (
            lambda data: data["cases"][0]["expected"]["result"].update(passes=1000000),
            3,
            "1000000 is greater than the maximum of 16",
        ),
        (lambda data: data["cases"][0].update(raising([])), 3, "[] should be non-empty"),
        (lambda data: data["cases"][0].update(raising([""])), 3, "'' should be non-empty"),
        (lambda data: data["cases"][0].update(raising(["-1"])), 0, "1 passed"),
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
    controls = pathlib.Path(__file__).parents[2] / "conformance" / "mutants"
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


def test_the_new_process_takes_no_package_of_the_current_folder(tmp_path, monkeypatch, capfd):
    """A file keras.py, say, would take the place of Keras."""
    (tmp_path / "keras.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "another")
    backend = keras.backend.backend()
    assert cli.main(["conformance", "--backend", backend, "-k", "non_neg float32"]) == 0
    assert "the wrong one" not in capfd.readouterr().err


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path):
    link, real = tmp_path / "link.json", tmp_path / "real.json"
    real.write_text("of an earlier run")
    link.symlink_to(real)
    assert cli.main(["conformance", "-k", "no such case", "--report", str(link)]) == 5
    assert link.is_symlink()
    assert real.read_text() == ""
    assert cli.main(["conformance", "-k", "non_neg float32", "--report", str(link)]) == 0
    assert json.loads(real.read_text())["counts"]["failed"] == 0


STATUSES = ("passed", "failed", "expected failures", "not applicable")


def test_the_report_holds_what_a_reader_needs(tmp_path):
    path = tmp_path / "folder" / "report.json"
    assert cli.main(["conformance", "-k", "non_neg", "--report", str(path)]) == 0
    report = json.loads(path.read_text("utf-8"))
    schema = packaged_cases().parent / "schema" / "report.schema.json"
    jsonschema.validate(report, json.loads(schema.read_text("utf-8")))
    assert (
        report["counts"]["planned"]
        == len(report["cases"])
        == sum(report["counts"][status] for status in STATUSES)
    )
    assert report["device"] == "cpu"
    assert {"keras", "numpy", "python", "keras_norms"} < set(report["versions"])


def test_a_report_that_the_system_refuses_is_said_before_the_run(tmp_path, monkeypatch, capsys):
    def refuse(path, *arguments, **named):
        raise OSError(30, "Read-only file system", str(path))

    path = tmp_path / "report.json"
    monkeypatch.setattr(pathlib.Path, "write_text", refuse)
    assert cli.main(["conformance", "-k", "non_neg", "--report", str(path)]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("--report cannot be written: [Errno 30] Read-only file system")
