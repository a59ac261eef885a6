"""Training hard-attention networks: one loop for every method and protocol, for one run or many.

Runs that are trained together have R as an additional first dimension, `[R,]` in comments; each has
its own batches, randomness and parameters. Images stay uint8 on the device and only glimpses are
read. Nothing in a step waits for the device. A run is a function of its arguments alone:
interrupted and resumed, it gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nogs_bench.network import (
    ImageTensors,
    MappedStack,
    fovea_of,
    joint,
    location_parameters,
    log_probability,
    pick,
    roll_out,
    stack,
    stacked_ops,
    unstack,
)
from nogs_bench.randomness import derive, torch_generator
from nogs_bench.results import Point
from nogs_bench.sequences import Annotations
from nogs_bench.tasks import Task
from nogs_bench.training.batches import mixed_rows
from nogs_bench.training.losses import Rows, partially_supervised_loss
from nogs_bench.training.methods import Method
from nogs_bench.training.metrics import policy_classifier, predict
from nogs_bench.training.optimiser import adam
from nogs_bench.training.runstate import Member, RunState

REPORT_EVERY = 50

# (iterations done, a few words) -> None
Report = Callable[[int, str], None]


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
    """A run with what it is trained on; `model` is trained in place."""

    run: Run
    model: Any
    images: ImageTensors
    validation: ImageTensors
    annotations: Annotations | None = None


def train(
    run: Run,
    model: Any,
    images: ImageTensors,
    validation: ImageTensors,
    annotations: Annotations | None = None,
    checkpoint: Path | None = None,
    report: Report = lambda done, note: None,
) -> tuple[tuple[Point, ...], float]:
    """Train `model`, in place, on the device that `images` are on.

    Returns the validation curve (iteration 0 included, then every `evaluation_period` and the
    last) and the seconds it took, earlier parts included if `checkpoint` holds any. Raises
    `NogsError` if the loss stops being finite or the checkpoint is not this run's.
    """
    trainee = Trainee(run, model, images, validation, annotations)
    curves, seconds = train_together([trainee], checkpoint, report, stacked=False)
    return curves[0], seconds


def train_together(
    trainees: Sequence[Trainee],
    checkpoint: Path | None = None,
    report: Report = lambda done, note: None,
    earlier: Path | None = None,
    stacked: bool = True,
) -> tuple[list[tuple[Point, ...]], float]:
    """As `train`, R runs at once; returns the curve of each, and each one's share of the seconds.

    The runs may differ in seed, method, annotations, labels and initial weights; models are of one
    class, images and all else are the same. `earlier` is a checkpoint to go on from where
    `checkpoint` is not there. They are computed by the models' `stack`; a single one, if not
    `stacked`, by the model as it is.
    """
    runs, models = [t.run for t in trainees], [t.model for t in trainees]
    run, task, settings = runs[0], runs[0].task, runs[0].task.training
    pixels = trainees[0].images.images
    device = pixels.device
    names = location_parameters(models[0].cpu(), task) if run.frozen else None
    network, parameters = network_of(models, device, stacked)
    stacked = network is not parameters
    for name, parameter in parameters.named_parameters():
        parameter.requires_grad_(names is None or name in names)
    trained = [parameter for parameter in parameters.parameters() if parameter.requires_grad]
    baseline = Baseline(network, models, [r.seed for r in runs]).to(device)
    optimiser = adam([*trained, *baseline.parameters()], settings.learning_rate, stacked)
    generators = [torch_generator(device, r.seed, "training") for r in runs]
    tables = [sequence_table(task, len(pixels), t.annotations).to(device) for t in trainees]
    sequences, labels = joint(tables, network), joint([t.images.labels for t in trainees], network)
    known = joint([t.validation.labels for t in trainees], network)
    strengths = _strengths(runs, network).to(device)
    fovea = fovea_of(task, trainees[0].images)
    classify = policy_classifier(network, fovea_of(task, trainees[0].validation))
    log_p_of = stacked_ops.log_probability if stacked else log_probability
    members = [Member(r.key, g) for r, g in zip(runs, generators, strict=True)]
    parts = {"model": parameters, "baseline": baseline, "optimiser": optimiser}
    progress = RunState(members, run.seed, parts, checkpoint, earlier, stacked)

    with progress.own_randomness():
        progress.resume()
        batches = [
            mixed_rows(
                len(pixels),
                torch.nonzero(table[:, 0] >= 0)[:, 0],
                settings.batch_size,
                settings.supervised_share,
                r.seed,
                progress.iteration,
            )
            for r, table in zip(runs, tables, strict=True)
        ]
        for iteration in range(progress.iteration, run.iterations + 1):
            last = iteration == run.iterations
            if last or iteration % settings.evaluation_period == 0:
                fresh = [torch_generator(device, r.seed, "validation") for r in runs]
                log_p = predict(network, classify, known.shape[-1], task.T, fresh)
                accuracy = progress.record(iteration, log_p, known).mean()
                report(iteration, f"accuracy {accuracy:.3f}")
                network.train(not run.frozen)
                progress.save_if_due()
            if last:
                break
            if iteration % REPORT_EVERY == 0:
                report(iteration, "")

            rows = joint([next(own) for own in batches], network)
            strength = strengths[iteration]
            fixed = pick(sequences, rows).transpose(-1, -2)
            fixed = torch.where(strength > 0, fixed, -1)
            shape = fixed.shape[-2:]
            each = [torch.rand(shape, generator=g, device=device) for g in generators]
            uniform = joint(each, network)
            with torch.set_grad_enabled(not run.frozen):
                rollout = roll_out(network, fovea, rows, uniform, fixed)
            states = torch.cat(rollout.states, dim=rows.dim() - 1)
            seen = states if settings.location_gradient else states.detach()
            located = log_p_of(network.locate(seen), rollout.cells.flatten(-2))
            expected = baseline(states.detach().flatten(rows.dim()))
            loss = partially_supervised_loss(
                Rows(
                    labels=pick(labels, rows),
                    supervised=fixed.select(-2, 0) >= 0,
                    class_logits=rollout.class_logits,
                    location_log_probability=located.view(fixed.shape),
                    baseline=expected.view(fixed.shape),
                ),
                settings.supervision_weight * strength,
                settings.supervision_reduction,
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    if stacked:
        unstack(network, models)
    return [tuple(member.curve) for member in members], progress.seconds()


def network_of(models: Sequence[Any], device: torch.device, stacked: bool) -> tuple[Any, nn.Module]:
    """What computes all models on `device`, and the module that holds its parameters by name.

    Both are the only model itself, unless `stacked`; and where a stack of one would gain nothing.
    """
    network = stack(models).to(device) if stacked else None
    if network is None or (len(models) == 1 and isinstance(network, MappedStack)):
        (model,) = models
        return model.to(device), model
    return network, network.members


def sequence_table(task: Task, images: int, annotations: Annotations | None) -> Tensor:
    """int64 (images, T): the location indices of each image's sequence, -1 where it has none."""
    table = torch.full((images, task.T), -1, dtype=torch.int64)
    if annotations is not None:
        cells = task.grid.pixel_to_index(annotations.glimpses)
        table[torch.from_numpy(annotations.index)] = torch.from_numpy(cells)
    return table


