"""The cases of the suite about several devices: ours, and with constraints that do nothing."""

import json
import pathlib
import sys

import keras
import numpy as np

from keras_norms.testing import backends, command, runner
from keras_norms.testing.cases import load_cases, packaged_cases
from keras_norms.testing.harness import OURS, Harness


class Nothing(keras.constraints.Constraint):
    """Whatever it is asked for, the weights stay."""

    def __init__(self, **config):
        super().__init__()

    def __call__(self, w):
        return w


if __name__ == "__main__":
    assert command.trouble(keras.backend.backend(), "mesh") is None
    if keras.backend.backend() == "jax":  # cases give what they compute to several devices at once
        pieces = backends.spread(np.zeros((4, 6, 3))).addressable_shards
        assert {piece.data.shape for piece in pieces} == {(2, 3, 3)}
    wanted = sys.argv[1:]
    cases = [c for c in load_cases(pathlib.Path(packaged_cases())) if c.id in wanted]
    assert len(cases) == len(wanted)
    classes = OURS.classes()
    for tested in (classes, classes | {case.target: Nothing for case in cases}):
        harness = Harness(tested, "mesh", partial=False)
        print(json.dumps({c.id: runner.run_case(c, harness).status for c in cases}))
