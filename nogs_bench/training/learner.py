"""What is trained: the networks of the runs that are trained together, their data and their loss.

Such runs have R as an additional first dimension, `[R,]` in comments; each has its own batches,
randomness and parameters. Images stay uint8 on the device and only glimpses are read. Nothing in a
step waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nogs_bench.device import Repeated
from nogs_bench.methods import Method, Rows
from nogs_bench.network import (
    ImageTensors,
    MappedStack,
    follow,
    fovea_of,
    joint,
    location_parameters,
    log_probability,
    mirrored,
    pick,
    roll_out,
    stack,
    stacked_ops,
)
from nogs_bench.randomness import derive, seeded, torch_generator
from nogs_bench.sequences import Annotations
from nogs_bench.tasks import Task
from nogs_bench.training.batches import Draws, mixed_rows
from nogs_bench.training.known import known_glimpses
from nogs_bench.training.metrics import policy_classifier, predict
from nogs_bench.training.objectives import NOTHING, Lessons, Objectives
from nogs_bench.training.optimiser import adam, moments
from nogs_bench.training.runstate import Member
from nogs_bench.training.supervision import sequence_table, strengths


@dataclass(frozen=True)
class Run:
    """What a training needs to know of a run.

    - `task`: with the run's own `training`, where that differs from the registered one.
    - `frozen`: whether only location network and baseline train (protocol `pretrained`).
    - `key`: names the run; a checkpoint of another run is refused.
    """

    task: Task
    method: Method
    iterations: int
    seed: int
    frozen: bool
    key: str = ""


@dataclass(frozen=True)
class Trainee:
    """A run with what it is trained on; `model` is trained in place.

    `best` receives the weights of the least validation cross-entropy, if they are to be kept.
    `lessons`: what its method needs of the dataset beside the sequences; one object for all runs
    that have the same.
    """

    run: Run
    model: Any
    images: ImageTensors
    validation: ImageTensors
    annotations: Annotations | None = None
    best: dict[str, Tensor] = field(default_factory=dict)
    lessons: Lessons = NOTHING


@dataclass(frozen=True)
class Given:
    """A batch: row numbers int64 ([R,] n), glimpses of their sequences int64 ([R,] T, n) or -1, how
    strongly these supervise, and how far the training has come."""

    rows: Tensor
    fixed: Tensor
    strength: Tensor
    progress: Tensor


class Learner:
    """Networks, baseline and optimiser of the runs, and what they learn from.

    - `network`: computes all runs' models; `stacked`: whether it is a stack of them.
    - `known`: int64 ([R,] n), labels of the validation images.
    - `members`: each run's curve and randomness; `parts`: what a checkpoint keeps.
    """

    def __init__(self, trainees: Sequence[Trainee], stacked: bool):
        self.trainees = trainees
        self.runs, self.models = [t.run for t in trainees], [t.model for t in trainees]
        self.run, self.task = self.runs[0], self.runs[0].task
        self.settings = self.task.training
        self.device = trainees[0].images.images.device
        self._networks(stacked)
        self._data()

    def _networks(self, stacked: bool) -> None:
        """Network, baseline, and the optimiser of what is not frozen."""
        run = self.run
        names = location_parameters(self.models[0].cpu(), self.task) if run.frozen else None
        self.network, parameters = network_of(self.models, self.device, stacked)
        self.stacked = self.network is not parameters
        for name, parameter in parameters.named_parameters():
            wanted = names is None or name in names
            parameter.requires_grad_(parameter.requires_grad and wanted)  # frozen ones stay so
        trained = [parameter for parameter in parameters.parameters() if parameter.requires_grad]
        seeds = [r.seed for r in self.runs]
        self.baseline = Baseline(self.network, self.models, seeds).to(self.device)
        weights = [*trained, *self.baseline.parameters()]
        rates = [r.task.training.learning_rate for r in self.runs]
        self.optimiser = adam(weights, rates, self.stacked)
        self.parts: dict[str, Any] = {
            "model": parameters,
            "baseline": self.baseline,
            "optimiser": self.optimiser,
        }
        self.members = [
            Member(
                r.key,
                torch_generator(self.device, r.seed, "training"),
                r.key.rpartition("-")[0] or "the run",
            )
            for r in self.runs
        ]

    def _data(self) -> None:
        """Labels, sequences, and how strongly each iteration follows them."""
        task, network, trainees = self.task, self.network, self.trainees
        self.images = len(trainees[0].images.images)
        self.tables = [sequence_table(task, self.images, t.annotations) for t in trainees]
        self.sequences = joint(self.tables, network).to(self.device)
        self.labels = joint([t.images.labels for t in trainees], network)
        self.known = joint([t.validation.labels for t in trainees], network)
        methods, length = [run.method for run in self.runs], self.run.iterations
        self.strengths = strengths(methods, length, network).to(self.device)
        self.progress = torch.arange(length, device=self.device) / length
        self.objectives = Objectives(
            methods,
            [t.lessons for t in trainees],
            trainees[0].images.images,
        )
        batch = min(self.settings.batch_size, self.images)
        self.fovea = self._fovea(trainees[0].images, length * batch)
        self.turned = mirrored(fovea_of(task, replace(trainees[0].images, features=None)))
        held = trainees[0].validation
        points = 1 + length // self.settings.evaluation_period
        self.classify = policy_classifier(network, self._fovea(held, points * len(held)))

    def _fovea(self, images: ImageTensors, sequences: int) -> Any:
        """What shows the network the glimpses of so many sequences: embeddings, where these stay
        the same."""
        fovea = fovea_of(self.task, images)
        if not self.run.frozen or self.stacked:
            return fovea
        embedder, cells = self.settings.embedder, self.task.grid.cells
        asked = self.task.T * sequences
        return known_glimpses(fovea, self.network, embedder, len(images), cells, asked)

    def begin(self, start: int) -> None:
        """Make ready for iteration `start`."""
        size = min(self.settings.batch_size, self.images)
        batches = [
            mixed_rows(
                self.images,
                torch.nonzero(table[:, 0] >= 0)[:, 0],
                size,
                self.settings.supervised_share,
                r.seed,
                start,
            )
            for r, table in zip(self.runs, self.tables, strict=True)
        ]
        generators = [member.generator for member in self.members]
        shape = self.task.T, size
        self.draws = Draws(batches, generators, shape, self.network, self.device)
        self._repeated = Repeated(self._step, self._changed, self.device)

    def learn(self, iteration: int, until: int) -> None:
        """Do an iteration; what it draws, those up to `until` may draw with it."""
        self.draws.ahead(iteration, until)
        self._repeated()

    def validate(self) -> Tensor:
        """Class log-probabilities ([R,] n, classes) of the validation images."""
        fresh = [torch_generator(self.device, r.seed, "validation") for r in self.runs]
        return predict(self.network, self.classify, self.known.shape[-1], self.task.T, fresh)

    def _step(self) -> None:
        """What an iteration computes on the device; see `Repeated`.

        A batch is learned from by a step of the optimiser for each of the method's passes over it.
        """
        rows, uniform, iteration = self.draws.take()
        strength, progress = (
            each.index_select(0, iteration)[0] for each in (self.strengths, self.progress)
        )
        fixed = pick(self.sequences, rows).transpose(-1, -2)
        fixed = fixed.masked_fill(strength <= 0, -1)
        given = Given(rows, fixed, strength, progress)
        first, taken = None, fixed
        for number in range(self.objectives.passes):
            found = self.look(given, uniform, taken)
            loss = self.objectives(replace(found, first=first), rows)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            if number == 0 and self.objectives.passes > 1:
                first, taken = found.detached(), found.cells

    def _changed(self) -> list[Tensor]:
        """What a step changes. Frozen weights stay out: a recorded step goes on reading what was
        made of them, which is made anew, and elsewhere, once they are written to."""
        modules = self.parts["model"], self.baseline
        frozen = {p.data_ptr() for m in modules for p in m.parameters() if not p.requires_grad}
        held = [value for module in modules for value in module.state_dict().values()]
        learned = [value for value in held if value.data_ptr() not in frozen]
        return [*learned, *moments(self.optimiser), self.draws.place, self.draws.iteration]

    def look(self, given: Given, uniform: Tensor, taken: Tensor) -> Rows:
        """Let the networks look at a batch, at glimpses int64 ([R,] T, n) where they are not -1."""
        network, rows = self.network, given.rows
        with torch.set_grad_enabled(not self.run.frozen):
            rollout = roll_out(network, self.fovea, rows, uniform, taken, self.objectives.beliefs)
            turned = self._mirrored(rows, rollout.cells)
        states = torch.cat(rollout.states, dim=rows.dim() - 1)
        logits = network.locate(states if self.settings.location_gradient else states.detach())
        log_p_of = stacked_ops.log_probability if self.stacked else log_probability
        located = log_p_of(logits, rollout.cells.flatten(-2))
        expected = self.baseline(states.detach().flatten(rows.dim()))
        return Rows(
            labels=pick(self.labels, rows),
            supervised=given.fixed.select(-2, 0) >= 0,
            cells=rollout.cells,
            class_logits=rollout.class_logits,
            location_logits=logits.unflatten(-2, given.fixed.shape[-2:]),
            location_log_probability=located.view(given.fixed.shape),
            baseline=expected.view(given.fixed.shape),
            weight=self.settings.supervision_weight * given.strength,
            reduction=self.settings.supervision_reduction,
            progress=given.progress,
            beliefs=rollout.beliefs,
            mirrored=turned,
        )

    def _mirrored(self, rows: Tensor, cells: Tensor) -> Tensor | None:
        """What `Rows.mirrored` is, if a method asks for it."""
        if not self.objectives.mirrored:
            return None
        return follow(self.network, self.turned, rows, cells)


def network_of(models: Sequence[Any], device: torch.device, stacked: bool) -> tuple[Any, nn.Module]:
    """What computes all models on `device`, and the module that holds its parameters by name.

    Both are the only model itself, unless `stacked`; and where a stack of one would gain nothing.
    """
    network = stack(models).to(device) if stacked else None
    if network is None or (len(models) == 1 and isinstance(network, MappedStack)):
        (model,) = models
        for parameter in model.parameters():  # fused Adam steps memory as it lies
            if torch.empty_like(parameter).stride() != parameter.stride():
                parameter.data = parameter.data.contiguous()
        return model.to(device), model
    return network, network.members


class Baseline(nn.Module):
    """Appendix B.4: linear, from the detached, flattened state to the expected reward.

    `weight` float ([R,] 1, numbers in a state) and `bias` ([R,] 1), seeded by each run's seed.
    """

    def __init__(self, network: Any, models: Sequence[Any], seeds: Sequence[int]):
        super().__init__()
        layers = []
        for model, seed in zip(models, seeds, strict=True):
            with seeded(derive(seed, "baseline")), torch.no_grad():
                layers.append(nn.Linear(model.start(1).numel(), 1))
        self.weight = nn.Parameter(joint([layer.weight.detach() for layer in layers], network))
        self.bias = nn.Parameter(joint([layer.bias.detach() for layer in layers], network))

    def forward(self, states: Tensor) -> Tensor:
        """float ([R,] n, 1) of states ([R,] n, numbers in a state)."""
        if states.dim() == 2:
            return functional.linear(states, self.weight, self.bias)
        # A product with one column is rounded otherwise when R is 1.
        return ((states * self.weight).sum(-1) + self.bias).unsqueeze(-1)
