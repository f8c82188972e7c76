"""Golden cases that are written from oracles: what is stale or without a text is seen."""

import dataclasses
import importlib
import json
import sys
import types

import pytest
from one_case import case


def family(requirements, *named, title="3-4-5"):
    """A module of the catalogue with a case for each of the named requirements."""
    cases = [dataclasses.asdict(case(requirement=each, title=title)) for each in named]
    files = [("max_norm/forward.json", each.pop("target"), [each]) for each in cases]
    return types.SimpleNamespace(REQUIREMENTS=requirements, case_files=lambda: files)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the generator in an empty folder; the oracles are not asked, which need mpmath."""
    catalogue = types.ModuleType("conformance.catalogue")
    monkeypatch.setitem(sys.modules, "conformance.catalogue", catalogue)
    monkeypatch.delitem(sys.modules, "conformance.generate", raising=False)
    generate = importlib.import_module("conformance.generate")
    schema = generate.HERE / "schema" / "cases.schema.json"
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / schema.name).write_text(schema.read_text("utf-8"), "utf-8")
    for name, path in (("HERE", ""), ("PAGE", "README.md"), ("MANIFEST", "manifest.json")):
        monkeypatch.setattr(generate, name, tmp_path / path)
    generate.PAGE.write_text(f"Before.\n{generate.BEGIN}\n{generate.END}\nAfter.\n", "utf-8")

    def run(action, *families):
        catalogue.families = lambda: [(f"family {n}", each) for n, each in enumerate(families)]
        catalogue.case_files = lambda: (file for each in families for file in each.case_files())
        monkeypatch.setattr(sys, "argv", ["generate", action])
        return generate.main()

    yield run
    sys.modules.pop("conformance.generate", None)


TEXT = {"KN-MAXNORM-001": ("norms are bounded", "Srebro 2005")}


def test_what_is_written_is_up_to_date(run, tmp_path, capsys):
    assert run("--check", family(TEXT, *TEXT)) == 1
    assert "stale: README.md, cases/max_norm/forward.json, manifest.json" in capsys.readouterr().out
    assert run("--write", family(TEXT, *TEXT)) == 0
    assert run("--check", family(TEXT, *TEXT)) == 0
    page = (tmp_path / "README.md").read_text("utf-8")
    assert page.startswith("Before.\n")
    assert page.endswith("After.\n")
    assert "| KN-MAXNORM-001 | norms are bounded | Srebro 2005 |" in page
    data = json.loads((tmp_path / "cases/max_norm/forward.json").read_text("utf-8"))
    assert (data["target"], data["count"]) == ("MaxNorm", 1)


def test_a_changed_case_is_stale(run, capsys):
    run("--write", family(TEXT, *TEXT))
    capsys.readouterr()
    assert run("--check", family(TEXT, *TEXT, title="another")) == 1
    assert "stale: cases/max_norm/forward.json, manifest.json" in capsys.readouterr().out


def test_a_file_without_a_family_is_stale_and_goes(run, tmp_path, capsys):
    run("--write", family(TEXT, *TEXT))
    left = tmp_path / "cases" / "left" / "over.json"
    left.parent.mkdir()
    left.write_text("{}", "utf-8")
    assert run("--check", family(TEXT, *TEXT)) == 1
    assert "stale: cases/left/over.json" in capsys.readouterr().out
    assert run("--write", family(TEXT, *TEXT)) == 0
    assert not left.exists()


def expecting(kind, inexact, **changes):
    """A family of one case, whose result may be off by so much."""
    each = family(TEXT, *TEXT)
    ((_, _, (given,)),) = each.case_files()
    given["kind"] = kind
    given["expected"]["result"] |= {"inexact": inexact.hex()} | changes
    return each


@pytest.mark.parametrize(
    ("kind", "inexact", "changes", "code"),
    [
        ("forward", 0.07, {}, 0),
        ("forward", 0.11, {}, 1),
        ("forward", 1.0, {"values": [["0x0.0p+0", "0x0.0p+0"]] * 2}, 1),
        ("forward", 0.0, {"values": [["0x0.0p+0", "0x0.0p+0"]] * 2}, 0),
        ("excess", 1.0, {}, 0),
    ],
)
def test_an_error_that_hides_the_result_is_refused(run, capsys, kind, inexact, changes, code):
    assert run("--write", expecting(kind, inexact, **changes)) == code
    assert ("allows an error of what it expects" in capsys.readouterr().out) == bool(code)


@pytest.mark.parametrize(
    ("families", "complaint"),
    [
        ([family({}, *TEXT)], "KN-MAXNORM-001 has cases and no text"),
        ([family(TEXT | {"KN-MAXNORM-002": ("", "")}, *TEXT)], "KN-MAXNORM-002 has a text and no"),
        ([family(TEXT, *TEXT), types.SimpleNamespace(REQUIREMENTS=TEXT, case_files=list)], "twice"),
    ],
)
def test_cases_and_texts_belong_together(run, capsys, families, complaint):
    for action in ("--write", "--check"):  # the files are up to date the second time
        assert run(action, *families) == 1
        assert complaint in capsys.readouterr().out
