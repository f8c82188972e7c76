"""Penalties that make groups or activations sparse."""

from mpmath import mp, mpf

from conformance.oracles.exact import groups, norm


def group_lasso(x, factor=0.01, axis=0, size_scaled=True):
    """factor times the norms of the groups, each times the root of its size."""
    lengths = mpf(0)
    for group in groups(x.shape, axis):
        length = norm([x.entries[i] for i in group])
        lengths += mp.sqrt(len(group)) * length if size_scaled else length
    return mpf(factor) * lengths


def hoyer(x, factor=0.01, axis=None):
    """factor times the squared ratio of the L1 norm of a group to its L2 norm; 0 for zeros."""
    ratios = mpf(0)
    for group in groups(x.shape, axis):
        squares = sum((x.entries[i] ** 2 for i in group), mpf(0))
        sizes = sum((abs(x.entries[i]) for i in group), mpf(0))
        ratios += sizes**2 / squares if squares else 0
    return mpf(factor) * ratios


def kl_sparsity(x, factor=0.01, rho=0.05):
    """factor times the divergence of the mean of each last axis from rho."""
    others = list(range(len(x.shape) - 1))
    found, rho, least = mpf(0), mpf(rho), mpf(2) ** -20
    for unit in groups(x.shape, others):
        mean = sum((x.entries[i] for i in unit), mpf(0)) / len(unit)
        mean = min(max(mean, least), 1 - least)
        found += rho * mp.log(rho / mean) + (1 - rho) * mp.log((1 - rho) / (1 - mean))
    return mpf(factor) * found
