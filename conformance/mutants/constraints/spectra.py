"""Constraints on singular values, with the classic mistakes."""

import dataclasses

import keras
from keras import ops

import keras_norms as kn
from conformance.mutants.plain import Plain, norms, rows_of, with_rows
from keras_norms.numerics import polar, spectra, spectral_sets
from keras_norms.testing.controls import Mutant


@dataclasses.dataclass(frozen=True)
class _MaxSpectralNorm(Plain, keras.constraints.Constraint):
    """The textbook, by a decomposition, for the mutants to break."""

    max_value: float = 1.0
    mode: str = "clip"
    axis: object = 0
    is_right = True

    def __call__(self, w):
        return with_rows(w, self.axis, self.put(rows_of(w, self.axis)))

    def put(self, rows):
        return self.clip(rows) if self.mode == "clip" else self.scale(rows)

    def clip(self, rows):
        return with_values(rows, lambda s: ops.minimum(s, self.max_value))

    def scale(self, rows):
        return rows * (self.max_value / ops.maximum(self.norm(rows), self.max_value))

    def norm(self, rows):
        return spectra.spectral_bound(rows, (1,))


def with_values(rows, function):
    """The matrix with a function of its singular values in their place."""
    u, s, v = ops.svd(rows, full_matrices=False)
    return (u * function(s)) @ v


class ScaleForClip(_MaxSpectralNorm):
    def put(self, rows):
        return self.scale(rows)


class ClipForScale(_MaxSpectralNorm):
    def put(self, rows):
        return self.clip(rows)


class NormOfEachGroup(_MaxSpectralNorm):
    def put(self, rows):
        return rows * (self.max_value / ops.maximum(norms(rows, 1), self.max_value))


class FrobeniusNorm(_MaxSpectralNorm):
    def norm(self, rows):
        return norms(rows, None)


class LongestGroup(_MaxSpectralNorm):
    """A bound from below."""

    def norm(self, rows):
        return ops.amax(norms(rows, 1))


class FewSquarings(_MaxSpectralNorm):
    def norm(self, rows):
        return spectra.spectral_bound(rows, (1,), 0.1)


class BoundWithoutRoot(_MaxSpectralNorm):
    def norm(self, rows):
        return super().norm(rows) ** 2


class PowerIterationFromOnes(_MaxSpectralNorm):
    def norm(self, rows):
        v = ops.ones((rows.shape[1], 1))
        for _ in range(30):
            v = ops.transpose(rows) @ (rows @ v)
            v = v / ops.maximum(norms(v, None), 1e-30)
        return norms(rows @ v, None)


class AlwaysDivided(_MaxSpectralNorm):
    """Spectral normalization: a layer of norm `max_value`, also where it was smaller."""

    def scale(self, rows):
        return rows * (self.max_value / ops.maximum(self.norm(rows), 1e-30))


class SoftThreshold(_MaxSpectralNorm):
    def clip(self, rows):
        return with_values(rows, lambda s: ops.relu(s - self.max_value))


class OnePass(_MaxSpectralNorm):
    def clip(self, rows):
        return spectral_sets._clipped(rows, self.max_value)


class LowBound(_MaxSpectralNorm):
    def clip(self, rows):
        return with_values(rows, lambda s: ops.minimum(s, self.max_value * (1 - 1e-3)))


class OtherGroups(_MaxSpectralNorm):
    """The columns of the kernel, whatever the axis."""

    def __call__(self, w):
        return with_rows(w, 0, self.put(rows_of(w, 0)))


@dataclasses.dataclass(frozen=True)
class _Orthogonal(Plain, keras.constraints.Constraint):
    gain: float = 1.0
    axis: object = 0
    is_right = True

    def __call__(self, w):
        return with_rows(w, self.axis, self.gain * self.factor(rows_of(w, self.axis)))

    def factor(self, rows):
        """The textbook: a product of singular vectors."""
        return with_values(rows, ops.ones_like)


class GramSchmidt(_Orthogonal):
    def factor(self, rows):
        if rows.shape[0] > rows.shape[1]:
            return ops.qr(rows)[0]
        return ops.transpose(ops.qr(ops.transpose(rows))[0])


class UnitGroups(_Orthogonal):
    def factor(self, rows):
        return rows / ops.maximum(norms(rows, 1), 1e-30)


class PseudoInverse(_Orthogonal):
    def factor(self, rows):
        return with_values(rows, lambda s: 1 / ops.maximum(s, 1e-30))


class GainForgotten(_Orthogonal):
    def __call__(self, w):
        return with_rows(w, self.axis, self.factor(rows_of(w, self.axis)))


class GainSquared(_Orthogonal):
    def factor(self, rows):
        return super().factor(rows) * self.gain


class ZerosStay(kn.Orthogonal):
    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        return ops.where(ops.all(w == 0), w, super().__call__(w))


class WithoutLastSteps(_Orthogonal):
    def factor(self, rows):
        return polar._grown(polar._full_rank(rows))


class OtherSide(_Orthogonal):
    def __call__(self, w):
        return with_rows(w, 0, self.gain * self.factor(rows_of(w, 0)))


MUTANTS = [
    Mutant("a scaling for a clip", {"MaxSpectralNorm": ScaleForClip}),
    Mutant("a clip for a scaling", {"MaxSpectralNorm": ClipForScale}),
    Mutant("a norm of each group for the spectral one", {"MaxSpectralNorm": NormOfEachGroup}),
    Mutant("a scaling by the Frobenius norm", {"MaxSpectralNorm": FrobeniusNorm}),
    Mutant("the longest group for the spectral norm", {"MaxSpectralNorm": LongestGroup}),
    Mutant("too few squarings in a scaling", {"MaxSpectralNorm": FewSquarings}),
    Mutant("a Gram bound without its root", {"MaxSpectralNorm": BoundWithoutRoot}),
    Mutant("a scaling by power iteration from ones", {"MaxSpectralNorm": PowerIterationFromOnes}),
    Mutant("a scaling of weights in the set, too", {"MaxSpectralNorm": AlwaysDivided}),
    Mutant("singular values lowered by the bound", {"MaxSpectralNorm": SoftThreshold}),
    Mutant("one pass of a clip", {"MaxSpectralNorm": OnePass}),
    Mutant("a clip a little below the bound", {"MaxSpectralNorm": LowBound}),
    Mutant("the spectral norm of other groups", {"MaxSpectralNorm": OtherGroups}),
    Mutant("Gram-Schmidt for the polar factor", {"Orthogonal": GramSchmidt}),
    Mutant("groups of norm 1 that are not orthogonal", {"Orthogonal": UnitGroups}),
    Mutant("a pseudo-inverse for the polar factor", {"Orthogonal": PseudoInverse}),
    Mutant("a gain that is forgotten", {"Orthogonal": GainForgotten}),
    Mutant("a gain that counts twice", {"Orthogonal": GainSquared}),
    Mutant("a polar factor that leaves zeros", {"Orthogonal": ZerosStay}),
    Mutant("a polar factor without its last steps", {"Orthogonal": WithoutLastSteps}),
    Mutant("a polar factor of other groups", {"Orthogonal": OtherSide}),
]
