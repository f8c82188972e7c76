"""Findings about axes: whether the groups of a setting are the units of the layer."""

from keras_norms.auditing.finding import Finding
from keras_norms.auditing.fixes import call_for_units
from keras_norms.constraints import Constraint
from keras_norms.keras_internals import is_from_keras
from keras_norms.models.describe import drop_in_of
from keras_norms.models.layouts import has_layout
from keras_norms.models.selection import register_call, without_layout
from keras_norms.models.weights import KINDS
from keras_norms.numerics.groups import axes_of_layout, groups_and_size
from keras_norms.setting import Setting


def wrong_axis(weight):
    """A group is not one unit, as with Keras' `axis=0` on a convolution or a table."""
    for kind in KINDS:
        yield from _about_axis(weight, kind, drop_in_of(getattr(weight.variable, kind)))


def _about_axis(weight, kind, setting):
    wrong = _members_with_wrong_axis(weight, kind, setting)
    if not wrong:
        return
    member, axes, wanted = wrong[0]
    shape = tuple(weight.variable.shape)
    is_whole = member.axis is None
    is_unit = wanted == axes_of_layout(weight.layout)
    groups, size = groups_and_size(shape, axes)
    better, better_size = groups_and_size(shape, wanted)
    one = "one norm per unit" if kind == "constraint" else "one group per unit"
    yield Finding(
        "whole-tensor" if is_whole else "wrong-axis",
        "warning" if is_whole else "error",
        weight.path,
        f"axis={member.axis} makes {_several(groups, 'group')} of {_several(size, 'weight')} "
        f"of this {type(weight.layer).__name__} kernel ({weight.layout}); "
        f"{f'{one} makes' if is_unit else 'this layout asks for'} "
        f"{_several(better, 'group')} of {better_size}, axis={wanted}",
        call_for_units(kind, weight, setting, [each for each, *_ in wrong]),
    )


def _members_with_wrong_axis(weight, kind, setting):
    """The members of a setting whose groups are not those of the layer: (member, its axes, better).

    A weight that lacks the axis of a member has no such group to judge.
    """
    if weight.obstacle or not weight.has_units or not isinstance(setting, Setting):
        return []
    if weight.normalizer is not None:  # which overwrites it, whatever its axis
        return []
    is_constraint = kind == "constraint"
    shape = tuple(weight.variable.shape)
    wrong = []
    for member in setting.members:
        # An axis that was chosen for a penalty has a meaning: of inputs, of the whole weight.
        if not isinstance(member, Setting) or not (is_constraint or member.has_default_axis):
            continue
        try:
            axes = member.group_axes(len(shape))
            wanted = member.for_layout(weight.layout).group_axes(len(shape))
        except ValueError:  # the weight lacks the axis, or no axis is better than another
            continue
        except TypeError:  # it cannot have another axis, because its config, too, lacks its axis
            continue
        right = [wanted]
        if member.is_transposable:
            right.append(tuple(a for a in range(len(shape)) if a not in wanted))
        if not member.has_groups or _longer(axes, shape) in [_longer(a, shape) for a in right]:
            continue
        if is_constraint or member.axis is not None:
            wrong.append((member, axes, wanted))
    return wrong


def members_to_change(weight, kind, setting):
    """The members of a setting that cannot be meant as they are, for a weight of this layout."""
    if not isinstance(setting, Setting) or not weight.has_units:
        return []
    try:
        setting.group_axes(len(weight.variable.shape))
    except ValueError:  # the weight lacks the axis
        return list(setting.members)
    wrong = _members_with_wrong_axis(weight, kind, setting)
    return [member for member, *_ in wrong if member.axis is not None]


def _longer(axes, shape):
    """The axes longer than 1; the others make no difference."""
    return [a for a in axes if shape[a] > 1]


def _several(number, noun):
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def unknown_layout(weight):
    """The axis of a norm cannot be judged, because the layer's layout is not known."""
    constraint = drop_in_of(weight.variable.constraint)
    if weight.layout or not weight.name or not isinstance(constraint, Constraint):
        return
    if not constraint.needs_layout:
        return
    is_known = has_layout(weight.layer, weight.name)
    if is_known and is_from_keras(weight.layer):  # as of an equation without units
        return
    reason = without_layout(weight).reason
    yield Finding(
        "unknown-layout",
        "warning",
        weight.path,
        f"{reason}, so its axis is not judged; say which axes tell units apart",
        register_call(weight),
    )
