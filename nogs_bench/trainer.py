"""Training a hard-attention network: one loop for every method and protocol.

Images stay uint8 on the device and are picked by index; glimpses become float. Nothing in a step
waits for the device. A run is a function of its arguments alone: interrupted and resumed, it gives
the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nogs_bench.annotations import Annotations
from nogs_bench.batches import mixed_rows
from nogs_bench.fovea import Fovea, ImageTensors, roll_out
from nogs_bench.losses import Rows, partially_supervised_loss
from nogs_bench.methods import Method
from nogs_bench.metrics import policy_classifier, predict
from nogs_bench.model import location_parameters
from nogs_bench.policy import log_probability
from nogs_bench.randomness import derive, torch_generator
from nogs_bench.result import Point
from nogs_bench.runstate import RunState
from nogs_bench.task import Task

REPORT_EVERY = 50

# (iterations done, a few words) -> None
Report = Callable[[int, str], None]


@dataclass(frozen=True)
class Run:
    """What `train` needs to know.

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
    task, settings = run.task, run.task.training
    device = images.images.device
    model.to(device)
    trained = _trained_parameters(model, task, run.frozen)
    baseline = _baseline(model, run.seed).to(device)
    optimiser = torch.optim.Adam(
        [*trained, *baseline.parameters()], lr=settings.learning_rate, fused=True
    )
    generator = torch_generator(device, run.seed, "training")
    sequences = sequence_table(task, len(images), annotations).to(device)
    nothing = torch.full_like(sequences, -1)
    fovea = Fovea(task.grid, device)
    classify = policy_classifier(model, task, fovea)
    parts = {"model": model, "baseline": baseline, "optimiser": optimiser}
    progress = RunState(run.key, run.seed, parts, generator, checkpoint)

    with progress.own_randomness():
        progress.resume()
        supervised = torch.nonzero(sequences[:, 0] >= 0)[:, 0]
        batches = mixed_rows(
            len(images),
            supervised,
            settings.batch_size,
            settings.supervised_share,
            run.seed,
            progress.iteration,
        )
        for iteration in range(progress.iteration, run.iterations + 1):
            last = iteration == run.iterations
            if last or iteration % settings.evaluation_period == 0:
                log_p = predict(model, classify, validation, run.seed, "validation")
                point = progress.record(iteration, log_p, validation.labels)
                report(iteration, f"accuracy {point.accuracy:.3f}")
                model.train(not run.frozen)
                progress.save_if_due()
            if last:
                break
            if iteration % REPORT_EVERY == 0:
                report(iteration, "")

            rows = next(batches)
            strength = run.method.schedule(iteration, run.iterations)
            fixed = (sequences if strength > 0 else nothing).index_select(0, rows).T
            uniform = torch.rand(fixed.shape, generator=generator, device=device)
            with torch.set_grad_enabled(not run.frozen):
                picked = images.images.index_select(0, rows)
                rollout = roll_out(model, fovea, picked, uniform, fixed)
            states = torch.cat(rollout.states)
            seen = states if settings.location_gradient else states.detach()
            located = log_probability(model.locate(seen), rollout.cells.flatten())
            loss = partially_supervised_loss(
                Rows(
                    labels=images.labels.index_select(0, rows),
                    supervised=fixed[0] >= 0,
                    class_logits=rollout.class_logits,
                    location_log_probability=located.view(fixed.shape),
                    baseline=baseline(states.detach().flatten(1)).view(fixed.shape),
                ),
                settings.supervision_weight * strength,
                settings.supervision_reduction,
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return tuple(progress.curve), progress.seconds()


def sequence_table(task: Task, images: int, annotations: Annotations | None) -> Tensor:
    """int64 (images, T): the location indices of each image's sequence, -1 where it has none."""
    table = torch.full((images, task.T), -1, dtype=torch.int64)
    if annotations is not None:
        cells = task.grid.pixel_to_index(annotations.glimpses)
        table[torch.from_numpy(annotations.index)] = torch.from_numpy(cells)
    return table


def _trained_parameters(model: Any, task: Task, frozen: bool) -> list[nn.Parameter]:
    device = next(model.parameters()).device
    names = location_parameters(model.cpu(), task) if frozen else None
    model.to(device)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(names is None or name in names)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _baseline(model: Any, seed: int) -> nn.Linear:
    """Appendix B.4: linear, from the detached, flattened state to the expected reward."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(derive(seed, "baseline"))
        return nn.Linear(model.start(1).numel(), 1)
