"""What a frozen network makes of the glimpses of an image, computed once and kept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nogs_bench.files import take_room
from nogs_bench.network import Fovea, HardAttentionNet, is_frozen

# A larger table lies in a temporary file.
IN_MEMORY = 2**30
CHEAP = "conv"


class KnownGlimpses:
    """Stands for a `Fovea` of a frozen network on a CPU: gives embeddings instead of pixels.

    When an image is first looked at, the embeddings of all its cells are computed together, so that
    they do not depend on what else is asked for, and kept as float16. An embedder such as VGG's
    then costs one pass over the glimpses of all images, and not one an iteration.
    """

    def __init__(self, fovea: Fovea, network: HardAttentionNet, images: int, cells: int):
        self.fovea, self.network, self.cells = fovea, network, cells
        self.shape = fovea.shape
        self.known = torch.zeros(images, dtype=torch.bool)
        size = images, cells, len(network.initial)
        if 2 * images * cells * size[2] <= IN_MEMORY:
            self.table = torch.zeros(size, dtype=torch.float16)
        else:
            with tempfile.TemporaryFile(prefix="nogs-bench-glimpses-") as file:
                take_room(file, 2 * images * cells * size[2], Path(tempfile.gettempdir()))
                self.table = torch.from_numpy(np.memmap(file, np.float16, "r+", shape=size))

    def look_of(self, model: Any) -> Callable[..., Tensor]:
        """The model's step from an embedding to its next state."""
        step: Callable[..., Tensor] = model.step
        return step

    @torch.no_grad()
    def __call__(self, rows: Tensor, cells: Tensor) -> tuple[Tensor]:
        """float32 (n, units): the embeddings of images `rows` seen at `cells`, int64 (n,)."""
        every = torch.arange(self.cells)
        for row in rows[~self.known[rows]].unique():
            seen = self.fovea(row.expand(self.cells), every)
            self.table[row] = self.network.embed(*seen).half()
            self.known[row] = True
        return (self.table[rows, cells].float(),)


def known_glimpses(
    fovea: Fovea, network: Any, embedder: str, images: int, cells: int, asked: int
) -> Fovea | KnownGlimpses:
    """The embeddings of a frozen reference network's glimpses, where keeping them pays: where the
    images have fewer than the `asked` glimpses that would be looked at otherwise."""
    own = type(network) is HardAttentionNet and worth_keeping(embedder, fovea.lines.device.type)
    if own and images * cells < asked:
        return KnownGlimpses(fovea, network, images, cells)
    return fovea


def worth_keeping(embedder: str, device: str) -> bool:
    """Whether each run keeps the embeddings of its own `embedder`, once that is not trained any
    more; such runs are trained one by one. Those of `frozen:SPEC` share a table instead."""
    return device == "cpu" and embedder != CHEAP and not is_frozen(embedder)
