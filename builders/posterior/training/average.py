"""An exponential moving average of a network's weights, which is what is validated and kept."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Generic, TypeVar

import torch
from torch import nn

DECAY = 0.998
Network = TypeVar("Network", bound=nn.Module)


class Averaged(Generic[Network]):
    """The average `module` of a network under training, of which it is a copy to begin with.

    Parameters and the buffers that are saved are averaged, with a decay that grows from 2/11 to
    `DECAY`; whole numbers are copied.
    """

    def __init__(self, network: Network):
        self.module = deepcopy(network).requires_grad_(False)
        self.updates = 0
        new, mine = network.state_dict(), self.module.state_dict()
        floats = [name for name in mine if mine[name].is_floating_point()]
        self._floats = [mine[name] for name in floats], [new[name] for name in floats]
        others = [name for name in mine if not mine[name].is_floating_point()]
        self._others = [(mine[name], new[name]) for name in others]

    @torch.no_grad()
    def update(self) -> None:
        """Take what the network is now into the average; the first time, it is that."""
        decay = min(DECAY, (1 + self.updates) / (10 + self.updates)) if self.updates else 0.0
        torch._foreach_lerp_(*self._floats, 1 - decay)
        for mine, new in self._others:
            mine.copy_(new)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.module.load_state_dict(state["module"])
        self.updates = state["updates"]
