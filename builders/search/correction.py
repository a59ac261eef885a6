"""The EPE that a dataset states, held to what came true.

A search states the least of many cells' noisy estimates, so that what it states is too low (the
winner's curse), the more so as the same completions chose the glimpses before. The annotated images
have labels, so what came true is known: the cross-entropy of their labels after each glimpse.
"""

from __future__ import annotations

import numpy as np

TRUE = 0.05


def standard_error(values: np.ndarray) -> np.ndarray:
    """Of the means of float (n, ...) over n, shaped and typed alike: (...); 0 for a single row."""
    error: np.ndarray = values.std(0, ddof=min(1, len(values) - 1)) / len(values) ** 0.5
    return error


def corrections(searched: np.ndarray, true: np.ndarray) -> np.ndarray:
    """float64 (T,): factors by which the EPEs of a search become true on average.

    For each t, the ratio r of the means of `true` and `searched`, float (n, T), nats. It is taken
    only as far as it is beyond chance: `1 + (r - 1) max(0, 1 - (e / (r - 1))^2)`, where e is the
    standard error of r, of paired differences (the positive-part shrinkage of James and Stein
    1961). With one image, or where all EPEs are 0, the factor is 1.

    An image's EPE is multiplied by one number, so that images keep their order.
    """
    count = len(true)
    means = searched.mean(0, dtype=np.float64)
    known = means > 0
    ratios = np.ones_like(means)
    ratios[known] = true.mean(0, dtype=np.float64)[known] / means[known]
    if count < 2:
        return np.ones_like(means)
    differences = true - ratios * searched
    beyond = ratios != 1
    errors = standard_error(differences)[beyond] / means[beyond]
    sure = np.maximum(0, 1 - (errors / (ratios[beyond] - 1)) ** 2)
    factors = np.ones_like(means)
    factors[beyond] += (ratios[beyond] - 1) * sure
    return factors


def holds(stated: np.ndarray, true: np.ndarray) -> bool:
    """Whether the means of both, float (n, T), nats, lie within .05 of each other at every t.

    Of EPEs that were corrected by `corrections` of the same images they differ by at most the
    standard error of the mean difference: it then says whether the images are enough to fit the
    factors by, and nothing about other images.
    """
    gap = np.abs(stated.mean(0, dtype=np.float64) - true.mean(0, dtype=np.float64))
    return bool((gap <= TRUE).all())
