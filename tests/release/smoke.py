"""Whether an installed keras_norms works at all; run in an environment that has only a backend."""

import pathlib
import subprocess
import sys

import numpy as np

import keras_norms as kn

assert "site-packages" in pathlib.Path(kn.__file__).parts, kn.__file__

# By hand: the column (6, 8) has a norm of 10, and (0.5, 0) is within the bound.
got = kn.MaxNorm(2.0)(np.array([[6, 0.5], [8, 0]], "float32"))
wanted = [[1.2, 0.5], [1.6, 0]]
assert np.allclose(np.asarray(got), wanted, rtol=1e-6, atol=0), got

command = str(pathlib.Path(sys.executable).with_name("keras-norms"))
for arguments, words in (
    (["--version"], f"keras-norms {kn.__version__}"),
    (["audit", "--help"], "--import MODULE"),
    (["laws", "keras_norms:MaxNorm"], "is not installed: pip install"),
):
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)
    printed = done.stdout + done.stderr
    assert words in printed, f"keras-norms {' '.join(arguments)} printed:\n{printed}"
print(f"keras_norms {kn.__version__} works")