def _strengths(runs: Sequence[Run], network: Any) -> Tensor:
    """float (iterations, [R, 1, 1]): how strongly each run is supervised at each iteration."""
    length = runs[0].iterations
    each = [torch.tensor([r.method.schedule(i, length) for i in range(length)]) for r in runs]
    strengths = joint(each, network)
    return strengths if strengths.dim() == 1 else strengths.T[..., None, None].contiguous()


class Baseline(nn.Module):
    """Appendix B.4: linear, from the detached, flattened state to the expected reward.

    `weight` float ([R,] 1, numbers in a state) and `bias` ([R,] 1), seeded by each run's seed.
    """

    def __init__(self, network: Any, models: Sequence[Any], seeds: Sequence[int]):
        super().__init__()
        layers = []
        for model, seed in zip(models, seeds, strict=True):
            with torch.random.fork_rng(), torch.no_grad():
                torch.manual_seed(derive(seed, "baseline"))
                layers.append(nn.Linear(model.start(1).numel(), 1))
        self.weight = nn.Parameter(joint([layer.weight.detach() for layer in layers], network))
        self.bias = nn.Parameter(joint([layer.bias.detach() for layer in layers], network))

    def forward(self, states: Tensor) -> Tensor:
        """float ([R,] n, 1) of states ([R,] n, numbers in a state)."""
        if states.dim() == 2:
            return functional.linear(states, self.weight, self.bias)
        # A product with one column is rounded otherwise when R is 1.
        return ((states * self.weight).sum(-1) + self.bias).unsqueeze(-1)
