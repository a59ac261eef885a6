"""The weights of the best validation so far, of one run or of many at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nogs_bench.network import part_of


class Best:
    """Each run's weights of its highest score so far; the earliest of equals.

    - `score`: float64 (R,), on the CPU; the scorer says what it is (accuracy, or minus nats).
    - `weights`: name to tensor ([R,] ...), on the model's device.
    """

    def __init__(self, runs: int, stacked: bool):
        self.stacked = stacked
        self.score = torch.full((runs,), -torch.inf, dtype=torch.float64)
        self.weights: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"score": self.score[:, None], "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.score, self.weights = state["score"].view(-1), dict(state["weights"])

    def offer(self, score: Tensor, model: nn.Module) -> None:
        """Keep a copy of the weights of every run whose `score` is a new best.

        Weights that a checkpoint brought back are on the CPU; they go where the model is.
        """
        better = score > self.score
        self.score = torch.where(better, score, self.score)
        if not better.any():
            return
        for name, value in model.state_dict().items():
            if self.stacked:
                chosen = better.to(value.device).view(-1, *[1] * (value.dim() - 1))
                before = self.weights.get(name, value).to(value.device)
                self.weights[name] = torch.where(chosen, value, before)
            else:
                self.weights[name] = value.clone()

    def of(self, run: int) -> dict[str, Tensor]:
        """The best weights of run `run`, by the names that the model alone gives them."""
        return part_of(self.weights, run) if self.stacked else self.weights
