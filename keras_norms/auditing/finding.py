"""Finding: something in a model that is not as it looks, and what to do about it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Finding:
    """One problem that `audit` found in a weight or layer. It prints as three lines.

    Attributes:
        code: What kind of finding it is, such as "wrong-axis".
        severity: "error" if the model does not train, or if a constraint or penalty does not do
            what was asked for; else "warning".
        path: The path of the weight or layer.
        message: What is wrong.
        fix: Python code that mends it.
    """

    code: str
    severity: str
    path: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.severity} {self.code}: {self.path}\n  {self.message}\n  fix: {self.fix}"
