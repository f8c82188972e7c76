"""A golden case to be changed: max-norm 1 on [3, 4]."""

import dataclasses

from keras_norms.testing import runner
from keras_norms.testing.cases import Case
from keras_norms.testing.harness import OURS, Harness


def case(**changes):
    """Max-norm 1 on [3, 4]."""
    values = {
        "id": "a",
        "target": "MaxNorm",
        "kind": "forward",
        "requirement": "KN-MAXNORM-001",
        "title": "3-4-5",
        "hunts": "nothing",
        "dtype": "float32",
        "config": {"max_value": 1.0},
        "inputs": {"w": {"shape": [2, 1], "values": ["0x1.8p+1", "0x1.0p+2"]}},
        "expected": {
            "result": {
                "shape": [2, 1],
                "dtype": "float32",
                "reduced": 2,
                "scale": "entry",
                "passes": 1,
                "values": [
                    ["0x1.3333333333333p-1", "0x1.9p-56"],
                    ["0x1.999999999999ap-1", "-0x1p-56"],
                ],
            }
        },
    }
    return Case(**values | changes)


def expecting(**changes):
    """The same, with another expected result."""
    given = case()
    result = given.expected["result"] | changes
    return dataclasses.replace(given, expected={"result": result})


def outcome(given, **classes):
    """What running a case says, with some classes in place of ours."""
    return runner.run_case(given, Harness(OURS.classes() | classes))
