"""Setting: what constraints and regularizers have in common.

A *setting* is a constraint or a regularizer of a weight. Other modules never ask for its class.
They ask the object itself for its groups, its members and so on, and a class overrides what is
different for it. A new class therefore touches only the files of its own family.
"""

import dataclasses
from typing import Any, Self

import keras
import numpy as np

from keras_norms.config import Configured, default_of
from keras_norms.keras_internals import is_from_keras
from keras_norms.numerics.groups import Axis, axes_of_layout, canonical_axes


class Setting(Configured):
    """Base class of constraints and regularizers: groups, members, and what `audit` shows.

    Attributes:
        axis: The axes inside a group, as the user gave them. `()` means that there are no groups:
            a constraint looks at each entry by itself, or a penalty at all entries alike. A setting
            that is made of others has `()`, too; ask `has_groups`.
        is_transposable: Whether it looks at singular values, which a matrix and its transpose
            share, so that groups may be the rows or the columns.
    """

    axis: Any = ()
    is_transposable = False

    @classmethod
    def examples(cls) -> list[Any]:
        """Objects on which `keras_norms.testing.laws` checks the class: by default `[cls()]`."""
        return [cls()]

    @property
    def members(self) -> tuple[Any, ...]:
        """The parts that it is made of, a tuple. A setting without parts is its only member."""
        return (self,)

    @property
    def has_groups(self) -> bool:
        """Whether it looks at groups of entries, so that it depends on an axis."""
        return self.axis != ()

    @property
    def needs_layout(self) -> bool:
        """Whether `for_layout` changes it, so that `constrain` must know a weight's layout."""
        return self.has_groups

    @property
    def has_default_axis(self) -> bool:
        """Whether `axis` has its default value, in each member."""
        default = getattr(type(self), "axis", None)  # of a field of a dataclass
        if not dataclasses.is_dataclass(self):
            default = default_of(type(self), "axis", default)
        return self.axis == default

    def group_axes(self, rank: int) -> tuple[int, ...]:
        """The axes inside a group of a weight with `rank` axes: sorted, non-negative integers.

        Raises:
            ValueError: If the weight lacks an axis that `axis` names.
        """
        return canonical_axes(self.axis, rank)

    def axes_for(self, w: Any) -> tuple[int, ...]:
        """The axes inside a group of weights: sorted, non-negative integers.

        Raises:
            ValueError: If the weights lack an axis that `axis` names. It says which variable it is.
        """
        try:
            return self._axes_in(tuple(w.shape if hasattr(w, "shape") else np.shape(w)))
        except ValueError as error:
            if isinstance(w, keras.Variable):
                raise ValueError(f"{error} for the weight {w.path}") from None
            raise

    def _axes_in(self, shape: tuple[int | None, ...]) -> tuple[int, ...]:
        """The axes inside a group; a class that needs more than axes refuses other shapes here."""
        return self.group_axes(len(shape))

    def along(self, axis: Axis) -> Self:
        """A copy with other axes inside a group; itself if it has no groups.

        Raises:
            TypeError: If the class has neither a field `axis`, which a dataclass makes of
                `axis: int = 0`, nor `axis` in its config.
        """
        if not self.has_groups:
            return self
        if dataclasses.is_dataclass(self) and "axis" in {f.name for f in dataclasses.fields(self)}:
            return dataclasses.replace(self, axis=axis)
        try:
            config = self.get_config()
        except NotImplementedError:
            config = {}
        if "axis" not in config:
            raise TypeError(
                f"{type(self).__name__} must be a frozen dataclass with a field `axis`, which has "
                "an annotation, or have `axis` in its config, or override `along`. "
                f"Received: axis={axis!r}"
            )
        return type(self).from_config(config | {"axis": axis})  # type: ignore[attr-defined]

    def for_layout(self, layout: str) -> Self:
        """The setting to use on a weight: by default, with one group for each unit of the layer.

        Args:
            layout: One word per axis of the weight, as in "y x in unit".

        Raises:
            ValueError: If no axis of the layout tells units apart.
        """
        if not self.has_groups:
            return self
        axes = axes_of_layout(layout)
        return self.along(axes[0] if len(axes) == 1 else axes)

    def audit_columns(self, w: Any) -> dict[str, Any]:
        """Numbers that `audit` shows in columns of their own, by heading; none by default."""
        return {}

    def _defines(self, base, *methods):
        """Whether its class overrides one of these methods of a base class."""
        return any(getattr(type(self), name) is not getattr(base, name) for name in methods)

    def _unfinished(self, method):
        return NotImplementedError(
            f"{type(self).__name__} must define `{method}`, or override `__call__` without "
            "`super().__call__`."
        )


def ask(setting: Any, name: str, otherwise: Any) -> Any:
    """What one of our settings says of itself, by the name of the attribute.

    Args:
        setting: Any setting. One of another make may have an attribute that is called the same.
        name: The name of an attribute of `Setting`, or of a class below it.
        otherwise: The answer for a setting that is not ours, or whose class has no such attribute.
    """
    return getattr(setting, name, otherwise) if isinstance(setting, Setting) else otherwise


