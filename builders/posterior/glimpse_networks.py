"""What stands between glimpses and logits: masked images, or networks that see glimpses alone.

Every network behind the posterior maps images and the cells that are seen to logits. Those of
`AVP_NETWORKS` see the masked image, as the paper's; those of `GLIMPSE_NETWORKS` see a set of
glimpses. `GLIMPSE_NETWORKS[name](grid, channels, outputs, argument)` makes one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nogs_bench.builders.posterior.networks import AVP_NETWORKS, fused, make_network
from nogs_bench.builders.posterior.observed_windows import ObservedWindows
from nogs_bench.builders.posterior.windows import Windows
from nogs_bench.errors import NogsError
from nogs_bench.own_code import joint_digest
from nogs_bench.registry import Registry, nearest
from nogs_bench.tasks import GlimpseGrid

PAIRS_AT_ONCE = 512

Embed = Callable[[Tensor, Tensor], Tensor]
"""Glimpses of completions `rows` at `cells`, both int64 (m,), as float (m, ...)."""


class PreparedLogits(Protocol):
    """A step's completions, with all that their candidates share computed once.

    `pairs_at_once`: how many candidates it is best asked about together.
    """

    @property
    def pairs_at_once(self) -> int: ...

    def logits(self, rows: Tensor, cells: Tensor) -> Tensor:
        """float (m, outputs): completion `rows[i]` after its prefix and one more at `cells[i]`."""
        ...


class GlimpseNetwork(Protocol):
    """Logits of images seen at cells. Its order does not matter, nor does a cell seen twice.

    One for which embedding glimpses is most of the work may have `embed(images, rows, cells)`,
    float (m, width) of glimpses at images `rows`, and `prepare_embedded(embed, prefix)`, as
    `prepare` but given an `Embed`: see `EmbeddedBank`.
    """

    def __call__(self, images: Tensor, cells: Tensor, t: Tensor | None = None) -> Tensor:
        """float (n, outputs) of uint8 (n, channels, s, s), int64 (n, T) cells, and int64 (n,), how
        many of an image's cells count (default: all)."""
        ...

    def prepare(
        self, images: Tensor, prefix: Tensor, observed: Tensor | None = None
    ) -> PreparedLogits:
        """For candidates after `prefix`, int64 (n, t - 1) with t >= 1, of images as above.

        `observed`: the annotated image of each, if `images` show its pixels at the prefix.
        """
        ...

    def freeze(self) -> None:
        """Only predictions from now on: whatever makes them quicker may be done."""
        ...


GLIMPSE_NETWORKS: Registry[Callable[[GlimpseGrid, int, int, str], nn.Module]] = Registry(
    "AVP network over glimpses", group="nogs_bench.glimpse_networks"
)


def check_network(spec: str) -> None:
    """Raise `NogsError` unless `spec`, `NAME` or `NAME:ARGUMENT`, begins with a network's name."""
    name = spec.partition(":")[0]
    names = [*AVP_NETWORKS.names(), *GLIMPSE_NETWORKS.names()]
    if name not in names:
        near = nearest(name, names)
        raise NogsError(f"unknown AVP network {name!r}: {near}known are {', '.join(names)}")


def network_code(*specs: str) -> dict[str, str]:
    """`network_code`: the digest of the user's files that define the networks which `specs` name;
    nothing if they are this package's."""
    names = {spec.partition(":")[0] for spec in specs}
    registries: tuple[Registry[Any], ...] = (GLIMPSE_NETWORKS, AVP_NETWORKS)
    made_by = [each[name] for each in registries for name in sorted(names & {*each.names()})]
    code = joint_digest("", *made_by)
    return {"network_code": code} if code else {}


def make_glimpse_network(
    spec: str, grid: GlimpseGrid, channels: int, outputs: int, weights: bool = True
) -> Any:
    """The `GlimpseNetwork` that `spec` names, in `GLIMPSE_NETWORKS` or else `AVP_NETWORKS`."""
    name, _, argument = spec.partition(":")
    registry = GLIMPSE_NETWORKS
    if name in registry.names():
        argument = argument if weights else argument.partition("@")[0]
        return registry[name](grid, channels, outputs, argument)
    network = make_network(spec, channels, grid.image_size, outputs, weights)
    return MaskedImage(network, grid)


