"""R models of one class that compute at once, their parameters stacked.

A `Stack` has the methods of a `GlimpseModel`; every tensor that it takes or gives has R as an
additional first dimension, and run r's part of the result depends on run r's parameters and inputs
alone. Any model is stacked by `torch.func.vmap`; an entry of `STACKS` does it with fewer and larger
operations.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from nogs_bench.network.contract import embeds
from nogs_bench.network.embedders import ConvEmbedder
from nogs_bench.randomness import seeded
from nogs_bench.registry import Registry
from nogs_bench.tasks import Task

RUNS, IMAGES = 2, 2  # of the trial that tells whether a model can be stacked


class Stack(nn.Module, ABC):
    """Base of all stacks.

    `members` is a copy of the first model that holds all parameters and buffers, each (R, ...)
    under its own name, and the mode (train or eval); it is never called as it is.
    """

    def __init__(self, models: Sequence[nn.Module]):
        super().__init__()
        self.members = _stacked(models)

    @abstractmethod
    def start(self, n: int) -> Tensor: ...

    @abstractmethod
    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor: ...

    @abstractmethod
    def locate(self, state: Tensor) -> Tensor: ...

    @abstractmethod
    def classify(self, state: Tensor) -> Tensor: ...

    def tape(self, side: int) -> Any:
        """What looks at glimpses of `side` pixels one after another, if not the stack itself.

        It has `look` as the stack has, but without a gradient; `states(last)` then gives the state
        before each glimpse and the `last`, with the gradient of all that was seen. Here None.
        """
        return None


@contextmanager
def plain_attention() -> Iterator[None]:
    """Compute attention by matrix products, which vmap has rules for and which can be counted, and
    not by PyTorch's fused operations."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class MappedStack(Stack):
    """Any model, by `vmap`. Randomness inside the model is refused: it would be shared."""

    def __init__(self, models: Sequence[nn.Module]):
        super().__init__(models)
        for module in self.members.modules():
            if type(module) in FORWARDS:
                module.forward = MethodType(FORWARDS[type(module)], module)
        self._call = _Call(self.members)
        if embeds(models[0]):
            self.embed = lambda patch, location: self._map("embed", patch, location)
            self.step = lambda state, embedding: self._map("step", state, embedding)

    def start(self, n: int) -> Tensor:
        return self._map("start", n=n)

    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor:
        return self._map("look", state, patch, location)

    def locate(self, state: Tensor) -> Tensor:
        return self._map("locate", state)

    def classify(self, state: Tensor) -> Tensor:
        return self._map("classify", state)

    def _map(self, method: str, *tensors: Tensor, **options: Any) -> Tensor:
        def alone(held: dict[str, Tensor], *arguments: Tensor) -> Tensor:
            return functional_call(self._call, held, (method, *arguments), options)

        held = {f"model.{name}": value for name, value in _held(self.members).items()}
        with plain_attention():
            return vmap(alone, randomness="error")(held, *tensors)


def _conv_embedder(self: ConvEmbedder, patch: Tensor) -> Tensor:
    """`forward` without the memory layout that vmap does not know."""
    return self.linear(self.features(patch).flatten(1))


def _gru_cell(self: nn.GRUCell, x: Tensor, state: Tensor | None = None) -> Tensor:
    """`forward` in operations that vmap has rules for."""
    state = x.new_zeros(len(x), self.hidden_size) if state is None else state
    given = functional.linear(x, self.weight_ih, self.bias_ih)
    kept = functional.linear(state, self.weight_hh, self.bias_hh)
    (r, u, new), (kept_r, kept_u, kept_new) = given.chunk(3, -1), kept.chunk(3, -1)
    update = torch.sigmoid(u + kept_u)
    new = torch.tanh(new + torch.sigmoid(r + kept_r) * kept_new)
    return new + update * (state - new)


# Modules that vmap does not map as they are, and the same computation in a way that it does.
FORWARDS: dict[type[nn.Module], Callable[..., Tensor]] = {
    ConvEmbedder: _conv_embedder,
    nn.GRUCell: _gru_cell,
}