def same(one: Any, other: Any) -> bool:
    """Whether two settings are the same: Keras' own are equal only if they are one object.

    The class of one may have the name of the other's, as if a cell of a notebook was run again.
    """
    if one is other or not hasattr(one, "get_config") or not hasattr(other, "get_config"):
        return one is other or _equal(one, other)
    try:
        # Configs may hold arrays, whose comparison is an array; serialized, they are lists.
        configs = [keras.saving.serialize_keras_object(each) for each in (one, other)]
    except Exception:  # it has no config, or whatever a user's raises
        return _equal(one, other)
    return configs[0] == configs[1]


def _equal(one, other):
    try:
        return bool(one == other)
    except Exception:  # the comparison of arrays in it is no answer
        return False


def text_of(setting: Any) -> str:
    """How any setting reads. Those of Keras, and functions, would show where they are in memory."""
    name = getattr(setting, "__name__", type(setting).__name__)
    if setting is None or isinstance(setting, Setting):
        return name if type(setting).__repr__ is object.__repr__ else repr(setting)
    if isinstance(setting, type) or not is_from_keras(setting):
        return name
    # Keras holds factors in float32: 6 digits are those that the user gave.
    values = {
        key: f"{value:g}" if isinstance(value, float) else repr(value)
        for key, value in setting.get_config().items()
    }
    return f"{name}({', '.join(f'{key}={value}' for key, value in values.items())})"


class Several(Setting):
    """Mixin of the frozen dataclasses that are made of others: `Chain(a, b)`.

    A subclass has one field, the tuple of its members. The check of the field is applied to each
    member. A member of the same class is replaced by its own members, so that `(a + b) + c` is
    `a + b + c`.
    """

    def __init__(self, *members: Any) -> None:
        (field,) = dataclasses.fields(self)  # type: ignore[arg-type]
        if len(members) == 1 and isinstance(members[0], (list, tuple)):
            name = type(self).__name__
            raise TypeError(
                f"The {field.name} are arguments, not a list: {name}(*{field.name}). "
                f"Received: {members[0]!r}"
            )
        check = field.metadata["check"]
        parts = [check(field.name, member) for member in members]
        flat = [each for p in parts for each in (p.members if type(p) is type(self) else [p])]
        if len(flat) < 2:
            raise ValueError(
                f"{type(self).__name__} is made of two or more {field.name}. Received: {flat}"
            )
        object.__setattr__(self, field.name, tuple(flat))

    @property
    def members(self) -> tuple[Any, ...]:
        """The parts that it is made of, a tuple."""
        (field,) = dataclasses.fields(self)  # type: ignore[arg-type]
        return getattr(self, field.name)

    @property
    def has_groups(self) -> bool:
        """Whether a member has groups."""
        return any(ask(each, "has_groups", False) for each in self.members)

    @property
    def needs_layout(self) -> bool:
        """Whether a member needs it."""
        return any(each.needs_layout for each in self._settings())

    @property
    def has_default_axis(self) -> bool:
        """Whether each member has its default axis."""
        return all(ask(each, "has_default_axis", True) for each in self.members)

    def group_axes(self, rank: int) -> tuple[int, ...]:
        """The axes inside the smallest group that holds a group of each member."""
        return tuple(sorted({a for m in self._settings() for a in m.group_axes(rank)}))

    def axes_for(self, w: Any) -> tuple[int, ...]:
        """The axes inside that group.

        Raises:
            ValueError: If the weights do not fit a member.
        """
        for each in self._settings():
            each.axes_for(w)
        return super().axes_for(w)

    def along(self, axis: Axis) -> Self:
        """A copy with other axes inside a group, in each member that has groups."""
        return self._of_each(lambda member: member.along(axis))

    def for_layout(self, layout: str) -> Self:
        """A copy in which each member is what it becomes for that layout."""
        return self._of_each(lambda member: member.for_layout(layout))

    def audit_columns(self, w: Any) -> dict[str, Any]:
        """The columns of the members."""
        return {k: v for m in self._settings() for k, v in m.audit_columns(w).items()}

    def _settings(self):
        """The members that are ours. A Sum may also hold regularizers of Keras, or functions."""
        return [each for each in self.members if isinstance(each, Setting)]

    def _of_each(self, function):
        return type(self)(*[function(m) if isinstance(m, Setting) else m for m in self.members])

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(map(text_of, self.members))})"

    def get_config(self) -> dict[str, Any]:
        """The members as configs, in a dict that JSON can hold."""
        (field,) = dataclasses.fields(self)  # type: ignore[arg-type]
        return {field.name: [keras.saving.serialize_keras_object(each) for each in self.members]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The object that `get_config` made `config` from."""
        (members,) = config.values()
        return cls(*[keras.saving.deserialize_keras_object(each) for each in members])
