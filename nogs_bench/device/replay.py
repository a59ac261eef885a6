"""A step again and again: on a CUDA device as one launch of all its small operations."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SWITCH = "NOGS_CUDA_GRAPHS"  # "0" leaves graphs alone
WARM_UP = 3
TOLERANCE = 0.01


class Repeated:
    """Calls `step`; on a CUDA device it is soon recorded as a graph, which is then replayed.

    The graph is used only if it does what the step did: one step is made both ways from the same
    state and compared. Where it cannot be recorded or differs, a line says so and every step is
    made as it is.

    **Arguments**

    - `step`: reads and changes tensors in place, of the same shapes each time, and does not wait
      for the device. What Python does in it besides is done only while it is recorded.
    - `changed`: gives all tensors that a step changes and a later one depends on.
    """

    def __init__(
        self,
        step: Callable[[], None],
        changed: Callable[[], Sequence[Tensor]],
        device: torch.device,
    ):
        self.step, self.changed, self.device = step, changed, device
        self.recorded: torch.cuda.CUDAGraph | None = None
        self.warm = 0
        self.wanted = device.type == "cuda" and os.environ.get(SWITCH, "1") != "0"

    def __call__(self) -> None:
        if self.recorded is not None:
            self.recorded.replay()
        elif not self.wanted:
            self.step()
        elif self.warm < WARM_UP:
            self.warm += 1
            self._beside()
        else:
            self._record()

    def _beside(self) -> None:
        """A step on a stream of its own, as recording wants those before it."""
        import torch

        here, beside = torch.cuda.current_stream(self.device), torch.cuda.Stream(self.device)
        beside.wait_stream(here)
        with torch.cuda.stream(beside):
            self.step()
        here.wait_stream(beside)

    def _record(self) -> None:
        """Record the graph, and make one step by it and one as it is."""
        import torch

        graph, fault = torch.cuda.CUDAGraph(), ""
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self.step()
        except RuntimeError as error:
            fault = " ".join(str(error).split())[:200]
            self.step()
        else:
            before = [value.clone() for value in self.changed()]
            random = torch.cuda.get_rng_state(self.device)
            graph.replay()
            replayed = [value.clone() for value in self.changed()]
            torch.cuda.set_rng_state(random, self.device)
            with torch.no_grad():
                for value, old in zip(self.changed(), before, strict=True):
                    value.copy_(old)
            self.step()
            if agree(before, replayed, self.changed()):
                self.recorded = graph
            else:
                fault = "a replayed step differs"
        self.wanted = not fault
        if fault:
            print(f"training without CUDA graphs, slower: {fault}", file=sys.stderr)


def agree(before: Sequence[Tensor], one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    """Whether two steps from the same state changed it alike: whole numbers exactly, others by as
    much but for `TOLERANCE`."""
    import torch

    difference = size = 0.0
    for old, a, b in zip(before, one, other, strict=True):
        if not old.is_floating_point():
            if not torch.equal(a, b):
                return False
        elif not (torch.isfinite(a).all() and torch.isfinite(b).all()):
            return False
        else:
            difference += float((a - b).double().square().sum())
            size += float((b - old).double().square().sum())
    return difference <= TOLERANCE**2 * size
