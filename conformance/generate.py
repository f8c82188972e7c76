"""Write the golden cases, or check that the files hold what the oracles say today.

    python -m conformance.generate --write
    python -m conformance.generate --check

Needs mpmath and jsonschema, and no backend.
"""

import argparse
import hashlib
import json
import pathlib
import sys

import jsonschema

from conformance import catalogue

HERE = pathlib.Path(__file__).parent


def files():
    """The text of every case file by its path below cases/."""
    schema = json.loads((HERE / "schema" / "cases.schema.json").read_text("utf-8"))
    for name, target, cases in catalogue.case_files():
        data = {
            "target": target,
            "oracles_sha256": _oracles_hash(),
            "count": len(cases),
            "cases": cases,
        }
        jsonschema.validate(data, schema)
        yield name, _text(data)


def _oracles_hash():
    digest = hashlib.sha256()
    for path in sorted((HERE / "oracles").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _text(data):
    """JSON with one case per line: short files, and a diff shows which case changed."""
    head = {key: value for key, value in data.items() if key != "cases"}
    cases = ",\n".join(json.dumps(case) for case in data["cases"])
    return json.dumps(head)[:-1] + ', "cases": [\n' + cases + "\n]}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true")
    action.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    wanted = dict(files())
    folder = HERE / "cases"
    found = {
        str(path.relative_to(folder).as_posix()): path.read_text("utf-8")
        for path in folder.glob("*/*.json")
    }
    if arguments.check:
        stale = sorted(n for n in wanted.keys() | found.keys() if wanted.get(n) != found.get(n))
        print(f"{len(wanted)} case files, {len(stale)} stale: {', '.join(stale) or 'none'}")
        return 1 if stale else 0
    for name in found.keys() - wanted.keys():
        (folder / name).unlink()
    for name, text in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    print(f"{len(wanted)} case files written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
