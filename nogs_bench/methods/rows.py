"""What an objective is computed from: a batch's images, the glimpses taken, what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor

from nogs_bench.errors import NogsError

# What a method may ask for beside what the trainer has anyway: a field of `Rows`, and what it is.
NEEDS: Mapping[str, str] = {
    "beliefs": "the network's class logits after each glimpse",
    "mirrored": "the network's class logits after the same glimpses of the mirrored image",
    "posterior": "the dataset's posterior network, asked about the glimpses taken",
    "sequence_posterior": "the dataset's column `posterior`, of the supervised rows",
    "maps": "the dataset's maps of expected posterior entropy, of the supervised rows",
}
# What of R runs has no first dimension R.
SHARED = frozenset({"reduction", "progress"})


@dataclass(frozen=True)
class Rows:
    """A batch of n images that took T glimpses, of one run or of R that are computed together.

    `[R,]` stands for a first dimension that only R runs have. `t` counts the glimpses from 1.

    - `labels`: int64 ([R,] n).
    - `supervised`: bool ([R,] n), whether an image's glimpses were fixed to its sequence.
    - `cells`: int64 ([R,] T, n), the location indices taken.
    - `class_logits`: float ([R,] n, classes), after T glimpses; with gradient.
    - `location_logits`: float ([R,] T, n, cells), of where to look; with gradient.
    - `location_log_probability`: float ([R,] T, n), log q(l_t | h_t) of the glimpses taken; with
      gradient.
    - `baseline`: float ([R,] T, n), predicted reward at each location choice; with gradient.
    - `weight`: the supervised locations' weight at this iteration, the task's times the method's
      schedule: a number, or float (R, 1, 1).
    - `reduction`: name in `nogs_bench.methods.losses.REDUCTIONS`.
    - `progress`: float (), 0 at the first iteration, towards 1 at the last.
    - `first`: in a second and later pass over a batch (`Method.passes`), what the first gave,
      without gradient; in the first pass None.

    On demand (`Method.needs`), else None:

    - `beliefs`: float ([R,] T, n, classes), class logits after glimpse t; with gradient. The last
      are `class_logits`.
    - `mirrored`: float ([R,] n, classes), class logits after the same T glimpses of the image
      reversed left to right, each where the reversed image has it; with gradient.
    - `posterior`: float ([R,] T, n, classes), nats: log-probabilities that the dataset's posterior
      network gives the classes after glimpses 1 .. t.
    - `sequence_posterior`: float ([R,] T, n, classes), the same from the dataset's column, where
      `supervised`; elsewhere of no meaning, but finite.
    - `maps`: float ([R,] T, n, cells), nats: expected posterior entropy of every location as
      glimpse t, where `supervised`; NaN where it was not evaluated, 0 in other rows.
    """

    labels: Tensor
    supervised: Tensor
    cells: Tensor
    class_logits: Tensor
    location_logits: Tensor
    location_log_probability: Tensor
    baseline: Tensor
    weight: float | Tensor
    reduction: str
    progress: Tensor
    first: Rows | None = None
    beliefs: Tensor | None = None
    mirrored: Tensor | None = None
    posterior: Tensor | None = None
    sequence_posterior: Tensor | None = None
    maps: Tensor | None = None

    def needed(self, name: str) -> Tensor:
        """The field `name` of `NEEDS`, which the method must have asked for."""
        value: Tensor | None = getattr(self, name)
        if value is None:
            raise NogsError(f"the objective uses {name}: give the method needs={{{name!r}}}")
        return value

    def part(self, begin: int, end: int) -> Rows:
        """Runs `begin` .. `end` - 1 of R."""
        first = None if self.first is None else self.first.part(begin, end)
        return replace(self._each(lambda value: value[begin:end], but=SHARED), first=first)

    def detached(self) -> Rows:
        """The same without gradient."""
        return self._each(lambda value: value.detach())

    def _each(self, change: Any, but: frozenset[str] = frozenset()) -> Rows:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        changed = {
            name: change(value)
            for name, value in values.items()
            if isinstance(value, Tensor) and name not in but
        }
        return replace(self, **changed)
