"""Layers and optimizers around the targets, with the classic mistakes."""

import keras
from keras import ops

from keras_norms.testing.controls import Mutant


class ActivityOnInput(keras.layers.Dense):
    """It has the bug of Keras before 2.1.4: the activity penalty is on the layer's input."""

    divide = False

    def __init__(self, units, activity_regularizer=None, **arguments):
        super().__init__(units, **arguments)
        self.on_input = activity_regularizer

    def call(self, inputs):
        if self.on_input is not None:
            penalty = self.on_input(inputs)
            self.add_loss(penalty / inputs.shape[0] if self.divide else penalty)
        return super().call(inputs)


class ActivityOnInputDivided(ActivityOnInput):
    divide = True


class ActivityDropped(keras.layers.Dense):
    def __init__(self, units, activity_regularizer=None, **arguments):
        super().__init__(units, **arguments)


class ConstrainedBias(keras.layers.Dense):
    def __init__(self, units, **arguments):
        super().__init__(units, bias_constraint=arguments.get("kernel_constraint"), **arguments)


class NoConstraintSGD(keras.optimizers.SGD):
    """It leaves the constraints out, or applies them before the step only."""

    project_first = False

    def apply(self, grads, trainable_variables=None):
        variables = trainable_variables or self._trainable_variables
        constraints = [v.constraint for v in variables]
        for v in variables:
            if self.project_first and v.constraint is not None:
                v.assign(v.constraint(v))
            v.constraint = None
        try:
            super().apply(grads, trainable_variables)
        finally:
            for v, constraint in zip(variables, constraints, strict=True):
                v.constraint = constraint


class ConstraintBeforeStepSGD(NoConstraintSGD):
    project_first = True


class TransposedConv2D(keras.layers.Conv2D):
    """Its kernel is laid out (out, in, rows, columns), as PyTorch has it."""

    def build(self, input_shape):
        super().build(input_shape)
        self.kernel.constraint = Transposed(self.kernel.constraint)


class Transposed(keras.constraints.Constraint):
    def __init__(self, constraint):
        self.constraint = constraint

    def __call__(self, w):
        return ops.transpose(self.constraint(ops.transpose(w, (3, 2, 0, 1))), (2, 3, 1, 0))


MUTANTS = [
    Mutant("activity on input", {"Dense": ActivityOnInput}),
    Mutant("activity on input, divided by the batch", {"Dense": ActivityOnInputDivided}),
    Mutant("activity dropped", {"Dense": ActivityDropped}),
    Mutant("biases constrained too", {"Dense": ConstrainedBias}),
    Mutant(
        "constraint not applied by the optimizer",
        {"SGD": NoConstraintSGD},
        kinds=("training", "bounded"),
    ),
    Mutant(
        "constraint before the step",
        {"SGD": ConstraintBeforeStepSGD},
        kinds=("training", "bounded"),
    ),
    Mutant("kernel layout of another framework", {"Conv2D": TransposedConv2D}),
]
