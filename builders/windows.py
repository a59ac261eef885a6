"""A convolutional posterior's candidates at the cost of what a glimpse changes.

A network that begins with convolutions and a linear map of all their features sees one more glimpse
only in a small window of each layer. The rest is the same for all candidates of a completion: it is
computed once, and what the window adds to the linear map is all that a candidate costs. Equal to
the whole network up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nogs_bench.geometry import GlimpseGrid

WINDOWS_AT_ONCE = 256


@dataclass(frozen=True)
class Level:
    """A layer's input as a zone of cells sees it: `start` (row, col) of its window, may be
    negative, `length` pixels, and `inside`, float (length, length), 0 beyond the map."""

    start: tuple[int, int]
    length: int
    inside: Tensor | None


@dataclass(frozen=True)
class Zone:
    """Cells whose glimpses change the same window of the last convolution's output.

    - `origin`: (row, col) of the window there.
    - `levels`: the windows of the convolutions' inputs, the first of the image.
    - `weight`: float (features of the window, hidden), the linear map's part.
    - `glimpses`: bool (cells, length, length): the pixels of the image's window that each cell of
      the grid shows (others' rows are not used).
    """

    origin: tuple[int, int]
    levels: tuple[Level, ...]
    weight: Tensor
    glimpses: Tensor


class Windows(nn.Module):
    """The windows of a frozen `Sequential` of convolutions, ReLUs, `Flatten`, linear map and rest.

    **Arguments**

    - `network`: as `fits` wants it, batch norms folded in.
    - `grid`: whose cells the candidates are.
    """

    zone: Tensor

    def __init__(self, network: nn.Sequential, grid: GlimpseGrid):
        super().__init__()
        layers = list(network)
        flat = next(i for i, layer in enumerate(layers) if isinstance(layer, nn.Flatten))
        self.features = network[:flat]
        self.linear: nn.Linear = layers[flat + 1]
        self.rest = network[flat + 2 :]
        self.convolutions: list[Any] = [x for x in self.features if isinstance(x, nn.Conv2d)]
        sides = _sides(grid.image_size, self.convolutions)
        axes = [_spans(steps, grid, sides, self.convolutions) for steps in (grid.rows, grid.cols)]
        self.window = max(high - low + 1 for spans in axes for low, high in spans)
        furthest = sides[-1] - self.window
        first = [[min(low, furthest) for low, _ in spans] for spans in axes]
        origins = sorted({(row, col) for row in first[0] for col in first[1]})
        of_cell = [origins.index((row, col)) for row in first[0] for col in first[1]]
        self.register_buffer("zone", torch.tensor(of_cell), persistent=False)
        masks = torch.from_numpy(grid.masks)
        self.margin = 0
        levels = [_levels(origin, self.window, sides, self.convolutions) for origin in origins]
        for below in levels:
            start, length = below[0].start, below[0].length
            self.margin = max(self.margin, -min(start), max(start) + length - sides[0])
        padded = nn.functional.pad(masks, (self.margin,) * 4)
        device = self.linear.weight.device
        weight = self.linear.weight.unflatten(1, (-1, sides[-1], sides[-1]))
        self.zones = [
            Zone(
                origin,
                tuple(_on(level, device) for level in below),
                _cut(weight, origin, self.window).flatten(1).t().contiguous(),
                self._pixels(padded, below[0]).to(device),
            )
            for origin, below in zip(origins, levels, strict=True)
        ]

    @staticmethod
    def fits(network: nn.Module) -> bool:
        """Whether a frozen network is such a `Sequential`, and its convolutions plain ones."""
        kinds = [type(layer) for layer in network] if isinstance(network, nn.Sequential) else []
        if nn.Flatten not in kinds[2:-1]:
            return False
        flat = kinds.index(nn.Flatten)
        convolutions = [layer for layer in network.children() if isinstance(layer, nn.Conv2d)]
        return (
            kinds[:flat] == [nn.Conv2d, nn.ReLU] * len(convolutions)
            and kinds[flat + 1] is nn.Linear
            and all(_is_plain(layer) for layer in convolutions)
        )

    def _pixels(self, padded: Tensor, level: Level) -> Tensor:
        """The image's window of a map padded by `margin`."""
        row, col = (start + self.margin for start in level.start)
        return _cut(padded, (row, col), level.length)

    def prepare(self, shown: Tensor, seen: Tensor) -> PreparedWindows:
        """See `PreparedWindows`; `shown` float (n, channels, s, s) in 0 .. 1, `seen` bool (n, s, s):
        the pixels there are, and those that the glimpses so far have shown."""
        return PreparedWindows(self, shown, seen)


class PreparedWindows:
    """A step's completions, with the prefix's features; answers for candidates."""

    def __init__(self, windows: Windows, shown: Tensor, seen: Tensor):
        self.windows = windows
        masked = torch.cat([shown * seen[:, None], seen[:, None].to(shown.dtype)], dim=1)
        self.features = windows.features(masked)
        self.whole = windows.linear(self.features.flatten(1))
        self.shown = nn.functional.pad(shown, (windows.margin,) * 4)
        self.seen = nn.functional.pad(seen, (windows.margin,) * 4)
        self._others: dict[int, Tensor] = {}

    def logits(self, rows: Tensor, cells: Tensor) -> Tensor:
        """float (m, outputs) of completions `rows` after one more glimpse at `cells`."""
        windows = self.windows
        numbers, order = windows.zone[cells].sort(stable=True)
        hidden = torch.empty(len(rows), windows.linear.out_features, device=rows.device)
        counts = torch.bincount(numbers, minlength=len(windows.zones)).tolist()
        rows, cells, start = rows[order], cells[order], 0
        for number, count in enumerate(counts):
            zone = windows.zones[number]
            for part in _parts(start, start + count):
                features = self._window(zone, rows[part], cells[part])
                hidden[part] = torch.addmm(
                    self._other(number)[rows[part]], features.flatten(1), zone.weight
                )
            start += count
        logits = windows.rest(hidden)
        return torch.empty_like(logits).index_copy_(0, order, logits)

    def _other(self, number: int) -> Tensor:
        """float (n, hidden): the linear map's output, less what the zone's window gives to it."""
        if number not in self._others:
            zone = self.windows.zones[number]
            window = _cut(self.features, zone.origin, self.windows.window)
            self._others[number] = self.whole - window.flatten(1) @ zone.weight
        return self._others[number]

    def _window(self, zone: Zone, rows: Tensor, cells: Tensor) -> Tensor:
        """float (m, features, window, window): the last convolution's output in the zone."""
        windows, level = self.windows, zone.levels[0]
        visible = windows._pixels(self.seen, level)[rows] | zone.glimpses[cells]
        mask = visible[:, None].to(self.shown.dtype)
        maps = torch.cat([windows._pixels(self.shown, level)[rows] * mask, mask], dim=1)
        for number, layer in enumerate(windows.convolutions):
            maps = nn.functional.conv2d(maps, layer.weight, layer.bias, layer.stride).relu_()
            above = zone.levels[number + 1 : number + 2]
            if above and above[0].inside is not None:
                maps *= above[0].inside
        return maps


def _is_plain(layer: nn.Conv2d) -> bool:
    """Square, without dilation, groups or padding other than zeros."""
    square = all(len({*pair}) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))
    ordinary = layer.groups == 1 and set(layer.dilation) == {1}
    return square and ordinary and layer.padding_mode == "zeros"


