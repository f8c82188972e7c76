"""Finding: something in a model that is not as it looks."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is not as it looks.

    Attributes:
        code: What kind of finding it is, such as "wrong-axis".
        severity: "error" if it fails silently, else "warning".
        path: The path of the weight or layer.
        message: What is wrong.
        fix: Python code that mends it.
    """

    code: str
    severity: str
    path: str
    message: str
    fix: str
