"""How far a training has come, in memory and in its checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nogs_bench.device import is_determined
from nogs_bench.errors import NogsError
from nogs_bench.files import resumed, save_checkpoint
from nogs_bench.network import part_of, whole_of
from nogs_bench.randomness import derive, seeded
from nogs_bench.results import Point
from nogs_bench.training.metrics import held, quality

CHECKPOINT_SECONDS = 5.0
# What a checkpoint keeps of a point; the last one is measured again.
PLAIN = ("iteration", "cross_entropy", "accuracy", "balanced_accuracy")
SHARED = ("step",)  # Adam's count of steps is one for all runs


@dataclass
class Member:
    """One of the runs that are trained together.

    - `key`: names the run and its settings; a checkpoint without it is refused.
    - `generator`: the run's own randomness.
    - `name`: what errors call it.
    """

    key: str
    generator: torch.Generator
    name: str = "the run"
    curve: list[Point] = field(default_factory=list)


class RunState:
    """The curves so far and everything that the rest of the training depends on.

    **Arguments**

    - `members`: the runs.
    - `seed`: seeds the global randomness that a model's dropout may use.
    - `parts`: name to an object with `state_dict` and `load_state_dict`, whose tensors but Adam's
      step are (R, ...) if `stacked`.
    - `path`: the checkpoint; None keeps none.
    - `earlier`: a checkpoint to go on from where `path` is not there; it may hold more runs.
    """

    def __init__(
        self,
        members: Sequence[Member],
        seed: int,
        parts: Mapping[str, Any],
        path: Path | None,
        earlier: Path | None = None,
        stacked: bool = False,
    ):
        self.members, self.seed, self.parts = members, seed, parts
        self.device = members[0].generator.device
        self.path, self.earlier, self.stacked = path, earlier, stacked
        self.iteration = 0
        self._past, self._began = 0.0, time.monotonic()
        self._saved, self._pause = self._began, CHECKPOINT_SECONDS

    @contextmanager
    def own_randomness(self) -> Iterator[None]:
        """Seed torch's global randomness, and give it back afterwards."""
        with seeded(derive(self.seed, "global"), self.device):
            yield

    def seconds(self) -> float:
        """Seconds that each run has taken so far, earlier sittings included.

        Of runs that are trained together, an equal share.
        """
        return self._past + (time.monotonic() - self._began) / len(self.members)

    def record(self, iteration: int, log_probability: Tensor, labels: Tensor) -> Tensor:
        """Add the points of class log-probabilities ([R,] n, classes) and labels ([R,] n).

        Returns the accuracies float64 (R,). Raises `NogsError` if they, or the weights, are not
        finite.
        """
        self._require_finite(iteration)
        each = zip(
            self.members,
            log_probability.cpu().view(-1, *log_probability.shape[-2:]),
            labels.cpu().view(-1, labels.shape[-1]),
            strict=True,
        )
        for member, log_p, own in each:
            if not held(log_p):
                raise self._diverged(member, iteration, "its predictions are not finite")
            found = quality(log_p, own)
            point = Point(
                iteration=iteration,
                cross_entropy=found.cross_entropy,
                accuracy=found.accuracy,
                balanced_accuracy=found.balanced_accuracy,
                classes=found.by_class(),
            )
            member.curve = [p for p in member.curve if p.iteration < iteration]
            if member.curve:  # the last point alone keeps its classes
                member.curve[-1] = member.curve[-1].model_copy(update={"classes": None})
            member.curve.append(point)
        self.iteration = iteration
        return torch.tensor([m.curve[-1].accuracy for m in self.members], dtype=torch.float64)

    def _require_finite(self, iteration: int) -> None:
        """A network whose weights for where to look are NaN still classifies."""
        known = self.parts["model"].named_parameters() if "model" in self.parts else ()
        named = [(name, value) for name, value in known if value.requires_grad]
        runs = len(self.members)
        sound = [value.detach().isfinite().reshape(runs, -1).all(1) for _, value in named]
        if not sound or bool((table := torch.stack(sound).cpu()).all()):
            return
        number, run = torch.nonzero(~table)[0].tolist()
        raise self._diverged(self.members[run], iteration, f"{named[number][0]} is not finite")

    def _diverged(self, member: Member, iteration: int, why: str) -> NogsError:
        others = "" if len(self.members) == 1 else "; without it, the runs beside it go on"
        return NogsError(
            f"{member.name} diverged before iteration {iteration}: {why}; lower the learning rate"
            f"{others}"
        )

    def cross_entropy(self) -> Tensor:
        """Validation cross-entropies float64 (R,) of the last points, nats."""
        return torch.tensor([m.curve[-1].cross_entropy for m in self.members], dtype=torch.float64)

    def save_if_due(self) -> None:
        """Write the checkpoint unless the last is younger than `CHECKPOINT_SECONDS`.

        If writing takes long, it is done less often.
        """
        began = time.monotonic()
        if self.path is not None and began - self._saved >= self._pause:
            self._save(self.path)
            self._saved = time.monotonic()
            self._pause = CHECKPOINT_SECONDS * max(1, 4 * (self._saved - began))

    def _save(self, path: Path) -> None:
        whole = {name: part.state_dict() for name, part in self.parts.items()}
        runs = {}
        for number, member in enumerate(self.members):
            runs[member.key] = {
                "parts": part_of(whole, number, SHARED) if self.stacked else whole,
                "generator": member.generator.get_state(),
                "curve": [[getattr(p, name) for name in PLAIN] for p in member.curve],
                "seconds": self.seconds(),
            }
        state = {"iteration": self.iteration, "runs": runs, "global": torch.get_rng_state()}
        state |= {"device": self.device.type, "deterministic": is_determined()}
        if self.device.type == "cuda":
            state |= {"global-cuda": torch.cuda.get_rng_state(self.device)}
        save_checkpoint(path, state)

    def resume(self) -> None:
        """Take up the checkpoint if there is one. `NogsError` if it lacks one of the runs."""
        found = ((path, resumed(path)) for path in (self.path, self.earlier) if path is not None)
        path, state = next((pair for pair in found if pair[1] is not None), (None, None))
        if state is None:
            return
        held = state.get("runs", {})
        if any(member.key not in held for member in self.members):
            raise NogsError(f"{path} belongs to another run; delete it or choose another --out")
        begun = state.get("device", "cuda" if "global-cuda" in state else "cpu")
        if begun != self.device.type:
            raise NogsError(
                f"{path} was begun with --device {begun}, and can only go on there; give --device "
                f"{begun}, or delete the file to begin again"
            )
        if begun != "cpu" and is_determined() > state.get("deterministic", False):
            raise NogsError(
                f"{path} was begun without --deterministic; leave it out to go on, or delete the "
                "file to begin again"
            )
        own = [held[member.key] for member in self.members]
        parts = [run["parts"] for run in own]
        whole = whole_of(parts, SHARED) if self.stacked else parts[0]
        if missing := set(self.parts) - set(whole):
            what = ", ".join(sorted(missing))
            on = "give --no-weights to go on, or " if missing == {"best"} else ""
            raise NogsError(f"{path} was written without {what}; {on}delete it to begin again")
        for name, part in self.parts.items():
            part.load_state_dict(whole[name])
            if isinstance(part, torch.optim.Optimizer):
                _lay_out(part)
        for member, run in zip(self.members, own, strict=True):
            member.generator.set_state(run["generator"])
            member.curve = [
                Point(**dict(zip(PLAIN, values, strict=True))) for values in run["curve"]
            ]
        torch.set_rng_state(state["global"])
        if "global-cuda" in state:
            torch.cuda.set_rng_state(state["global-cuda"], self.device)
        self.iteration, self._past = state["iteration"], own[0]["seconds"]


def saved_runs(path: Path) -> tuple[int, list[str]] | None:
    """How far the runs of a checkpoint have come, and their keys; None if it was damaged."""
    state = resumed(path)
    return None if state is None else (state.get("iteration", 0), list(state.get("runs", {})))


def _lay_out(optimiser: torch.optim.Optimizer) -> None:
    """Give moments the memory layout of their parameters, as fused Adam expects it.

    A run that goes on alone may have been saved by a stack, whose layout is another.
    """
    for parameter, state in optimiser.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter).copy_(value)
