"""A model of one's own: an LSTM that sees each glimpse as raw pixels.

    nogs-bench evaluate examples/custom_model.py:MyNet --task fashion-mnist --methods ps-nogs

Four methods make a model: start, look, locate and classify.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nogs_bench import Task


class MyNet(nn.Module):
    """The state float (n, 2 * units) is the LSTM's hidden state beside its cell state."""

    def __init__(self, task: Task):
        super().__init__()
        units = task.training.hidden
        pixels = task.channels * task.glimpse_size**2
        self.initial = nn.Parameter(torch.zeros(2 * units))
        self.embedder = nn.Sequential(nn.Linear(pixels + 2, units), nn.ReLU())
        self.core = nn.LSTMCell(units, units)
        self.locator = nn.Sequential(
            nn.Linear(units, task.training.location_hidden),
            nn.ReLU(),
            nn.Linear(task.training.location_hidden, task.grid.cells),
        )
        self.classifier = nn.Linear(units, len(task.classes))

    def start(self, n: int) -> Tensor:
        return self.initial.expand(n, -1)

    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor:
        seen = self.embedder(torch.cat([patch.flatten(1), location], dim=1))
        hidden, cell = state.chunk(2, dim=1)
        return torch.cat(self.core(seen, (hidden, cell)), dim=1)

    def locate(self, state: Tensor) -> Tensor:
        return self.locator(state.chunk(2, dim=1)[0])

    def classify(self, state: Tensor) -> Tensor:
        return self.classifier(state.chunk(2, dim=1)[0])
