"""What reports say, as Markdown."""

import collections
import re

# How bad a failure is, as the runner derives it (keras_norms/testing/severity.py).
SEVERITIES = ("wrong", "imprecise", "other convention", "missing")


def _cell(cases):
    """Passed of run, with the expected failures."""
    counts = collections.Counter(case["status"] for case in cases)
    run = len(cases) - counts["not applicable"]
    if not run:
        return "-"
    expected = counts["expected failure"]
    return f"{counts['passed']} of {run}" + (f", {expected} expected" if expected else "")


def _severities(cases):
    """How many of the cases fail, by severity."""
    return collections.Counter(case["severity"] for case in cases if case["status"] == "failed")


def _in_words(counts):
    """Counts of failures: "3 wrong, 1 missing"."""
    return ", ".join(f"{counts[name]} {name}" for name in SEVERITIES if counts[name])


def _columns(ours, keras):
    """A name and a report for each column: ours on each backend, then Keras' own."""
    for name, reports in (("", ours), ("Keras' own, ", keras)):
        for backend, report in reports.items():
            yield f"{name}{backend} {report['versions'][backend]}", report


def table(ours, keras):
    """Markdown: one line per target, one column per backend."""
    columns = list(_columns(ours, keras))
    lines = [
        "| target | " + " | ".join(name for name, _ in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    targets = sorted({case["target"] for report in ours.values() for case in report["cases"]})
    for target in targets:
        cells = [
            _cell([case for case in report["cases"] if case["target"] == target])
            for _, report in columns
        ]
        lines.append(f"| {target} | " + " | ".join(cells) + " |")
    every = [_cell(report["cases"]) for _, report in columns]
    lines.append("| all | " + " | ".join(every) + " |")
    fails = [dead(report) for _, report in columns]
    lines.append("| controls that fail, as they must | " + " | ".join(fails) + " |")
    for severity in SEVERITIES:
        found = [str(_severities(report["cases"])[severity]) for _, report in columns]
        lines.append(f"| cases that fail: {severity} | " + " | ".join(found) + " |")
    return "\n".join(lines) + "\n"


def dead(report):
    """How many of the controls failed, if they ran."""
    controls = report["controls"].values()
    return f"{sum(c['dead'] for c in controls)} of {len(controls)}" if controls else "-"


def accounting(ours, keras):
    """Markdown: what became of the planned cases in each column, and what Keras' own fail there."""
    counts = ("planned", "passed", "failed", "expected failures", "not applicable")
    lines = [
        f"| column | versions | {' | '.join(counts)} | controls that fail | Keras' own |",
        "|---|---|" + "---|" * (len(counts) + 2),
    ]
    for name, report in ours.items():
        cells = " | ".join(str(report["counts"][count]) for count in counts)
        theirs = _in_words(_severities(keras[name]["cases"])) if name in keras else "-"
        row = (name, origin({name: report}), cells, dead(report), theirs)
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def errors(ours):
    """Markdown: the float32 error of each target that comes nearest to its budget, in ulp."""
    lines = ["| target | " + " | ".join(ours) + " |", "|---|" + "---|" * len(ours)]
    found = {
        backend: {row["target"]: row["score"] for row in r["worst"] if row["dtype"] == "float32"}
        for backend, r in ours.items()
    }
    for target in sorted({target for scores in found.values() for target in scores}):
        cells = [f"{scores[target]:.2f}" if target in scores else "-" for scores in found.values()]
        lines.append(f"| {target} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def origin(reports):
    """What the reports are of: "Keras 3.15.1, tensorflow 2.21.0, torch 2.13.0, 2026-11-24"."""
    keras = {f"Keras {report['versions']['keras']}" for report in reports.values()}
    backends = [f"{r['backend']} {r['versions'][r['backend']]}" for r in reports.values()]
    dates = {report["date"][:10] for report in reports.values()}
    return ", ".join([*sorted(keras), *backends, *sorted(dates)[-1:]])


def summary(keras):
    """One line: how many cases Keras' own classes fail on each backend, by severity."""
    counts = [f"{b}: {_in_words(_severities(r['cases']))}" for b, r in keras.items()]
    return (
        "How bad the failures of Keras' own classes are "
        f"([what the words mean](keras-failures.md)): {'; '.join(counts)}.\n"
    )


def proof(ours):
    """One line: how many cases pass on each backend, and how many controls fail, as they must."""
    passed = [
        f"{report['counts']['passed']} of {_run(report['counts'])} on {backend}"
        for backend, report in ours.items()
    ]
    controls = max(len(report["controls"]) for report in ours.values())
    return (
        "Golden cases are inputs whose exact result is known. "
        f"Cases that pass: {', '.join(passed)}. "
        "The others fail because of a mistake in Keras or in a backend, and are listed. The suite "
        f"was also run on {controls} deliberate mistakes, in classes and in the suite itself, and "
        "caught each of them.\n"
    )


def _run(counts):
    return counts["planned"] - counts["not applicable"]


def failures(keras):
    """Markdown by name: what Keras' own classes fail, in all and by severity."""
    tables = {"overview": f"{origin(keras)}, on a CPU:\n\n{_overview(keras)}"}
    for severity in SEVERITIES:
        found = collections.defaultdict(lambda: collections.defaultdict(list))
        for backend, report in keras.items():
            for case in report["cases"]:
                if case["status"] == "failed" and case["severity"] == severity:
                    row = (case["requirement"], case["target"], case["kind"])
                    found[row][backend].append(case)
        tables[severity] = _rows(found, keras, severity == "imprecise")
    return tables


def _overview(keras):
    lines = ["| failing cases | " + " | ".join(keras) + " |", "|---|" + "---|" * len(keras)]
    counts = [_severities(report["cases"]) for report in keras.values()]
    for severity in SEVERITIES:
        cells = " | ".join(str(each[severity]) for each in counts)
        lines.append(f"| {severity} | {cells} |")
    ran = (_run(report["counts"]) for report in keras.values())
    lines.append("| of | " + " | ".join(map(str, ran)) + " |")
    return "\n".join(lines) + "\n"


def _rows(found, keras, with_errors):
    """One row for each requirement and kind, with one of its cases and its reproduction."""
    more = "largest error | " if with_errors else ""
    lines = [
        f"| requirement | kind | failing cases | one of them | found there | {more}reproduce |"
    ]
    lines.append("|" + "---|" * (7 if with_errors else 6))
    for (requirement, target, kind), by_backend in sorted(found.items()):
        backend, cases = next(iter(by_backend.items()))
        case = cases[0]
        counts = ", ".join(f"{b} {len(cases)}" for b, cases in by_backend.items())
        message = re.sub(r" at 0x[0-9a-f]+", "", case["message"].splitlines()[0])[:120]
        every = [case for cases in by_backend.values() for case in cases]
        error = f"{_largest_errors(every)} | " if with_errors else ""
        lines.append(
            f"| {requirement} | {kind} | {counts} | {target}: {case['title']} "
            f"| {message.replace('|', chr(92) + '|')} | {error}"
            f"`{keras[backend]['reproduce']} -k {case['id']}` |"
        )
    return "\n".join(lines) + "\n"


def _largest_errors(cases):
    """The largest error of the cases for each dtype, in ulp and in per cent of the exact value."""
    found = collections.defaultdict(list)
    for measure in (measure for case in cases for measure in case["measures"]):
        if measure["score"] > measure["budget"]:
            found[measure["dtype"]].append(measure)
    return ", ".join(
        f"{dtype} {max(m['score'] for m in measures):.2g} ulp "
        f"({100 * max(m['relative'] for m in measures):.1g} %)"
        for dtype, measures in found.items()
    )
