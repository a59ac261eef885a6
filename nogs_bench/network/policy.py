"""Categorical distributions over locations, from logits."""

from __future__ import annotations

import torch
from torch import Tensor


def sample(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draw one location for each row by inverse CDF: int64 (..., n).

    **Arguments**

    - `logits`: float (..., n, cells), unnormalised log-probabilities; -inf is never drawn.
    - `uniform`: float (..., n), uniform in [0, 1), one for each draw.
    """
    cdf = logits.softmax(-1).cumsum(-1)
    # Scaled by the last value, which rounding keeps from being 1.
    drawn = torch.searchsorted(cdf, uniform[..., None] * cdf[..., -1:], right=True)
    return drawn.squeeze(-1).clamp_(max=logits.shape[-1] - 1)


def log_probability(logits: Tensor, index: Tensor) -> Tensor:
    """log p(index) (...) of locations int64 (...) under logits (..., cells); from logits, so that
    its gradient never vanishes (softmax first would floor it at about -16)."""
    return logits.log_softmax(-1).gather(-1, index[..., None]).squeeze(-1)
