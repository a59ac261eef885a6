"""Training of the attentional variational posterior (section 4, appendix B.1).

By cross-entropy under t uniform on 1 .. T and locations uniform on the grid, equation (7); in the
task's warm-up epochs on 1 .. 3T.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from nogs_bench.builders.bank import Roles
from nogs_bench.builders.posterior.avp import Avp
from nogs_bench.builders.posterior.interface import ALONG_ROWS
from nogs_bench.builders.posterior.reliability import fixed_cells
from nogs_bench.builders.posterior.training.average import Averaged
from nogs_bench.builders.posterior.training.batches import batches_of
from nogs_bench.device import sent, tf32_products
from nogs_bench.errors import NogsError
from nogs_bench.files import resumed, save_checkpoint
from nogs_bench.images import say
from nogs_bench.progress import progress_bars
from nogs_bench.tasks import Task

WARM = 0.1  # share of the steps over which the learning rate rises
TIMED_BATCHES = 25


def _warm(steps: int) -> float:
    """`WARM`; a little more of ten steps, where torch would divide by a rise of 0 steps."""
    return WARM if steps * WARM != 1 else 1.1 * WARM


def train_avp(
    task: Task,
    roles: Roles,
    seed: int,
    checkpoint: Path,
    device: str,
    teacher: Avp | None = None,
    chosen: np.ndarray | None = None,
) -> dict[str, Any]:
    """Train the family's AVP; the epoch with the least validation cross-entropy is kept.

    AdamW under a one-cycle schedule with an exponential moving average of the weights, which is
    what is validated and kept. Goes on from `checkpoint` if that exists and leaves it behind. On a
    GPU, products are TF32's (`tf32_products`), and no step waits for it.

    **Arguments**

    - `teacher`: its posteriors are learned beside the labels (`AvpTraining.distillation`).
    - `chosen`: int64 (m, T), cells of sequences that are shown beside random ones
      (`AvpTraining.chosen_share`).

    Where an epoch's validation cross-entropy is not finite, training ends, and a line says so.
    Raises `NogsError` if no epoch came before.

    **Returns** `{"weights": state dict, "epoch": int, "curve": [{"epoch", "cross_entropy": [nats
    for t = 1 .. T], "accuracy": [...]}, ...]}`; both means over the family's labels.
    """
    settings = task.avp
    torch.manual_seed(seed)
    avp = Avp(task, weights=True).to(device)
    average = Averaged(avp)
    batches = len(roles.avp(0)) // settings.batch_size
    optimizer = torch.optim.AdamW(avp.parameters(), settings.learning_rate, fused=True)
    steps = batches * settings.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=steps, pct_start=_warm(steps)
    )
    parts: dict[str, Any] = {
        "avp": avp,
        "average": average,
        "optimizer": optimizer,
        "schedule": schedule,
    }
    curve: list[dict[str, Any]] = []
    best: dict[str, Any] = {}
    state = resumed(checkpoint)
    if state is not None:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        curve, best = state["curve"], state["best"]
    with progress_bars() as bars, tf32_products(torch.device(device)):
        bar = bars.add_task("AVP", total=batches * settings.epochs, note="")
        bars.advance(bar, batches * len(curve))
        for epoch in range(len(curve), settings.epochs):
            # Dropout draws from the global generator: seed it by the epoch, so that a resumed
            # training is the undisturbed one.
            torch.manual_seed(int(np.random.default_rng([seed, epoch, 1]).integers(2**62)))
            avp.train()
            for batch in batches_of(task, roles, seed, epoch, chosen):
                given = tuple(sent(array, device) for array in batch)
                loss = _loss(avp, given, teacher, settings.distillation)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                average.update()
                bars.advance(bar)
            point = {"epoch": epoch + 1} | validate_avp(average.module, task, roles)
            if not np.isfinite(point["cross_entropy"]).all():
                _diverged(task, epoch + 1, best)
                break
            curve.append(point)
            if sum(curve[-1]["cross_entropy"]) <= min(sum(p["cross_entropy"]) for p in curve):
                weights = {k: v.clone() for k, v in average.module.state_dict().items()}
                best = {"weights": weights, "epoch": epoch + 1}
            nats = " ".join(f"{value:.3f}" for value in curve[-1]["cross_entropy"])
            bars.update(bar, note=f"validation nats {nats}")
            states = {name: part.state_dict() for name, part in parts.items()}
            save_checkpoint(checkpoint, states | {"curve": curve, "best": best})
    return best | {"curve": curve}


def _diverged(task: Task, epoch: int, best: dict[str, Any]) -> None:
    """Say it: no weights that are not finite become finite again."""
    line = f"{task.name}: the AVP diverged in epoch {epoch}"
    lower = f"lower avp.learning_rate, which is {task.avp.learning_rate:g}"
    if not best:
        raise NogsError(f"{line}; {lower}")
    say(f"{line}, and what epoch {best['epoch']} gave is kept; to go on, {lower}")


def seconds_per_epoch(
    task: Task, roles: Roles, seed: int, device: str, clock: Callable[[], float]
) -> float:
    """How long an epoch of training takes by `clock`, from some batches and one validation."""
    avp = Avp(task).to(device).train()
    optimizer = torch.optim.AdamW(avp.parameters(), fused=True)
    average = Averaged(avp)
    times = [clock()]
    for batch in islice(batches_of(task, roles, seed, 0), TIMED_BATCHES):
        optimizer.zero_grad(set_to_none=True)
        _loss(avp, tuple(sent(array, device) for array in batch), None, 0).backward()
        optimizer.step()
        average.update()
        times.append(clock())
    steps = np.diff(times)
    start = clock()
    validate_avp(avp, task, roles)
    validation = clock() - start
    batches = len(roles.avp(0)) // task.avp.batch_size
    return float(np.median(steps)) * batches + validation


def _loss(avp: Avp, batch: tuple[Tensor, ...], teacher: Avp | None, share: float) -> Tensor:
    """Cross-entropy of the labels (equation 7), summed over the family's; with a teacher, `share`
    of it is the cross-entropy of what the teacher says (Hinton et al. 2015)."""
    images, labels, cells, t = batch
    logits = avp(images, cells, t)
    taught = None
    if teacher is not None:
        with torch.no_grad():
            taught = [each.softmax(dim=1) for each in teacher(images, cells, t)]
    total = logits[0].new_zeros(())
    for group in _alike(avp.classes):
        mine = torch.cat([logits[label] for label in group])
        term = cross_entropy(mine, torch.cat([labels[:, label] for label in group]))
        if taught is not None:
            said = torch.cat([taught[label] for label in group])
            term = (1 - share) * term + share * cross_entropy(mine, said)
        total = total + len(group) * term
    return total


def _alike(classes: Sequence[int]) -> list[list[int]]:
    """Labels by how many classes they have: CelebA's forty are one product, not forty."""
    return [[n for n, each in enumerate(classes) if each == k] for k in sorted(set(classes))]


@torch.inference_mode()
def validate_avp(avp: Avp, task: Task, roles: Roles) -> dict[str, list[float]]:
    """Cross-entropy (nats) and accuracy for t = 1 .. T on one fixed draw of locations.

    Means over all labels of the family: what is kept serves all of its tasks, whichever asks.
    """
    avp.eval()
    held, device = roles.avp_validation, avp.device
    cells = fixed_cells(task.grid, len(held), task.T)
    sums = np.zeros((2, task.T))
    for start in range(0, len(held), ALONG_ROWS):
        rows = slice(start, start + ALONG_ROWS)
        images = torch.from_numpy(held.images[rows]).to(device)
        taken = torch.from_numpy(cells[rows]).to(device)
        truth = torch.from_numpy(held.labels[rows]).to(device)
        for t in range(1, task.T + 1):
            for label, log in enumerate(avp.log_posteriors(images, taken[:, :t])):
                right = truth[:, label]
                sums[0, t - 1] -= float(log.gather(1, right[:, None]).sum())
                sums[1, t - 1] += float((log.argmax(1) == right).sum())
    means = sums / (len(held) * len(task.labels))
    return {"cross_entropy": means[0].tolist(), "accuracy": means[1].tolist()}
