"""How bad a failure is: derived from what was measured, never from whose class it is.

- `WRONG`: the value cannot be used, or what must hold does not hold. A result is infinite or NaN,
  or off by more than 1 %; a set is violated; bad input is accepted; an exception is raised where a
  value is due, or another one than the one that is due.
- `IMPRECISE`: the value is finite and off by at most 1 %, but by more than its budget.
- `CONVENTION`: another choice that can be defended: another subgradient at a kink, a penalty of
  half-precision weights in their own dtype, a message in other words.
- `MISSING`: there is no such feature: no equality, no such name, argument, rank or type of number.
"""

import math

from keras_norms.testing.scores import digits

WRONG = "wrong"
IMPRECISE = "imprecise"
CONVENTION = "other convention"
MISSING = "missing"
# The worst first.
SEVERITIES = (WRONG, IMPRECISE, CONVENTION, MISSING)

# A relative error above this is not a matter of rounding in any dtype: bfloat16 has 0.4 %.
_USABLE = 0.01


def of_measures(measures):
    """The severity of the worst measure that is over its budget; None if all are within."""
    return worst(of_measure(m) for m in measures if not m.score <= m.budget)


def of_measure(measure):
    """The severity of one measure that is over its budget."""
    if measure.kink and math.isfinite(measure.relative):
        return CONVENTION
    return of_relative_error(measure.relative)


def of_relative_error(error):
    """The severity of a value that is off by this part of itself."""
    return IMPRECISE if error <= _USABLE else WRONG


def of_exception(error):
    """The severity of an exception that was raised where a value is due.

    A refusal in the words that Keras has for its users is a missing feature. Anything else, such as
    the error of a backend that was handed what it cannot compute, is wrong.
    """
    refused = type(error) in (ValueError, TypeError) and "Received: " in str(error)
    return MISSING if refused else WRONG


def of_dtype(found, wanted):
    """The severity of a result that is within its budget, but in another dtype than the wanted."""
    return IMPRECISE if digits(found) < digits(wanted) else WRONG


def of_config(found, wanted):
    """The severity of a config that is not what it must be: a number may be rounded."""
    errors = []
    for key, value in wanted.items():
        other = found.get(key)
        if key in found and other == value:
            continue
        numbers = all(
            isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)
            for v in (other, value)
        )
        errors.append(abs(other - value) / abs(value) if numbers and value else math.inf)
    return of_relative_error(max(errors))


def worst(severities):
    """The worst of some severities, or None if there are none."""
    return min(severities, key=SEVERITIES.index, default=None)
