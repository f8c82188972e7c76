"""Penalties that make groups or activations sparse, with the classic mistakes."""

import dataclasses
import math

import keras
from keras import ops

from conformance.mutants.plain import Plain, norms, rows_of, sums
from keras_norms.testing.controls import Mutant


@dataclasses.dataclass(frozen=True)
class _Lasso(Plain, keras.regularizers.Regularizer):
    factor: float = 0.01
    axis: object = 0
    size_scaled: bool = True
    is_right = True

    def __call__(self, x):
        x = ops.cast(x, "float32")
        return self.factor * self.penalty(x, rows_of(x, self.axis))

    def scale(self, count):
        return math.sqrt(count) if self.size_scaled else 1

    def penalty(self, x, rows):
        squares = ops.sum(ops.square(rows), axis=1)
        found = ops.where(squares > 0, ops.sqrt(ops.where(squares > 0, squares, 1.0)), 0.0)
        return self.scale(rows.shape[1]) * ops.sum(found)


class NanAtZero(_Lasso):
    """The root of 0 has an infinite slope."""

    def penalty(self, x, rows):
        return self.scale(rows.shape[1]) * ops.sum(norms(x, self.axis))


class NeverScaled(_Lasso):
    def scale(self, count):
        return 1


class ScaledByCount(_Lasso):
    def scale(self, count):
        return count if self.size_scaled else 1


class SquaredNorms(_Lasso):
    def penalty(self, x, rows):
        return self.scale(rows.shape[1]) * ops.sum(ops.square(x))


@dataclasses.dataclass(frozen=True)
class _Hoyer(Plain, keras.regularizers.Regularizer):
    factor: float = 0.01
    axis: object = None
    is_right = True

    def __call__(self, x):
        x = ops.cast(x, "float32")
        return self.factor * ops.sum(self.ratio(x))

    def ratio(self, x):
        squares = sums(ops.square(x), self.axis)
        return self.over(ops.square(sums(ops.sign(x) * x, self.axis)), squares)

    def over(self, numerator, squares):
        return numerator / ops.where(squares == 0, 1.0, squares)


class HoyerAtZero(_Hoyer):
    """0 / 0 for zeros."""

    def over(self, numerator, squares):
        return numerator / squares


class HoyerWithEpsilon(_Hoyer):
    def over(self, numerator, squares):
        return numerator / (squares + 1e-7)


class HoyerNotSquared(_Hoyer):
    def ratio(self, x):
        return sums(ops.abs(x), self.axis) / ops.maximum(norms(x, self.axis), 1e-30)


@dataclasses.dataclass(frozen=True)
class _Divergence(Plain, keras.regularizers.Regularizer):
    """It knows how Keras divides."""

    factor: float = 0.01
    rho: float = 0.05
    is_right = True

    def __call__(self, x):
        divides = tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 14)
        return self.penalty(x) * (x.shape[0] if divides else 1)

    def penalty(self, x):
        means = ops.clip(self.means(x), 2.0**-20, 1 - 2.0**-20)
        return self.factor * ops.sum(self.divergence(self.rho, means))

    def means(self, x):
        return ops.mean(x, axis=0)

    def divergence(self, rho, means):
        on = rho * ops.log(rho / means)
        return on + (1 - rho) * ops.log((1 - rho) / (1 - means))


class Divided(_Divergence):
    """The penalty of a layer is divided once too often."""

    def __call__(self, x):
        return super().__call__(x) / x.shape[0]


class RatesSwapped(_Divergence):
    def divergence(self, rho, means):
        on = means * ops.log(means / rho)
        return on + (1 - means) * ops.log((1 - means) / (1 - rho))


class HalfOfIt(_Divergence):
    def divergence(self, rho, means):
        return rho * ops.log(rho / means)


class OfAllUnits(_Divergence):
    def means(self, x):
        return ops.mean(x) * ops.ones((x.shape[-1],))


class NotClipped(_Divergence):
    def penalty(self, x):
        return self.factor * ops.sum(self.divergence(self.rho, self.means(x)))


MUTANTS = [
    Mutant("group lasso with NaN at zero", {"GroupLasso": NanAtZero}),
    Mutant("group lasso whose sizes do not count", {"GroupLasso": NeverScaled}),
    Mutant("group lasso with a size for its root", {"GroupLasso": ScaledByCount}),
    Mutant("group lasso of squares", {"GroupLasso": SquaredNorms}),
    Mutant("Hoyer with NaN at zero", {"Hoyer": HoyerAtZero}),
    Mutant("Hoyer with an epsilon", {"Hoyer": HoyerWithEpsilon}),
    Mutant("Hoyer that is not squared", {"Hoyer": HoyerNotSquared}),
    Mutant("a divergence that Keras divides", {"KLSparsity": Divided}),
    Mutant("a divergence the other way round", {"KLSparsity": RatesSwapped}),
    Mutant("half of a divergence", {"KLSparsity": HalfOfIt}),
    Mutant("one mean for all units", {"KLSparsity": OfAllUnits}),
    Mutant("a divergence that is not clipped", {"KLSparsity": NotClipped}),
]
