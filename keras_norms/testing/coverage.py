"""What each case is there for: what it alone covers, and which controls it alone fails."""

from collections import Counter


def covered(case):
    """What a case covers: requirement, kind, dtype, form of axis, rank, and the bug it hunts."""
    config = case.config
    rank = len(case.inputs["w"]["shape"]) if "w" in case.inputs else None
    words = tuple(sorted((k, str(v)) for k, v in config.items() if k in ("ord", "mode")))
    # Each way of training, and each mistake, is something else to cover.
    way = (case.inputs.get("path"), case.inputs.get("optimizer"))
    mistake = str(config) if case.kind == "raises" else None
    form = _form(config, rank)
    return (case.requirement, case.kind, case.dtype, form, rank, case.hunts, words, way, mistake)


def _form(config, rank):
    axis = config.get("axis", "default")
    if isinstance(axis, list):
        inside = sorted(a % rank for a in axis) if rank else axis
        gap = inside != list(range(inside[0], inside[0] + len(inside)))
        return ("list", min(axis) < 0, gap, inside[0] == 0)
    if isinstance(axis, int):
        return "negative" if axis < 0 else "integer"
    return axis


def redundant(cases, killed):
    """The ids of cases that cover nothing alone and fail no control alone.

    Of several that cover the same, the first has earned its place.

    Args:
        cases: The cases that ran.
        killed: The outcomes of the controls.
    """
    alone = {k.killers[0] for k in killed if len(k.killers) == 1}
    kills = Counter(id for k in killed for id in k.killers)
    seen, result = set(), []
    for case in sorted(cases, key=lambda case: -kills[case.id]):
        if covered(case) in seen and case.id not in alone:
            result.append(case.id)
        seen.add(covered(case))
    return result
