"""A script as users write it. The session `lint` checks it by `mypy --strict`; it is never run."""

import pathlib

import keras
import numpy as np

import keras_norms as kn

model = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])

constraint: kn.constraints.Constraint = kn.MaxNorm(2.0, axis=[0, 1, 2])  # as Keras writes it
others: list[kn.constraints.Constraint] = [
    kn.MaxNorm(2, axis=0, ord="inf"),
    kn.MaxNorm(max_value=2.0, axis=None, ord=1),
    kn.UnitNorm((0, 1, 2)),
    kn.MinMaxNorm(0.5, 1.5, rate=0.5, axis=[0, 1]),
    kn.NonNeg(),
    kn.Clip(-1, 1),
    kn.Simplex(1.0, axis=1),
    kn.Chain(kn.NonNeg(), kn.MaxNorm(), "unit_norm"),
]
penalty: kn.regularizers.Regularizer = kn.L1(0.1) + kn.L2(l2=1e-3) + keras.regularizers.L2(0.1)
penalties: list[kn.regularizers.Regularizer] = [
    kn.L1L2(0.1, 0.2),
    kn.OrthogonalRegularizer(0.1, mode="columns"),
    kn.BatchMean(kn.L2()),
    kn.BatchMean("l1"),
    kn.Sum(kn.L1(), "l2"),
]
along: kn.constraints.Constraint = constraint.along((0, 1))
projected = constraint.project(np.ones((3, 3, 3, 4)))
config: dict[str, object] = constraint.get_config()
again: kn.MaxNorm = kn.MaxNorm.from_config(config)
found = kn.constraints.get("max_norm")
loss = penalty(np.ones((3, 4)))

changes = kn.constrain(model, constraint, where=r"conv.*kernel$", axis="own", unknown="raise")
for change in changes:
    path: str = change.path
    shape: tuple[int, ...] = change.shape
for left in changes.skipped:
    print(left.path, left.reason, left.fix)
kn.constrain(model, "unit_norm", where=(keras.layers.Conv2D, keras.layers.Dense))
kn.regularize(model, penalty, where=lambda layer, variable: bool(variable.trainable))
kn.constrain(model, None, where="")
paths: list[str] = kn.project(model)
axes: tuple[int, ...] = kn.unit_axes(model.layers[0], "kernel")
kn.register_layout(keras.layers.Conv2D, kernel="y x in unit")

report: kn.Audit = kn.audit(model, saving=True)
findings: tuple[kn.Finding, ...] = report.errors
data: dict[str, object] = report.to_dict()
report.plot().savefig("norms.png")
written: list[str] = kn.save_settings(model, pathlib.Path("model.keras"))
loaded: list[str] = kn.load_settings(model, "model.keras", custom_objects={"Own": kn.MaxNorm})

callbacks = [
    kn.ProjectWeights(),
    kn.NormHistory(where=keras.layers.Dense, logs=True),
    kn.FactorSchedule(lambda epoch: 1e-3 * epoch, where="kernel", field="l2"),
]
