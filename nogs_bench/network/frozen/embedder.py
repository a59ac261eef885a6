"""Another embedder's features as they are, and the weights of embedders that no seed decides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from nogs_bench.errors import NogsError
from nogs_bench.files import digest_json
from nogs_bench.network.embedders import EMBEDDERS, make_embedder
from nogs_bench.network.model import HardAttentionNet
from nogs_bench.own_code import joint_digest
from nogs_bench.randomness import seeded
from nogs_bench.tasks import Task

NAME, LAST = "frozen", "linear"
UNITS = 2  # of the inner embedder's last layer, which is left out
SEEDS = (0, 1)
TOLERANCE = 1e-4


def is_frozen(spec: str) -> bool:
    """Whether the embedder of that name is `frozen:SPEC`."""
    return spec.partition(":")[0] == NAME


def unfrozen(spec: str) -> str:
    """SPEC of `frozen:SPEC`; another embedder's specification as it is."""
    return spec.removeprefix(f"{NAME}:")


class FrozenNetwork:
    """What stays as it is: always in eval mode, without gradients, and no part of a module's state.

    - `width`: how many features it makes of a glimpse.
    - `digest`: sha256 of what decides the features: the specification, the user's own code, the
      shape of glimpses, the weights and what else the network holds.
    """

    def __init__(self, network: nn.Module, width: int, digest: str):
        self.network = network.eval().requires_grad_(False)
        self.width, self.digest = width, digest

    @torch.no_grad()
    def __call__(self, patch: Tensor) -> Tensor:
        """float32 (n, width) of patches float (n, c, g, g), rounded to float16 as a table is."""
        return self.network.to(patch.device)(patch).half().float()

    def __deepcopy__(self, memo: Any) -> FrozenNetwork:
        return self


# By digest: the models of a process that look through the same network share it.
_SHARED: WeakValueDictionary[str, FrozenNetwork] = WeakValueDictionary()


@EMBEDDERS.register(NAME)
class FrozenEmbedder(nn.Module):
    """The features of another embedder, which are never trained, then a linear layer.

    `frozen:SPEC`, such as `frozen:timm:NAME@FILE.safetensors`. SPEC is an embedder whose last layer
    is called `linear`, which a new one replaces; all its other weights must come from somewhere.
    They are read from there whenever the network is made, and are not kept with trained weights.

    It takes patches float (n, c, g, g), or the features float (n, width) that `network` has made
    of them. Raises `NogsError` if SPEC cannot be frozen.
    """

    def __init__(self, task: Task, units: int, argument: str):
        super().__init__()
        self.network = _frozen_network(argument, task)
        self.linear = nn.Linear(self.network.width, units)

    def forward(self, seen: Tensor) -> Tensor:
        return self.linear(seen if seen.dim() == 2 else self.network(seen))


def frozen_network(model: object) -> FrozenNetwork | None:
    """What a reference network looks through, if it is frozen; None for other models."""
    embedder = model.glimpse if type(model) is HardAttentionNet else None
    return embedder.network if isinstance(embedder, FrozenEmbedder) else None


def frozen_parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters that a model looks through and does not hold as its own."""
    for module in model.modules():
        if isinstance(module, FrozenEmbedder):
            yield from module.network.network.parameters()


def weights_digest(task: Task) -> str | None:
    """sha256 of the weights that the task's embedder starts from; None if they are all random.

    Weights are random if they are not the same with every seed. Those whose numbers are all equal,
    as a new normalisation's, do not count.
    """
    fixed, _ = _weights(_made(unfrozen(task.training.embedder), task))
    known = {name: value for name, value in fixed.items() if (value != value.flatten()[0]).any()}
    return _digest(known) if known else None


def _frozen_network(spec: str, task: Task) -> FrozenNetwork:
    embedders = _made(spec, task)
    fixed, random = _weights(embedders)
    random = [name for name in random if not name.startswith(f"{LAST}.")]
    if random or not fixed:
        raise NogsError(
            f"embedder {NAME}:{spec} cannot be frozen: it starts from random weights "
            f"({random[0] if random else LAST}); give it weights, as "
            f"{NAME}:timm:NAME@FILE.safetensors"
        )
    inner = embedders[0].eval()
    width = _without_last(inner, spec, task)
    code = joint_digest("", EMBEDDERS[spec.partition(":")[0]])
    held = _digest(fixed | dict(inner.named_buffers()))  # not all buffers are in the state
    digest = digest_json([spec, code, task.channels, task.glimpse_size, held])
    return _SHARED.setdefault(digest, FrozenNetwork(inner, width, digest))


def _made(spec: str, task: Task) -> list[nn.Module]:
    """The embedder that `spec` names, made with each of `SEEDS`."""
    found = []
    for seed in SEEDS:
        with seeded(seed):
            found.append(make_embedder(spec, task, UNITS))
    return found


def _weights(embedders: list[nn.Module]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors that are the same in all embedders, and the names of the others."""
    first, *others = (embedder.state_dict() for embedder in embedders)
    same = {
        name: value
        for name, value in first.items()
        if value.numel() and all(torch.equal(value, other[name]) for other in others)
    }
    return same, [name for name in first if name not in same]


def _without_last(embedder: Any, spec: str, task: Task) -> int:
    """Take the last layer from an embedder; the number of its inputs."""
    fault = NogsError(
        f"embedder {NAME}:{spec} cannot be frozen: its last layer must be a torch nn.Linear, "
        f"called {LAST}"
    )
    last = getattr(embedder, LAST, None)
    if not isinstance(last, nn.Linear):
        raise fault
    patch = torch.rand(2, task.channels, task.glimpse_size, task.glimpse_size)
    with torch.no_grad():
        whole = embedder(patch)
        setattr(embedder, LAST, nn.Identity())
        features = embedder(patch)
        fits = features.shape == (2, last.in_features)
        if not fits or not torch.allclose(last(features), whole, TOLERANCE, TOLERANCE):
            raise fault
    return last.in_features


def _digest(weights: dict[str, Tensor]) -> str:
    state = hashlib.sha256()
    for name, value in sorted(weights.items()):
        state.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        state.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return state.hexdigest()
