"""What glimpses say of every copy of the bank: log-likelihoods, as the glimpses come in.

Equation (16)'s and the exact Gaussian alike: a glimpse's likelihood is summed over its moves, and
the glimpses are independent, so their likelihoods multiply. Both classes take a glimpse as `begin`
and then `put` for some copies at a time, so that no more than a chunk of distances is ever held
beside what they keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Evidence(Protocol):
    """Takes squared distances, pixel values in 0 .. 1, and gives log-likelihoods."""

    glimpses: int

    def begin(self, moves: int) -> None:
        """One more glimpse, of that many moves."""
        ...

    def put(self, start: int, distances: Tensor) -> None:
        """Its squared distances, float32 (moves, k), to the copies from number `start` on."""
        ...

    def log_likelihood(self, variance: float) -> np.ndarray:
        """float32 (n,), up to a constant: sum over glimpses of the log of the sum over moves.

        `variance`: sigma^2 of the Gaussian relaxation.
        """
        ...


class FreeEvidence:
    """For any sigma: keeps every move's distances, and the sum of those without moves."""

    def __init__(self, copies: int):
        self.glimpses = 0
        self._still = np.zeros(copies, np.float32)
        self._moving: list[np.ndarray] = []
        self._current = np.empty((1, 0), np.float32)

    def begin(self, moves: int) -> None:
        self.glimpses += 1
        self._current = self._still[None]
        if moves > 1:
            # The likelihood's sum over moves depends on sigma, so all of them are kept.
            self._current = np.zeros((moves, len(self._still)), np.float32)
            self._moving.append(self._current)

    def put(self, start: int, distances: Tensor) -> None:
        self._current[:, start : start + distances.shape[1]] += distances.cpu().numpy()

    def nearest(self) -> np.ndarray:
        """float32 (n,): squared distances at each glimpse's best move, summed over glimpses."""
        return sum((distances.min(0) for distances in self._moving), self._still)

    def log_likelihood(self, variance: float) -> np.ndarray:
        """See `Evidence.log_likelihood`."""
        scale = np.float32(-2 * variance)
        total = self._still / scale
        for distances in self._moving:
            total += torch.from_numpy(distances / scale).logsumexp(0).numpy()
        return total


class ScheduledEvidence:
    """For sigmas that are known beforehand, one after each glimpse (the last, from there on).

    Keeps a running log-likelihood of every copy for each sigma still to come, and no distances: a
    glimpse is never compared or exponentiated again, and memory does not grow with the moves.
    """

    def __init__(self, copies: int, sigmas: Sequence[float], device: torch.device | str = "cpu"):
        self.glimpses = 0
        self.variances = [sigma**2 for sigma in sigmas]
        self._totals = torch.zeros(len(sigmas), copies, device=device)

    def begin(self, moves: int) -> None:
        self.glimpses += 1

    def put(self, start: int, distances: Tensor) -> None:
        columns = slice(start, start + distances.shape[1])
        for number in range(self._now(), len(self.variances)):
            scaled = distances / (-2 * self.variances[number])
            self._totals[number, columns] += scaled.logsumexp(0)

    def log_likelihood(self, variance: float) -> np.ndarray:
        """See `Evidence.log_likelihood`; `variance` must be the scheduled one of now."""
        now = self._now()
        if variance != self.variances[now]:
            raise ValueError(f"sigma^2 is {self.variances[now]} after {self.glimpses} glimpses")
        return self._totals[now].cpu().numpy()

    def _now(self) -> int:
        return min(self.glimpses, len(self.variances)) - 1
