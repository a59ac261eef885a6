"""Which pixels a completion shows at the glimpses already taken: `Annotation.observed`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from nogs_bench.builders.completion import Belief, Completions, Query


@dataclass(frozen=True)
class Glimpsed:
    """The image that is annotated, at its glimpses so far.

    - `image`: uint8 (channels, image_size, image_size).
    - `seen`: bool (image_size, image_size), the pixels that the glimpses show.
    - `belief`: computes what the posterior says of the label.
    """

    image: np.ndarray
    seen: np.ndarray
    belief: Callable[[], Belief]


class Observed(Protocol):
    """A way to show completions to the posterior.

    - `pasted`: whether they show the annotated image's pixels. Labels whose sequences agree so far
      then need completions of their own.
    """

    @property
    def pasted(self) -> bool: ...

    def draw(self, query: Query, count: int, rng: np.random.Generator, at: Glimpsed) -> Completions:
        """Completions with the pixels that the posterior is to see."""
        ...


class _Sample:
    """The completion's own, which come with its label (equation 6)."""

    pasted = False

    def draw(self, query: Query, count: int, rng: np.random.Generator, at: Glimpsed) -> Completions:
        return query.draw(count, rng)


class _Pasted:
    """The annotated image's. Each label then comes as often as they speak for it."""

    pasted = True

    def draw(self, query: Query, count: int, rng: np.random.Generator, at: Glimpsed) -> Completions:
        drawn = query.draw(count, rng, at.belief())
        # In a new array: what was drawn may be the bank itself.
        return replace(drawn, images=np.where(at.seen, at.image, drawn.images))


WAYS: dict[str, Observed] = {"sample": _Sample(), "pasted": _Pasted()}
