"""From a batch's rollout to the loss of all runs: each method's own, of what each method needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nogs_bench.methods import Method, Rows


@dataclass(frozen=True, eq=False)
class Lessons:
    """What a dataset knows beside its sequences, as methods need it (`nogs_bench.methods.NEEDS`).

    - `posterior`: has `log_posterior_along(images, cells)`: float (n, T, classes), nats, of images
      uint8 (n, channels, size, size) and cells int64 (n, T).
    - `index`: int64 (m,), the images that `sequence_posterior` and `maps` are of.
    - `sequence_posterior`: float (m, T, classes), nats.
    - `maps`: float (m, T, cells), nats.
    """

    posterior: Any = None
    index: np.ndarray | None = None
    sequence_posterior: np.ndarray | None = None
    maps: np.ndarray | None = None


NOTHING = Lessons()


@dataclass(frozen=True)
class Group:
    """Runs `begin` .. `end` - 1, whose loss one call computes.

    - `places`: int64 (images,), where in the tables an image is; 0, a row of zeros, for others.
    - `tables`: by need, float (m + 1, T, ...).
    """

    begin: int
    end: int
    method: Method
    lessons: Lessons
    places: Tensor | None
    tables: dict[str, Tensor]


class Objectives:
    """The loss of runs that are trained together.

    **Arguments**

    - `methods`, `lessons`: of each run. Runs side by side whose methods compute the same, with the
      same lessons, are computed in one call.
    - `images`: uint8 (N, channels, size, size), the train split on the device.
    """

    def __init__(self, methods: Sequence[Method], lessons: Sequence[Lessons], images: Tensor):
        self.images = images
        self.runs = len(methods)
        self.passes = methods[0].passes
        self.beliefs, self.mirrored = (
            any(need in method.needs for method in methods) for need in ("beliefs", "mirrored")
        )
        self.groups: list[Group] = []
        for run, (method, own) in enumerate(zip(methods, lessons, strict=True)):
            last = self.groups[-1] if self.groups else None
            if last and last.lessons is own and last.method.alike(method):
                self.groups[-1] = replace(last, end=run + 1)
            else:
                self.groups.append(self._group(run, method, own))

    def __call__(self, given: Rows, rows: Tensor) -> Tensor:
        """The sum of all runs' losses: each has its own parameters and so its own gradient.

        - `given`: of all runs, with what the rollout gave.
        - `rows`: int64 ([R,] n), the images' numbers.
        """
        losses = []
        for group in self.groups:
            part, own = given, rows
            if len(self.groups) > 1:
                part, own = given.part(group.begin, group.end), rows[group.begin : group.end]
            losses.append(group.method.loss(self._asked(group, part, own)).sum())
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def _asked(self, group: Group, given: Rows, rows: Tensor) -> Rows:
        """With what the group's method needs beside."""
        found: dict[str, Any] = {}
        if group.places is not None:
            places = group.places.index_select(0, rows.flatten())
            for name, table in group.tables.items():
                taken = table.index_select(0, places).view(*rows.shape, *table.shape[1:])
                found[name] = taken.transpose(-3, -2)
        if "posterior" in group.method.needs:
            found["posterior"] = self._posterior(group.lessons.posterior, rows, given.cells)
        return replace(given, **found) if found else given

    def _posterior(self, posterior: Any, rows: Tensor, cells: Tensor) -> Tensor:
        """float ([R,] T, n, classes): one batch for all runs and t."""
        images = self.images.index_select(0, rows.flatten())
        with torch.no_grad():
            log_p = posterior.log_posterior_along(images, cells.transpose(-2, -1).flatten(0, -2))
        return log_p.view(*rows.shape, *log_p.shape[1:]).transpose(-3, -2)

    def _group(self, run: int, method: Method, lessons: Lessons) -> Group:
        tables: dict[str, Tensor] = {}
        places = None
        for name in ("sequence_posterior", "maps"):
            values = getattr(lessons, name)
            if name in method.needs and values is not None:
                table = torch.from_numpy(np.asarray(values, np.float32))
                table = torch.cat([torch.zeros_like(table[:1]), table])
                tables[name] = table.to(self.images.device)
        if tables:
            assert lessons.index is not None
            places = torch.zeros(len(self.images), dtype=torch.int64)
            places[torch.from_numpy(lessons.index)] = torch.arange(len(lessons.index)) + 1
            places = places.to(self.images.device)
        return Group(run, run + 1, method, lessons, places, tables)