def _sides(image_size: int, convolutions: Sequence[Any]) -> list[int]:
    """Sides of the image and of every convolution's output, pixels."""
    sides = [image_size]
    for layer in convolutions:
        kernel, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
        sides.append((sides[-1] + 2 * padding - kernel) // stride + 1)
    return sides


def _spans(
    steps: Sequence[int], grid: GlimpseGrid, sides: Sequence[int], convolutions: Sequence[Any]
) -> list[tuple[int, int]]:
    """First and last row (or column) of the last output that a glimpse at each step changes."""
    spans = []
    for step in steps:
        low, high = step, step + grid.glimpse_size - 1
        for side, layer in zip(sides[1:], convolutions, strict=True):
            kernel, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
            low = max(0, -((kernel - 1 - padding - low) // stride))
            high = min(side - 1, (high + padding) // stride)
        spans.append((low, high))
    return spans


def _levels(
    origin: tuple[int, int], window: int, sides: Sequence[int], convolutions: Sequence[Any]
) -> tuple[Level, ...]:
    """The windows of the convolutions' inputs, the first of the image, for one of the output."""
    levels: list[Level] = []
    start, length = origin, window
    for side, layer in zip(sides[-2::-1], convolutions[::-1], strict=True):
        kernel, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
        start = (start[0] * stride - padding, start[1] * stride - padding)
        length = (length - 1) * stride + kernel
        line = torch.arange(length)
        rows, cols = ((at + line >= 0) & (at + line < side) for at in start)
        inside = (rows[:, None] & cols[None]).float()
        levels.append(Level(start, length, None if inside.all() else inside))
    return tuple(levels[::-1])


def _on(level: Level, device: torch.device) -> Level:
    inside = level.inside
    return Level(level.start, level.length, inside if inside is None else inside.to(device))


def _cut(maps: Tensor, start: tuple[int, int], length: int) -> Tensor:
    return maps[..., start[0] : start[0] + length, start[1] : start[1] + length]


def _parts(start: int, stop: int) -> Iterator[slice]:
    for first in range(start, stop, WINDOWS_AT_ONCE):
        yield slice(first, min(first + WINDOWS_AT_ONCE, stop))
