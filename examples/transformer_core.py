"""A transformer core instead of the GRU: attention over all glimpses so far.

    nogs-bench evaluate examples/transformer_core.py:TransformerNet --methods ram,ps-nogs --seeds 5

Glimpses are a set: their order does not matter, since each carries where it was taken.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nogs_bench import Task
from nogs_bench.network import make_embedder

LAYERS, HEADS = 2, 4


class TransformerNet(nn.Module):
    """The state float (n, T + 1, units + 1) is a memory of tokens, one a glimpse.

    Row 0 is what the transformer read out of the memory after the last glimpse. In the others the
    last number says whether a glimpse is there, 1 or 0, and those before it are the glimpse's.
    """

    def __init__(self, task: Task):
        super().__init__()
        units, inner = task.training.hidden, task.training.location_hidden
        self.T = task.T
        self.initial = nn.Parameter(torch.zeros(units))
        self.query = nn.Parameter(0.02 * torch.randn(units))
        self.glimpse = make_embedder(task.training.embedder, task, units)
        self.location = nn.Sequential(nn.Linear(2, units), nn.ReLU(), nn.Linear(units, units))
        layer = nn.TransformerEncoderLayer(
            units, HEADS, 2 * units, dropout=0.0, batch_first=True, norm_first=True
        )
        self.core = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(units)
        self.locator = nn.Sequential(
            nn.Linear(units, inner), nn.ReLU(), nn.Linear(inner, task.grid.cells)
        )
        self.classifier = nn.Linear(units, len(task.classes))

    def start(self, n: int) -> Tensor:
        first = torch.cat([self.initial, self.initial.new_ones(1)])
        empty = first.new_zeros(self.T, len(first))
        return torch.cat([first[None], empty]).expand(n, -1, -1)

    def embed(self, patch: Tensor, location: Tensor) -> Tensor:
        """float (n, units) of glimpses, without the state."""
        return self.glimpse(patch) + self.location(location)

    def step(self, state: Tensor, embedding: Tensor) -> Tensor:
        """The state after a glimpse with this embedding, which goes into the first free row."""
        taken = state[:, 1:, -1].sum(1).long().clamp(max=self.T - 1)
        token = torch.cat([embedding, embedding.new_ones(len(embedding), 1)], dim=1)
        place = torch.arange(self.T, device=state.device)[None, :, None] == taken[:, None, None]
        memory = torch.where(place, token[:, None], state[:, 1:])
        query = self.query.expand(len(state), 1, -1)
        unseen = torch.cat([memory.new_zeros(len(state), 1), 1 - memory[..., -1]], dim=1).bool()
        read = self.core(torch.cat([query, memory[..., :-1]], dim=1), src_key_padding_mask=unseen)
        readout = self.norm(read[:, 0])
        first = torch.cat([readout, readout.new_ones(len(readout), 1)], dim=1)
        return torch.cat([first[:, None], memory], dim=1)

    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor:
        return self.step(state, self.embed(patch, location))

    def locate(self, state: Tensor) -> Tensor:
        return self.locator(state[:, 0, :-1])

    def classify(self, state: Tensor) -> Tensor:
        return self.classifier(state[:, 0, :-1])
