"""Changes: what `constrain` and `regularize` did to each weight, and what they left out."""

import dataclasses
from typing import Any

from keras_norms.models.describe import title
from keras_norms.models.selection import Skipped
from keras_norms.setting import same


@dataclasses.dataclass(frozen=True)
class Change:
    """What was set on one weight.

    Attributes:
        path: The weight's path.
        shape: Its shape.
        layout: One word per axis, "*" if it is elementwise, None if it is not known.
        before: The constraint or regularizer that it had, or None.
        after: The one that it has now, or None.
        saved: Whether `save` of the model or layer that was passed, and
            `keras.saving.load_model`, keep it; None if that cannot be told without doing so, as
            `audit(model, saving=True)` does.
        is_fitted: Whether its axis was found from the layout, and is not the one that was given.
    """

    path: str
    shape: tuple[int, ...]
    layout: str | None
    before: Any
    after: Any
    saved: bool | None
    is_fitted: bool = False

    def __str__(self):
        line = f"{self.path} {self.shape}: {title(self.after)}"
        if self.is_fitted:
            line += f', from its layout "{self.layout}"'
        if self.before is not None and not same(self.before, self.after):
            same_text = title(self.before) == title(self.after)  # of a class and its drop-in
            line += f", in place of {_KERAS_OWN if same_text else title(self.before)}"
        if self.saved is False and self.after is None:
            return f"{line}, which comes back when the model is saved and loaded"
        return line + _OF_SAVING[self.saved]


_KERAS_OWN = "Keras' own"
_OF_SAVING = {
    True: "",
    False: ", lost when the model is saved",
    None: ", perhaps lost when the model is saved",
}


class Changes(tuple[Change, ...]):
    """A tuple of `Change`, which prints as one line each.

    Attributes:
        skipped: A tuple of `Skipped`: the weights that were left as they are, each with the reason
            and a fix.
    """

    skipped: tuple[Skipped, ...]

    def __new__(cls, changes=(), skipped=()):
        """A tuple of the changes, with what was left out."""
        self = super().__new__(cls, changes)
        self.skipped = tuple(skipped)
        return self

    def __str__(self):
        left = [f"left out: {each}" for each in self.skipped]
        return "\n".join([*map(str, self), *left])

    __repr__ = __str__  # what one wants to see at the prompt
