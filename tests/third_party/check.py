"""Models that others wrote: constrained, trained, audited, saved and loaded.

    python tests/third_party/check.py PACKAGE

Runs with Keras' current backend, and prints one line for each model of `models.py` that belongs to
the package: how many weights are constrained, how many are left out, the largest norm after three
steps at a high learning rate, the codes that `audit` finds, and whether the settings come back from
a file. The process exits with 1 if a unit leaves its bound, or anything raises.
"""

import pathlib
import sys
import tempfile
import time
import warnings

import keras
import models
import numpy as np

import keras_norms as kn

BOUND = 0.05


def largest_norm(changes, weights):
    """The largest norm of a unit, by NumPy in float64."""
    norms = []
    for change in changes:
        axes = tuple(i for i, word in enumerate(change.layout.split()) if word != "unit")
        w = np.asarray(keras.ops.convert_to_numpy(weights[change.path]), "float64")
        norms.append(np.sqrt((w**2).sum(axis=axes)).max())
    return max(norms)


def constraints_of(model):
    """What the variables hold, as configs, because others' classes compare by identity."""
    return [keras.saving.serialize_keras_object(v.constraint) for v in model.variables]


def check(make, x):
    """What happens to a model, as words in a row."""
    model = make()
    start = time.perf_counter()
    changes = kn.constrain(model, kn.MaxNorm(BOUND))
    seconds = time.perf_counter() - start
    weights = {v.path: v for v in model.variables}
    model.compile(keras.optimizers.SGD(1.0, clipnorm=1.0), "mse")
    outputs = model.predict(x, verbose=0)
    y = keras.tree.map_structure(np.zeros_like, outputs)
    model.fit(x, y, batch_size=4, epochs=1, verbose=0)  # 12 samples: three steps
    norm = largest_norm(changes, weights)
    audit = kn.audit(model)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "settings.json"
        kn.save_settings(model, path)
        twin = make()
        kn.load_settings(twin, path)
    back = constraints_of(twin) == constraints_of(model)
    codes = ", ".join(sorted({finding.code for finding in audit.findings})) or "none"
    row = (
        f"{len(changes)} constrained, {len(changes.skipped)} left out, {seconds:.2f} s; largest "
        f"norm {norm:.6f}; findings: {codes}; settings {'come back' if back else 'are LOST'}"
    )
    return row, norm <= BOUND * (1 + 2e-6) and back and not audit.errors


def main(package):
    print(f"{package} on {keras.backend.backend()}, Keras {keras.__version__}")
    found = models.of(package)
    if keras.backend.backend() == "torch":
        import torch

        torch.set_grad_enabled(True)  # bayesflow turns it off when it is imported
    bad = 0
    for name, (make, x) in found:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                row, good = check(make, x)
            except Exception as error:  # one model must not hide what the others do
                row, good = f"{type(error).__name__}: {str(error)[:200]}", False
        bad += not good
        print(f"{'' if good else 'BAD '}{name}: {row}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