class MaskedImage(nn.Module):
    """The paper's input: the image, 0 where it was not seen, beside the mask of what was.

    Once frozen, a network that `Windows` fits answers for candidates by their windows alone.
    """

    masks: Tensor

    def __init__(self, network: nn.Module, grid: GlimpseGrid):
        super().__init__()
        self.layers = network.to(memory_format=torch.channels_last)
        self.grid = grid
        self.windows: Windows | None = None
        self.register_buffer("masks", torch.from_numpy(grid.masks), persistent=False)

    def forward(self, images: Tensor, cells: Tensor, t: Tensor | None = None) -> Tensor:
        seen = visible(self.masks, cells, t)[:, None].float()
        masked = torch.cat([images.float().mul_(seen).div_(255), seen], dim=1)
        return self.layers(masked.contiguous(memory_format=torch.channels_last))

    def prepare(
        self, images: Tensor, prefix: Tensor, observed: Tensor | None = None
    ) -> PreparedLogits:
        # Windows are sorted by where they lie, for which an accelerator would have to wait.
        windows = self.windows if images.device.type == "cpu" else None
        if windows is not None and observed is not None:
            first, owner = _runs(observed, prefix)
            seen = visible(self.masks, prefix[first])
            return ObservedWindows(windows, images, owner, observed[first], seen)
        if windows is not None:
            return windows.prepare(images, prefix)
        return _PreparedImages(self, images.float().div_(255), visible(self.masks, prefix))

    def freeze(self) -> None:
        self.layers = fused(self.layers)
        if Windows.fits(self.layers):
            self.windows = Windows(self.layers, self.grid)


class _PreparedImages:
    """Completions and what their prefixes show, for networks that are asked as a whole."""

    pairs_at_once = PAIRS_AT_ONCE

    def __init__(self, network: MaskedImage, shown: Tensor, seen: Tensor):
        self.network, self.shown, self.seen = network, shown, seen

    def logits(self, rows: Tensor, cells: Tensor) -> Tensor:
        seen = (self.seen[rows] | self.network.masks[cells])[:, None].to(self.shown.dtype)
        masked = torch.cat([self.shown[rows] * seen, seen], dim=1)
        return self.network.layers(masked.contiguous(memory_format=torch.channels_last))


def _runs(images: Tensor, prefix: Tensor) -> tuple[Tensor, Tensor]:
    """Rows that show the same as the one before them: int64 (k,), where each run of such begins,
    and int64 (n,), which run a row is of."""
    new = (images[1:] != images[:-1]).flatten(1).any(1) | (prefix[1:] != prefix[:-1]).any(1)
    owner = torch.cat([new.new_zeros(1), new]).cumsum(0)
    return torch.cat([owner.new_zeros(1), new.nonzero()[:, 0] + 1]), owner


def visible(masks: Tensor, cells: Tensor, t: Tensor | None = None) -> Tensor:
    """bool (n, s, s): what is seen at cells, int64 (n, T), or the first `t` of each row."""
    seen = masks.new_zeros((len(cells), *masks.shape[1:]))
    for step in range(cells.shape[1]):
        mask = masks[cells[:, step]]
        seen |= mask if t is None else mask & (step < t)[:, None, None]
    return seen


class PreparedGlimpses:
    """Completions whose prefixes are embedded once; implements `PreparedLogits`.

    - `network`: has `conclude(embedded, counted)`, float (n, outputs) of what was embedded of n
      sequences, (n, t, ...), of which those count that bool (n, t) says.
    - `embed`: gives float (m, ...), a glimpse of each of m completions, `rows`, at `cells`.
    - `prefix`: as of `prepare`. - `pairs_at_once`: as of `PreparedLogits`.
    """

    def __init__(self, network: Any, embed: Embed, prefix: Tensor, pairs_at_once: int):
        self.network, self.embed, self.prefix = network, embed, prefix
        self.pairs_at_once = pairs_at_once
        n, steps = prefix.shape
        rows = torch.arange(n, device=prefix.device).repeat_interleave(steps)
        self.embedded = embed(rows, prefix.flatten()).unflatten(0, (n, steps))

    def logits(self, rows: Tensor, cells: Tensor) -> Tensor:
        """float (m, outputs) of completions `rows` after one more glimpse at `cells`."""
        last = self.embed(rows, cells)[:, None]
        taken = torch.cat([self.prefix[rows], cells[:, None]], dim=1)
        answer: Tensor = self.network.conclude(
            torch.cat([self.embedded[rows], last], dim=1), counts(taken)
        )
        return answer


def counts(cells: Tensor, t: Tensor | None = None) -> Tensor:
    """bool (n, T): which of a row's cells, or of its first `t`, were not there before."""
    same = cells[:, :, None] == cells[:, None]
    new = ~same.tril(-1).any(2)
    if t is None:
        return new
    return new & (torch.arange(cells.shape[1], device=cells.device) < t[:, None])
