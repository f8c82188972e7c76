"""Write the golden cases, their manifest and the table of requirements, or check all of them.

    python -m conformance.generate --write
    python -m conformance.generate --check

Needs mpmath and jsonschema, and no backend.
"""

import argparse
import ast
import hashlib
import json
import pathlib
import sys

import jsonschema

from conformance import catalogue
from keras_norms.testing.manifest import digest

HERE = pathlib.Path(__file__).parent
PAGE = HERE / "README.md"
MANIFEST = HERE / "manifest.json"
BEGIN = "<!-- requirements: written by conformance.generate -->"
END = "<!-- end of requirements -->"


def case_files():
    """The data of every case file by its path below cases/."""
    schema = json.loads((HERE / "schema" / "cases.schema.json").read_text("utf-8"))
    oracles = _oracles_hash()
    for name, target, cases in catalogue.case_files():
        data = {"target": target, "oracles_sha256": oracles, "count": len(cases), "cases": cases}
        jsonschema.validate(data, schema)
        yield name, data


def _oracles_hash():
    digest = hashlib.sha256()
    folder = HERE / "oracles"
    for path in sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).parts):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _text(data):
    """JSON with one case per line: short files, and a diff shows which case changed."""
    head = {key: value for key, value in data.items() if key != "cases"}
    cases = ",\n".join(json.dumps(case) for case in data["cases"])
    return json.dumps(head)[:-1] + ', "cases": [\n' + cases + "\n]}\n"


def manifest(texts):
    """The manifest, from the texts of the case files and of the modules of controls."""
    cases = {
        name: {"count": json.loads(text)["count"], "sha256": digest(text)}
        for name, text in sorted(texts.items())
    }
    folder = HERE / "mutants"
    controls = {}
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text("utf-8")
        name = path.relative_to(folder).as_posix()
        controls[name] = {"names": list(_names_of_controls(text)), "sha256": digest(text)}
    return json.dumps({"cases": cases, "controls": controls}, indent=1) + "\n"


def _names_of_controls(text):
    """The names in the lists of a module, read as text: no backend is here to make them."""
    for statement in ast.parse(text).body:
        names = {getattr(t, "id", "") for t in getattr(statement, "targets", [])}
        if names & {"MUTANTS", "TROUBLES"}:
            for node in ast.walk(statement.value):
                if getattr(getattr(node, "func", None), "id", "") in ("Mutant", "Trouble"):
                    yield ast.literal_eval(node.args[0])


def requirements(data):
    """The table of requirements in Markdown, and what is wrong between it and the cases."""
    tables, told, wrong = [], set(), []
    for name, module in catalogue.families():
        rows = [f"| {id} | {text} | {why} |" for id, (text, why) in module.REQUIREMENTS.items()]
        head = [
            f"### {name.replace('.', ': ').capitalize()}",
            "",
            "| id | requirement | source |",
            "|---|---|---|",
        ]
        tables.append("\n".join([*head, *rows, ""]))
        wrong += [f"{id} is told twice" for id in sorted(told & set(module.REQUIREMENTS))]
        told |= set(module.REQUIREMENTS)
    named = {case["requirement"] for file in data.values() for case in file["cases"]}
    wrong += [f"{id} has cases and no text" for id in sorted(named - told)]
    wrong += [f"{id} has a text and no case" for id in sorted(told - named)]
    return "\n".join(tables), wrong


def loose(data):
    """The cases that what a backend returned could pass whatever it was, zeros say.

    An excess is another matter: it is 0 in the set, and has the error of the distance to the set.
    """
    return [
        f"{case['id']} allows an error of what it expects"
        for file in data.values()
        for case in file["cases"]
        for result in [case["expected"].get("result", {})]
        if case["kind"] != "excess"
        and float.fromhex(result.get("inexact", "0x0p+0"))
        > max((abs(float.fromhex(high)) for high, _ in result.get("values", [])), default=0.0) / 10
    ]


def _page(table):
    """conformance/README.md with the table between its two marks."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true")
    action.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    data = dict(case_files())
    table, wrong = requirements(data)
    wrong += loose(data)
    for line in wrong:
        print(line)
    folder = HERE / "cases"
    texts = {name: _text(file) for name, file in data.items()}
    wanted = {folder / name: text for name, text in texts.items()}
    wanted |= {PAGE: _page(table), MANIFEST: manifest(texts)}
    present = [path for path in (*folder.rglob("*.json"), PAGE, MANIFEST) if path.is_file()]
    found = {path: path.read_text("utf-8") for path in present}
    stale = sorted(p for p in wanted.keys() | found.keys() if wanted.get(p) != found.get(p))
    if arguments.check:
        names = ", ".join(str(path.relative_to(HERE).as_posix()) for path in stale)
        print(f"{len(data)} case files, manifest and requirements, stale: {names or 'none'}")
        return 1 if stale or wrong else 0
    for path in found.keys() - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    print(f"{len(data)} case files, their manifest and the table of requirements written")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
