"""Candidates of completions that show the annotated image's own pixels where it was seen.

What a network makes of the prefix is then the same for all completions of an image, and of a
candidate only the pixels of its glimpse are the completion's own. All that the layers add to them
depends on image and cell alone; it is computed once for all completions. So is what follows from a
glimpse that is black: that is the same in whichever completion.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from nogs_bench.builders.posterior.windows import Windows, all_windows

ROWS_AT_ONCE = 2048
PAIRS_AT_ONCE = 2**20


class ObservedWindows:
    """A step's completions; answers for candidates, as `PreparedWindows` up to rounding.

    With h_0 the pixels in a candidate's glimpse, h_k = relu(h_k-1 M_k + b_k) is its window of layer
    k, and the linear map of all features likewise. M_k depends on the cell, b_k on the annotated
    image and the cell: it holds what the prefix makes of the window, less what of it h_k-1 holds
    already.

    **Arguments**

    - `windows`: of the frozen network.
    - `images`: uint8 (n, channels, s, s), completions, the observed pixels pasted in.
    - `owner`: int64 (n,), which of k annotated images each completes.
    - `observed`: uint8 (k, channels, s, s), those images.
    - `seen`: bool (k, s, s), where they have been seen.
    """

    pairs_at_once = PAIRS_AT_ONCE

    def __init__(
        self, windows: Windows, images: Tensor, owner: Tensor, observed: Tensor, seen: Tensor
    ):
        self.windows, self.owner = windows, owner
        self.shown = images.reshape(-1)
        self.image = images[0].numel()
        channels, side = images.shape[1:3]
        # Where a glimpse's pixels lie in an image: the first, by cell, and how far from it all are.
        self.corner = windows.pixels[:, 0] * side + windows.pixels[:, 1]
        self.apart = (
            torch.arange(channels * side * side)
            .reshape(channels, side, side)[:, : windows.glimpse_size, : windows.glimpse_size]
            .flatten()
        )
        self.cells = len(windows.pixels)
        rows = torch.arange(len(observed)).repeat_interleave(self.cells)
        cells = torch.arange(self.cells).repeat(len(observed))
        shown = observed.float().div_(255)
        maps = torch.cat([shown, torch.ones_like(shown[:, :1])], dim=1) * seen[:, None]
        # A glimpse shows all its pixels: those of its mask are no completion's own.
        pixel = windows.pixels[cells]
        below = -all_windows(maps, windows.glimpse_size)[rows, pixel[:, 0], pixel[:, 1]].flatten(1)
        below[:, -(windows.glimpse_size**2) :] += 1
        self.bases = []
        for layer, change in zip(windows.convolutions, windows.changes, strict=True):
            maps = layer(maps)
            before = change.cut(all_windows(maps, change.window), rows, cells)
            self.bases.append((before + change(below, cells)).float())
            below, maps = -before.relu(), maps.relu()
        whole = windows.linear(maps.flatten(1))[rows]
        self.bases.append((whole + windows.last(below, cells)).float())
        self.layers = [(c.number, c.matrices) for c in (*windows.changes, windows.last)]
        # The completions' pixels are bytes, and their mask is in the first b.
        self.layers[0] = (self.layers[0][0], self.layers[0][1][:, : len(self.apart)] / 255)
        self.lit = _lit(images, windows.pixels, windows.glimpse_size).flatten()
        every = torch.arange(len(cells))
        self.black = torch.empty(windows.head.out_features, len(cells))
        black = torch.zeros(ROWS_AT_ONCE, len(self.apart))
        self._put(self.black, every, every, cells, lambda part: black[: len(part)])

    def logits(self, rows: Tensor, cells: Tensor) -> Tensor:
        """float (m, outputs) of completions `rows` after one more glimpse at `cells`; laid out
        output by output."""
        at = self.owner.index_select(0, rows).mul_(self.cells).add_(cells)
        logits = self.black.index_select(1, at)
        lit = self.lit.index_select(0, rows * self.cells + cells).nonzero()[:, 0]
        self._put(logits, lit, at, cells, lambda part: self._seen(rows[part], cells[part]))
        return logits.t()

    def _put(
        self,
        logits: Tensor,
        which: Tensor,
        at: Tensor,
        cells: Tensor,
        seen: Callable[[Tensor], Tensor],
    ) -> None:
        """Put into the columns `which` of float (outputs, m) what glimpses at `cells` give that
        show the pixels `seen(part)`, part by part of `which`."""
        # Cells of the same matrices side by side, so that these need few products.
        place = self.windows.place[cells[which]].numpy()
        order = which[torch.from_numpy(np.argsort(place, kind="stable"))]
        made = [
            self._logits(seen(part), at[part], cells[part]) for part in order.split(ROWS_AT_ONCE)
        ]
        logits.index_copy_(1, order, torch.cat(made, dim=1).float())

    def _seen(self, rows: Tensor, cells: Tensor) -> Tensor:
        """float (m, pixels), 0 .. 255, of the glimpses."""
        first = rows * self.image + self.corner.index_select(0, cells)
        at = first[:, None] + self.apart
        return self.shown.index_select(0, at.flatten()).view(at.shape).float()

    def _logits(self, seen: Tensor, at: Tensor, cells: Tensor) -> Tensor:
        """float (outputs, m)."""
        window, head = seen, self.windows.head
        for (number, matrices), base in zip(self.layers, self.bases, strict=True):
            made = base.index_select(0, at)
            _add_products(made, window, number.index_select(0, cells), matrices)
            window = made.relu_()
        # Few outputs: this way round, the product is twice as quick.
        return torch.addmm(head.bias[:, None], head.weight, window.t())


def _lit(images: Tensor, corners: Tensor, side: int) -> Tensor:
    """bool (n, cells): whether glimpses of uint8 images show any pixel that is not 0."""
    lit = (images != 0).any(1)
    for axis in (1, 2):
        size = lit.shape[axis] - side + 1
        lit = reduce(torch.bitwise_or, [lit.narrow(axis, first, size) for first in range(side)])
    return lit[:, corners[:, 0], corners[:, 1]]


def _add_products(made: Tensor, inputs: Tensor, number: Tensor, matrices: Tensor) -> None:
    """Add to float (m, outputs) in place the products of inputs (m, k) and `matrices[number[i]]`;
    quick where equal numbers stand side by side."""
    if len(matrices) == 1:
        made.addmm_(inputs, matrices[0])
        return
    kinds, counts = number.unique_consecutive(return_counts=True)
    start = 0
    for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True):
        stop = start + count
        made[start:stop].addmm_(inputs[start:stop], matrices[kind])
        start = stop
