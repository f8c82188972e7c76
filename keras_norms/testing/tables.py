"""What a run prints: the failures, the scores, the controls and the counts."""

from rich.markup import escape
from rich.table import Table

from keras_norms.testing.report import unused_budgets, worst_scores


def print_run(console, outcomes, killed, noticed, report):
    """Print the failures with their reproduction, the worst scores, and what each control did."""
    for outcome in outcomes:
        if outcome.status in ("failed", "crashed"):
            case = outcome.case
            label = f"{outcome.status.upper()}[/] ({outcome.severity})"
            console.print(f"[red]{label} {case.id}: ", end="")
            console.print(outcome.message, markup=False)
            console.print(f"  {case.requirement} {case.title}; hunts {case.hunts}", markup=False)
            console.print(f"  {report['reproduce']} -k {case.id}", markup=False)
    for outcome in outcomes:
        if outcome.status == "expected failure":
            console.print(f"Expected failure: {outcome.case.id}: {outcome.message}", markup=False)

    table = Table(
        "target", "dtype", "cases", "passed", "worst error, ulp", "of its budget", box=None
    )
    for row in worst_scores(outcomes):
        score = float(row["score"])  # a word if it is not finite
        worst = "0, exact" if row["budget"] == 0 else f"{score:.2f}"
        used = f"{score / row['budget']:.0%}" if row["budget"] else ""
        table.add_row(
            row["target"], row["dtype"], str(row["cases"]), str(row["passed"]), worst, used
        )
    console.print(table)
    unused = unused_budgets(outcomes)
    if unused:
        console.print(f"To review, budgets of which an eighth is never used: {', '.join(unused)}")

    if killed:
        console.print("Controls, which must fail:")
    for k in killed:
        others = f" and {len(k.killers) - 1} more" if len(k.killers) > 1 else ""
        verdict = f"killed by {k.killers[0]}{others}" if k.dead else "[red]SURVIVED[/]"
        console.print(f"  {escape(k.mutant.name)}: {verdict}")
        for o in k.crashes:
            console.print(f"    crashed {o.case.id}: {o.message}", markup=False)
    for name, was_noticed in noticed.items():
        verdict = "noticed" if was_noticed else "[red]NOT NOTICED[/]"
        console.print(f"  {escape(name)}: {verdict}")
    for id in report["redundant"]:
        console.print(f"Can be left out, others cover the same: {id}")
    reasons = sorted({o.message for o in outcomes if o.status == "not applicable"})
    for reason in reasons[:10]:
        console.print(f"Not applicable: {reason}", markup=False)
    if len(reasons) > 10:
        console.print(f"Not applicable for {len(reasons) - 10} reasons more, in the report")


def print_counts(console, report):
    """Print how many controls and cases there are, and what became of them."""
    if report["controls"]:
        dead = sum(control["dead"] for control in report["controls"].values())
        alive = len(report["controls"]) - dead
        console.print(f"controls: {len(report['controls'])} = {dead} dead + {alive} alive")
    if report["words"]:
        console.print(f"This is a part: the cases with {report['words']!r}", markup=False)
    counts = report["counts"]
    console.print(
        f"cases: {counts['planned']} planned = {counts['passed']} passed "
        f"+ {counts['failed']} failed + {counts['expected failures']} expected failures "
        f"+ {counts['not applicable']} not applicable"
    )
    console.print(f"{counts['passed']} passed, {counts['failed']} failed")
