"""A convolutional posterior's candidates at the cost of what a glimpse changes.

A network that begins with convolutions and a linear map of all their features sees one more glimpse
only in a small window of each layer. What the network makes of nothing is computed once; each
glimpse of the prefix changes its windows, layer by layer, and the change of the last one is added
to the linear map. So does a candidate after them. Equal to the whole network up to rounding.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from nogs_bench.tasks import GlimpseGrid

ROWS_AT_ONCE = 4096
PAIRS_AT_ONCE = 2**16
# A window's channels are cut out together, so they lie together.
CHANNELS = torch.channels_last


class Change(nn.Module):
    """The linear map from the change of one layer's window to that of the next's, for each cell.

    - `corner`: int64 (cells, 2), (row, col) where a cell's window begins in the layer's output.
    - `window`: its side there.
    - `number`: int64 (cells,), which of `matrices`, float (k, inputs, outputs), is a cell's.
    """

    corner: Tensor
    number: Tensor
    matrices: Tensor

    def __init__(self, corner: Tensor, window: int, number: Tensor, matrices: Tensor):
        super().__init__()
        self.window = window
        self.register_buffer("corner", corner, persistent=False)
        self.register_buffer("number", number, persistent=False)
        self.register_buffer("matrices", matrices, persistent=False)

    def forward(self, change: Tensor, cells: Tensor) -> Tensor:
        """float (m, outputs) of a change, float (m, inputs), at cells, int64 (m,)."""
        if len(self.matrices) == 1:
            return change @ self.matrices[0]
        numbers, order = self.number[cells].sort(stable=True)
        made = change.new_empty(len(change), self.matrices.shape[2])
        sizes = torch.bincount(numbers, minlength=len(self.matrices)).tolist()
        for part, matrix in zip(order.split(sizes), self.matrices, strict=True):
            if len(part):
                made.index_copy_(0, part, (change[part] @ matrix).to(made.dtype))
        return made

    def cut(self, windows: Tensor, rows: Tensor, cells: Tensor) -> Tensor:
        """float (m, channels * window * window) of `all_windows` of the layer's output."""
        corner = self.corner[cells]
        return windows[rows, corner[:, 0], corner[:, 1]].flatten(1)


class Windows(nn.Module):
    """The windows of a frozen `Sequential` of convolutions and ReLUs, `Flatten`, and two linear
    maps with a ReLU between.

    **Arguments**

    - `network`: as `fits` wants it, batch norms folded in.
    - `grid`: whose cells the candidates are.
    """

    pixels: Tensor
    place: Tensor

    def __init__(self, network: nn.Sequential, grid: GlimpseGrid):
        super().__init__()
        layers: list[Any] = list(network)
        flat = next(i for i, layer in enumerate(layers) if isinstance(layer, nn.Flatten))
        self.convolutions: Any = nn.ModuleList(layers[0:flat:2])
        self.linear: nn.Linear = layers[flat + 1]
        self.head: nn.Linear = layers[flat + 3]
        self.glimpse_size, side = grid.glimpse_size, grid.image_size
        self.register_buffer("pixels", torch.from_numpy(grid.pixels), persistent=False)
        corner, window = self.pixels, grid.glimpse_size
        changes: list[Change] = []
        for layer in layers[0:flat:2]:
            side, below, before = _output(layer, side), corner, window
            corner, window = _changed(layer, below, before, side)
            # How far a window's first input lies from the window below it tells the matrix.
            shift = corner * layer.stride[0] - layer.padding[0] - below
            kinds, number = shift.unique(dim=0, return_inverse=True)
            matrices = [
                _matrix(layer.weight, layer.stride[0], kind, before, window) for kind in kinds
            ]
            changes.append(Change(corner, window, number, torch.stack(matrices)))
        kinds, number = corner.unique(dim=0, return_inverse=True)
        weight = self.linear.weight.unflatten(1, (-1, side, side))
        matrices = [
            weight[..., row : row + window, col : col + window].flatten(1).t() for row, col in kinds
        ]
        self.changes: Any = nn.ModuleList(changes)
        self.last = Change(corner, window, number, torch.stack(matrices))
        # Where each cell stands when cells whose matrices are the same stand side by side.
        numbers = [change.number.numpy() for change in (*changes, self.last)]
        place = np.argsort(np.lexsort(numbers))
        place = place.astype(np.min_scalar_type(-len(place)))  # small ones are sorted quicker
        self.register_buffer("place", torch.from_numpy(place), persistent=False)

    @staticmethod
    def fits(network: nn.Module) -> TypeGuard[nn.Sequential]:
        """Whether a frozen network is such a `Sequential`, and its convolutions plain ones."""
        kinds = [type(layer) for layer in network] if isinstance(network, nn.Sequential) else []
        if kinds[-4:] != [nn.Flatten, nn.Linear, nn.ReLU, nn.Linear]:
            return False
        flat = len(kinds) - 4
        convolutions = [layer for layer in network.children() if isinstance(layer, nn.Conv2d)]
        return (
            bool(convolutions)
            and kinds[:flat] == [nn.Conv2d, nn.ReLU] * len(convolutions)
            and all(_is_plain(layer) for layer in convolutions)
        )

    def prepare(self, images: Tensor, prefix: Tensor) -> PreparedWindows:
        """Completions, uint8 (n, channels, s, s), that have shown the cells `prefix`, int64
        (n, t - 1)."""
        return PreparedWindows(self, images, prefix)


