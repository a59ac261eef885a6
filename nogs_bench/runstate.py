"""How far a training run has come, in memory and in its checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nogs_bench.checkpoint import load_checkpoint, save_checkpoint
from nogs_bench.errors import NogsError
from nogs_bench.metrics import quality
from nogs_bench.randomness import derive
from nogs_bench.result import Point

CHECKPOINT_SECONDS = 5.0


class RunState:
    """The curve so far and everything that the rest of the run depends on.

    **Arguments**

    - `key`: names the run and its settings; a checkpoint of another run is refused.
    - `seed`: seeds the global randomness that a model's dropout may use.
    - `parts`: name to an object with `state_dict` and `load_state_dict`.
    - `generator`: the run's own randomness.
    - `path`: the checkpoint; None keeps none.
    """

    def __init__(
        self,
        key: str,
        seed: int,
        parts: Mapping[str, Any],
        generator: torch.Generator,
        path: Path | None,
    ):
        self.key, self.seed, self.parts = key, seed, parts
        self.generator, self.path = generator, path
        self.iteration = 0
        self.curve: list[Point] = []
        self._earlier, self._began = 0.0, time.monotonic()
        self._saved = self._began

    @contextmanager
    def own_randomness(self) -> Iterator[None]:
        """Seed torch's global randomness for the run, and give it back afterwards."""
        with torch.random.fork_rng():
            torch.manual_seed(derive(self.seed, "global"))
            yield

    def seconds(self) -> float:
        """Seconds since the run began, earlier sittings included."""
        return self._earlier + time.monotonic() - self._began

    def record(self, iteration: int, log_probability: Tensor, labels: Tensor) -> Point:
        """Add the point of class log-probabilities (n, classes) and labels (n,) to the curve.

        Raises `NogsError` if they are not finite.
        """
        if not torch.isfinite(log_probability).all():
            raise NogsError(
                f"{self.key or 'the run'} diverged before iteration {iteration}: its predictions "
                "are not finite; lower the learning rate"
            )
        cross_entropy, accuracy = quality(log_probability, labels)
        point = Point(iteration=iteration, cross_entropy=cross_entropy, accuracy=accuracy)
        self.curve = [*(p for p in self.curve if p.iteration < iteration), point]
        self.iteration = iteration
        return point

    def save_if_due(self) -> None:
        """Write the checkpoint unless the last is younger than `CHECKPOINT_SECONDS`."""
        if self.path is not None and time.monotonic() - self._saved >= CHECKPOINT_SECONDS:
            self._save(self.path)
            self._saved = time.monotonic()

    def _save(self, path: Path) -> None:
        device = self.generator.device
        points = [[p.iteration, p.cross_entropy, p.accuracy] for p in self.curve]
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {"key": self.key, "iteration": self.iteration, "curve": points}
        state |= {"seconds": self.seconds(), "generator": self.generator.get_state()}
        state |= {"global": torch.get_rng_state()}
        if device.type == "cuda":
            state |= {"global-cuda": torch.cuda.get_rng_state(device)}
        save_checkpoint(path, state)

    def resume(self) -> None:
        """Take up the checkpoint if there is one. Raises `NogsError` if it is not this run's."""
        if self.path is None or not self.path.is_file():
            return
        state = load_checkpoint(self.path)
        if state.get("key") != self.key:
            raise NogsError(
                f"{self.path} belongs to another run; delete it or choose another --out"
            )
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["global"])
        if "global-cuda" in state:
            torch.cuda.set_rng_state(state["global-cuda"], self.generator.device)
        self.iteration, self._earlier = state["iteration"], state["seconds"]
        self.curve = [
            Point(iteration=at, cross_entropy=cross_entropy, accuracy=accuracy)
            for at, cross_entropy, accuracy in state["curve"]
        ]
