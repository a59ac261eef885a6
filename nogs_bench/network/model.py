"""What a model must be, the paper's own, and how one is named, loaded and checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from nogs_bench.errors import NogsError, place_of
from nogs_bench.network.contract import check_model, reached
from nogs_bench.network.embedders import make_embedder
from nogs_bench.randomness import seeded
from nogs_bench.registry import Registry, load_object, source_digest
from nogs_bench.tasks import Task


@runtime_checkable
class GlimpseModel(Protocol):
    """An `nn.Module` that classifies from glimpses. Its class is called with the `Task`.

    The state is a float tensor (n, ...). A model may also have `embed(patch, location)` and
    `step(state, embedding)` with look = step of embed: the trainer then embeds all glimpses of a
    known sequence in one call.
    """

    def start(self, n: int) -> Tensor:
        """The state of n images before any glimpse."""
        ...

    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor:
        """The state after a glimpse.

        `patch`: float (n, channels, g, g) in 0..1; `location`: float (n, 2), (row, col) of its
        centre from -1 to 1.
        """
        ...

    def locate(self, state: Tensor) -> Tensor:
        """Logits (n, cells) of where to look next; a function of the state alone."""
        ...

    def classify(self, state: Tensor) -> Tensor:
        """Logits (n, classes)."""
        ...


MODELS: Registry[Callable[[Task], nn.Module]] = Registry("model", group="nogs_bench.models")


@MODELS.register("reference")
class HardAttentionNet(nn.Module):
    """The network of figure 1: GRU core, location network, glimpse embedder, classifier.

    Sizes and embedder are the task's `training` (appendix B.4). The glimpse's embedding and its
    location's are added, then ReLU. The initial state is learned.
    """

    def __init__(self, task: Task):
        super().__init__()
        units, inner = task.training.hidden, task.training.location_hidden
        self.initial = nn.Parameter(torch.zeros(units))
        self.glimpse = make_embedder(task.training.embedder, task, units)
        self.location = nn.Linear(2, units)
        self.core = nn.GRUCell(units, units)
        self.locator = nn.Sequential(
            nn.Linear(units, inner), nn.ReLU(), nn.Linear(inner, task.grid.cells)
        )
        self.classifier = nn.Linear(units, len(task.classes))

    def start(self, n: int) -> Tensor:
        return self.initial.expand(n, -1)

    def embed(self, patch: Tensor, location: Tensor) -> Tensor:
        """float (n, units) of patches and their locations, without the state."""
        return torch.relu(self.glimpse(patch) + self.location(location))

    def step(self, state: Tensor, embedding: Tensor) -> Tensor:
        """The state after a glimpse with this embedding."""
        return self.core(embedding, state)

    def look(self, state: Tensor, patch: Tensor, location: Tensor) -> Tensor:
        return self.step(state, self.embed(patch, location))

    def locate(self, state: Tensor) -> Tensor:
        return self.locator(state)

    def classify(self, state: Tensor) -> Tensor:
        return self.classifier(state)


@dataclass(frozen=True)
class ModelSource:
    """A model class: `name` as results call it, and the sha256 of the source it comes from, with
    all modules that this imports and that no package installs (`registry.source_digest`)."""

    name: str
    digest: str
    create: Callable[[Task], nn.Module]

    def build(self, task: Task, seed: int) -> nn.Module:
        """A model with initial weights from `seed`, checked. Raises `NogsError` if it is unfit."""
        with seeded(seed):
            try:
                model = self.create(task)
            except NogsError:
                raise
            except Exception as error:
                raise NogsError(f"model {self.name} could not be made{place_of(error)}") from error
            check_model(model, task, self.name)
        return model


def load_model(spec: str) -> ModelSource:
    """The registered model `spec`, or the class that `FILE.py:NAME` defines."""
    if ":" not in spec:
        model = MODELS[spec]
        files = (inspect.getfile(part) for part in (model, make_embedder))
        return ModelSource(spec, source_digest(*files), model)
    file, _, name = spec.rpartition(":")
    model = load_object(spec, "model")
    if not callable(model):
        raise NogsError(f"{spec} is a {type(model).__name__}, not a model class")
    return ModelSource(name, source_digest(file), model)


def location_parameters(model: nn.Module, task: Task) -> set[str]:
    """Names of the parameters that `locate` of a detached state depends on: the location network.

    The model is left in eval mode. Raises `NogsError` if there are none, or if `classify` depends
    on one of them too.
    """
    size = task.grid.glimpse_size
    patch = torch.zeros(2, task.channels, size, size)
    model.eval()
    with torch.no_grad():
        state = model.look(model.start(2), patch, torch.zeros(2, 2))  # type: ignore[operator]
    found = {method: reached(model, method, state) for method in ("locate", "classify")}
    shared = sorted(found["locate"] & found["classify"])
    if shared or not found["locate"]:
        fault = f"shares {shared[0]} with classify" if shared else "has no parameters of its own"
        raise NogsError(
            f"model {type(model).__name__}: locate {fault}; the pretrained protocol, which trains "
            "the location network alone, needs it apart"
        )
    return found["locate"]