class PreparedWindows:
    """A step's completions, with what every layer makes of their prefix; answers for candidates.

    Layers begin with what they make of nothing seen; the prefix's glimpses change their windows one
    after the other, as a candidate does.
    """

    # Many at once: candidates whose windows lie alike are computed together.
    pairs_at_once = PAIRS_AT_ONCE

    def __init__(self, windows: Windows, images: Tensor, prefix: Tensor):
        self.windows = windows
        self.pixels = all_windows(images, windows.glimpse_size)
        seen = images.new_zeros((len(images), 1, *images.shape[2:]), dtype=torch.bool)
        self.seen = all_windows(seen, windows.glimpse_size)
        maps = images.new_zeros((1, images.shape[1] + 1, *images.shape[2:]), dtype=torch.float32)
        self.before = []
        for layer, change in zip(windows.convolutions, windows.changes, strict=True):
            maps = layer(maps).float()
            own = maps.expand(len(images), -1, -1, -1).contiguous(memory_format=CHANNELS)
            self.before.append(all_windows(own, change.window))
            maps = maps.relu()
        self.whole = windows.linear(maps.flatten(1)).float().repeat(len(images), 1)
        every = torch.arange(len(images), device=images.device)
        for rows in every.split(ROWS_AT_ONCE):
            for cells in prefix[rows].unbind(1):
                self._look(rows, cells)

    def logits(self, rows: Tensor, cells: Tensor) -> Tensor:
        """float (m, outputs) of completions `rows` after one more glimpse at `cells`."""
        parts = zip(rows.split(ROWS_AT_ONCE), cells.split(ROWS_AT_ONCE), strict=True)
        return torch.cat([self._logits(*part) for part in parts])

    def _logits(self, rows: Tensor, cells: Tensor) -> Tensor:
        windows, change = self.windows, self._shown(rows, cells)
        for layer, before in zip(windows.changes, self.before, strict=True):
            old = layer.cut(before, rows, cells)
            new = layer(change, cells).add_(old)
            change = new.relu_().sub_(old.relu_())
        return windows.head(windows.last(change, cells).add_(self.whole[rows]).relu_())

    def _look(self, rows: Tensor, cells: Tensor) -> None:
        """Let distinct completions `rows` have shown a glimpse at `cells`."""
        windows, change = self.windows, self._shown(rows, cells)
        pixel = windows.pixels[cells]
        self.seen[rows, pixel[:, 0], pixel[:, 1]] = True
        for layer, before in zip(windows.changes, self.before, strict=True):
            corner, old = layer.corner[cells], layer.cut(before, rows, cells)
            new = old + layer(change, cells)
            before[rows, corner[:, 0], corner[:, 1]] = new.unflatten(1, before.shape[3:])
            change = new.relu() - old.relu()
        self.whole[rows] += windows.last(change, cells)

    def _shown(self, rows: Tensor, cells: Tensor) -> Tensor:
        """float (m, channels * window * window): the pixels of glimpses that no other has shown
        before, 0 .. 1, and the mask of them."""
        pixel = self.windows.pixels[cells]
        at = rows, pixel[:, 0], pixel[:, 1]
        pixels, unseen = self.pixels[at].float().div_(255), ~self.seen[at]
        return torch.cat([pixels * unseen, unseen], dim=1).flatten(1)


def all_windows(maps: Tensor, side: int) -> Tensor:
    """float (n, rows, cols, channels, side, side), a view: every window of (n, channels, h, w)."""
    return maps.unfold(2, side, 1).unfold(3, side, 1).movedim(1, 3)


def _is_plain(layer: nn.Conv2d) -> bool:
    """Square, without dilation, groups or padding other than zeros."""
    square = all(len({*pair}) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))
    ordinary = layer.groups == 1 and set(layer.dilation) == {1}
    return square and ordinary and layer.padding_mode == "zeros"


def _output(layer: Any, side: int) -> int:
    """Side of a convolution's output, pixels."""
    return int((side + 2 * layer.padding[0] - layer.kernel_size[0]) // layer.stride[0] + 1)


def _changed(layer: Any, corner: Tensor, window: int, side: int) -> tuple[Tensor, int]:
    """Corners, int64 (cells, 2), and side of the windows of a convolution's output, of `side`, that
    hold all that windows of its input change; all inside the output and equally large."""
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
    first = -((kernel - 1 - padding - corner) // stride)
    last = (corner + window - 1 + padding) // stride
    first, last = first.clamp(0, side - 1), last.clamp(0, side - 1)
    size = int((last - first).max()) + 1
    return first.clamp(max=side - size), size


def _matrix(weight: Tensor, stride: int, shift: Tensor, before: int, after: int) -> Tensor:
    """float (inputs * before ** 2, outputs * after ** 2): a convolution between two windows.

    `shift`: int64 (2,), what must be added to (row, col) in the input's window to find where the
    first output's kernel begins.
    """
    outputs, inputs, kernel, _ = weight.shape
    matrix = weight.new_zeros(inputs, before, before, outputs, after, after)
    starts = [
        shift + stride * torch.tensor([row, col]) for row in range(after) for col in range(after)
    ]
    for at, start in enumerate(starts):
        for tap in range(kernel * kernel):
            row, col = int(start[0]) + tap // kernel, int(start[1]) + tap % kernel
            if 0 <= row < before and 0 <= col < before:
                part = weight[:, :, tap // kernel, tap % kernel].t()
                matrix[:, row, col, :, at // after, at % after] = part
    return matrix.flatten(3).flatten(0, 2)
