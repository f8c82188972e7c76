"""What each case is there for: what it alone covers, and which mutants it alone kills."""

from collections import Counter


def covered(case):
    """What a case covers: two cases with the same answer test the same thing."""
    rank = len(case.inputs["w"]["shape"]) if "w" in case.inputs else None
    # Each way of training, and each mistake, is something else to cover.
    way = (case.inputs.get("path"), case.inputs.get("optimizer"))
    mistake = str(case.config) if case.kind == "raises" else None
    return (
        case.requirement,
        case.kind,
        case.dtype,
        _form(case.config, rank),
        rank,
        case.hunts,
        _variant(case.config),
        way,
        mistake,
    )


def _form(config, rank):
    """The form of the axis argument: what differs between two forms is different code."""
    axis = config.get("axis", "default")
    if isinstance(axis, list) and not (axis and all(isinstance(a, int) for a in axis)):
        return str(axis)
    if isinstance(axis, list):
        inside = sorted(a % rank for a in axis) if rank else axis
        gap = inside != list(range(inside[0], inside[0] + len(inside)))
        return ("list", min(axis) < 0, gap, inside[0] == 0, axis == sorted(axis))
    if isinstance(axis, int):
        return "negative" if axis < 0 else "integer"
    return axis


def _variant(config):
    """The arguments that choose a variant: words and whole numbers. Other numbers are amounts."""
    return tuple(
        (name, str(value))
        for name, value in sorted(config.items())
        if name != "axis" and isinstance(value, str | int)
    )


def redundant(cases, killed):
    """The ids of cases that can be left out: others cover the same, and kill the same mutants.

    Of several cases that cover the same, the one that kills the most mutants stays; so does a case
    that is the only one to kill some mutant.

    Args:
        cases: The cases that ran.
        killed: The outcomes of the mutants.
    """
    alone = {k.killers[0] for k in killed if len(k.killers) == 1}
    kills = Counter(id for k in killed for id in k.killers)
    seen, result = set(), []
    for case in sorted(cases, key=lambda case: -kills[case.id]):
        if covered(case) in seen and case.id not in alone:
            result.append(case.id)
        seen.add(covered(case))
    return result