class _Call(nn.Module):
    """Lets `functional_call` reach any method."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, method: str, *tensors: Tensor, **options: Any) -> Tensor:
        return getattr(self.model, method)(*tensors, **options)


# (models of one class) -> their stack, or None where it does not fit them
StackFactory = Callable[[Sequence[nn.Module]], Stack | None]
STACKS: Registry[StackFactory] = Registry("stack", group="nogs_bench.stacks")


def stack(models: Sequence[nn.Module]) -> Stack:
    """The stack of models of one class and task; they are left as they are."""
    made = (make(models) for make in STACKS)
    return next((found for found in made if found is not None), None) or MappedStack(models)


def unstack(stacked: Stack, models: Sequence[nn.Module]) -> None:
    """Give each of the models its part of a stack's parameters and buffers."""
    for run, model in enumerate(models):
        model.load_state_dict(part_of(stacked.members.state_dict(), run))


def joint(tensors: Sequence[Tensor], model: Any, dim: int = 0) -> Tensor:
    """One tensor for each run, as `model` takes them: (R, ...) for a stack, with R as dimension
    `dim`; else the only one."""
    return torch.stack(list(tensors), dim) if isinstance(model, Stack) else tensors[0]


def pick(table: Tensor, rows: Tensor) -> Tensor:
    """Rows int64 ([R,] n) of each run's own table ([R,] N, ...): ([R,] n, ...)."""
    if rows.dim() == 1:
        return table.index_select(0, rows)
    begin = torch.arange(len(table), device=rows.device)[:, None] * table.shape[1]
    flat = table.flatten(0, 1).index_select(0, (rows + begin).flatten())
    return flat.view(*rows.shape, *table.shape[2:])


def part_of(state: Any, run: int, shared: Sequence[str] = ()) -> Any:
    """Run `run`'s part of a nested state whose tensors begin with R, but for keys in `shared`."""
    if isinstance(state, Tensor):
        return state[run]
    if isinstance(state, Mapping):
        return {
            key: value if key in shared else part_of(value, run, shared)
            for key, value in state.items()
        }
    return state


def whole_of(states: Sequence[Any], shared: Sequence[str] = ()) -> Any:
    """The state that `part_of` divided."""
    first = states[0]
    if isinstance(first, Tensor):
        return torch.stack(list(states))
    if isinstance(first, Mapping):
        return {
            key: value if key in shared else whole_of([state[key] for state in states], shared)
            for key, value in first.items()
        }
    return first


def why_not(create: Callable[[int], nn.Module], task: Task) -> str | None:
    """Why models made by `create(seed)` cannot be stacked, in a few words; None if they can.

    Two of them are tried, alone and stacked, in train and in eval mode.
    """
    models = [create(seed) for seed in range(RUNS)]
    for parameter in (p for model in models for p in model.parameters()):
        parameter.requires_grad_(parameter.is_floating_point())
    generator = torch.Generator().manual_seed(0)
    size = task.grid.glimpse_size
    patch = torch.rand(RUNS, IMAGES, task.channels, size, size, generator=generator)
    location = torch.rand(RUNS, IMAGES, 2, generator=generator) * 2 - 1
    for training in (True, False):
        alone = [copy.deepcopy(model).train(training) for model in models]
        try:
            together = stack(models).train(training)
            found = _trial(together, patch, location)
        except Exception as error:
            return " ".join(str(error).split())[:200] or repr(error)
        expected = [_trial(m, p, x) for m, p, x in zip(alone, patch, location, strict=True)]
        for run, own in enumerate(expected):
            for method, value in own.items():
                if not torch.allclose(found[method][run], value, rtol=1e-3, atol=1e-4):
                    return f"{method} gives another result when runs are computed together"
        for run, model in enumerate(alone):
            for name, value in model.state_dict().items():
                if not torch.allclose(together.members.state_dict()[name][run], value, atol=1e-4):
                    return f"it changes {name} when it is called"
    return None


def _trial(model: Any, patch: Tensor, location: Tensor) -> dict[str, Tensor]:
    with seeded(0):
        state = model.look(model.start(IMAGES), patch, location)
        outcome = {"look": state, "locate": model.locate(state), "classify": model.classify(state)}
        sum(value.sum() for value in outcome.values()).backward()
    return {name: value.detach() for name, value in outcome.items()}


def _stacked(models: Sequence[nn.Module]) -> nn.Module:
    whole = copy.deepcopy(models[0])
    held = [_held(model) for model in models]
    for name in held[0]:
        path, _, leaf = name.rpartition(".")
        value = torch.stack([own[name].detach() for own in held])
        owner = whole.get_submodule(path)
        if leaf in owner._parameters:
            needed = owner._parameters[leaf].requires_grad  # type: ignore[union-attr]
            owner._parameters[leaf] = nn.Parameter(value, requires_grad=needed)
        else:
            owner._buffers[leaf] = value
    return whole


def _held(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, each once."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
