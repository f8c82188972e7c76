"""Findings: all that is silently wrong with the constraints and penalties of a model."""

from keras_norms.model_findings import OF_MODELS
from keras_norms.weight_findings import OF_WEIGHTS, measured


def findings_of(model, weights, worst):
    """All findings, errors first.

    Args:
        model: A built Keras model or layer.
        weights: Its weights, from `keras_norms.weights.weights_of`.
        worst: For each weight how far outside its set it is, 0.0 if it is inside, NaN if it or
            its norm is not finite, and None without a constraint.
    """
    found = [f for each in zip(weights, worst, strict=True) for f in measured(*each)]
    found += [finding for weight in weights for check in OF_WEIGHTS for finding in check(weight)]
    found += [finding for check in OF_MODELS for finding in check(model, weights)]
    return sorted(found, key=lambda finding: finding.severity)  # "error" < "warning"
