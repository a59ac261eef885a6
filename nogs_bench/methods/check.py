"""Whether an objective is what the trainer can use, found out on made-up rows before training."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from nogs_bench.errors import NogsError, place_of
from nogs_bench.methods.method import Method
from nogs_bench.methods.rows import NEEDS, Rows

RUNS, IMAGES, STEPS, CELLS, CLASSES = 2, 6, 3, 5, 4
RELATIVE, ABSOLUTE = 1e-4, 1e-5


def check_method(method: Method, iterations: int, frozen: bool) -> None:
    """Raise `NogsError` unless the method's loss of two runs together is each one's own, finite,
    with the gradient that each one alone has, and computed without waiting for a device; and its
    schedule is a number of at least 0 in each of `iterations`.

    Tried on random rows, in the first pass over a batch and, if there are several, in the second.
    `frozen`: only the location network and the baseline are trained, so that one of them needs a
    gradient.
    """
    _check_schedule(method, iterations)
    for later in (False, True) if method.passes > 1 else (False,):
        given = made_up(later)
        whole = trial_rows(given, method.needs)
        found, gradients = _loss(method, whole)
        if frozen and not (gradients["location_logits"].any() or gradients["baseline"].any()):
            raise NogsError(
                f"method {method.name}: after pre-training only the location network is trained, "
                "and the objective has no gradient to it; give a protocol without pre-training"
            )
        for run in range(RUNS):
            alone = trial_rows({name: value[run] for name, value in given.items()}, method.needs)
            own, expected = _loss(method, alone)
            pairs = [(found[run], own), *((gradients[n][run], g) for n, g in expected.items())]
            if not all(torch.allclose(a, b, RELATIVE, ABSOLUTE) for a, b in pairs):
                raise NogsError(
                    f"method {method.name}: the objective of a run changes beside other runs; "
                    "count dimensions from the last, and leave the first of R runs alone"
                )
        try:
            meta = {name: value.to("meta") for name, value in given.items()}
            method.loss(trial_rows(meta, method.needs))
        except RuntimeError as error:  # torch's, of `meta` tensors
            raise NogsError(
                f"method {method.name}: the objective waits for the device, or uses a tensor on "
                f"another: {_line(error)}"
            ) from error


def _check_schedule(method: Method, iterations: int) -> None:
    for iteration in range(iterations):
        try:
            factor = float(method.schedule(iteration, iterations))
        except Exception as error:
            raise NogsError(
                f"method {method.name}: its schedule failed at iteration {iteration} of "
                f"{iterations}{place_of(error)}"
            ) from error
        if not 0 <= factor < math.inf:
            raise NogsError(
                f"method {method.name}: its schedule gives {factor} at iteration {iteration}; it "
                "must be a number of at least 0"
            )


def _loss(method: Method, rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and its gradients to what a network gives."""
    shape = rows.labels.shape[:-1]
    try:
        loss = method.loss(rows)
        fits = isinstance(loss, Tensor) and loss.shape == shape
        if not fits:
            what = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise NogsError(
                f"method {method.name}: the objective of {' x '.join(map(str, shape)) or 'one'} "
                f"run must be a tensor of shape {tuple(shape)}, got {what}"
            )
        leaves = {
            "class_logits": rows.class_logits,
            "location_logits": rows.location_logits,
            "baseline": rows.baseline,
        }
        found = torch.autograd.grad(
            loss.sum(), list(leaves.values()), allow_unused=True, materialize_grads=True
        )
    except NogsError:
        raise
    except Exception as error:
        raise NogsError(f"method {method.name}: the objective failed: {_line(error)}") from error
    gradients = dict(zip(leaves, found, strict=True))
    if not all(torch.isfinite(value).all() for value in (loss, *found)):
        raise NogsError(f"method {method.name}: the objective or its gradient is not finite")
    return loss.detach(), gradients


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or repr(error)


def made_up(later: bool = False, seed: int = 0) -> dict[str, Tensor]:
    """Random values of two runs for `trial_rows`; `later`: of a second pass over a batch."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(RUNS, *shape, generator=generator)

    def below(most: int, *shape: int) -> Tensor:
        return torch.randint(most, (RUNS, *shape), generator=generator)

    values = {
        "beliefs": normal(STEPS, IMAGES, CLASSES),
        "location_logits": normal(STEPS, IMAGES, CELLS),
        "baseline": normal(STEPS, IMAGES),
        "labels": below(CLASSES, IMAGES),
        "supervised": torch.arange(IMAGES).expand(RUNS, -1) % 3 == 0,
        "cells": below(CELLS, STEPS, IMAGES),
        "weight": torch.tensor([1.0, 0.5]).view(RUNS, 1, 1),
        "mirrored": normal(IMAGES, CLASSES),
        "posterior": normal(STEPS, IMAGES, CLASSES).log_softmax(-1),
        "sequence_posterior": normal(STEPS, IMAGES, CLASSES).log_softmax(-1),
        "maps": normal(STEPS, IMAGES, CELLS).abs(),
    }
    if later:
        first = made_up(seed=seed + 1)
        networks = ("beliefs", "location_logits", "baseline")
        values |= {f"first.{name}": first[name] for name in networks}
    return values


def trial_rows(given: Mapping[str, Tensor], needs: frozenset[str] | set[str]) -> Rows:
    """The rows of `made_up` values, or of one run's, with what is needed of `NEEDS`."""
    logits = given["location_logits"].requires_grad_()
    class_logits = given["beliefs"].select(-3, -1)
    if class_logits.is_leaf:
        class_logits = class_logits.clone().requires_grad_()
    beliefs = torch.cat([given["beliefs"][..., :-1, :, :], class_logits.unsqueeze(-3)], dim=-3)
    cells = given["cells"]
    first = None
    if "first.beliefs" in given:
        again = {n.removeprefix("first."): v for n, v in given.items() if n.startswith("first.")}
        rest = {n: v for n, v in given.items() if not n.startswith("first.") and n not in again}
        first = trial_rows(rest | again, needs).detached()
    asked = {name: given[name] for name in NEEDS if name in needs} | (
        {"beliefs": beliefs} if "beliefs" in needs else {}
    )
    return Rows(
        labels=given["labels"],
        supervised=given["supervised"],
        cells=cells,
        class_logits=class_logits,
        location_logits=logits,
        location_log_probability=logits.log_softmax(-1).gather(-1, cells[..., None]).squeeze(-1),
        baseline=given["baseline"].requires_grad_(),
        weight=given["weight"],
        reduction="mean",
        progress=torch.tensor(0.25, device=cells.device),
        first=first,
        **asked,
    )
