"""One image and what a network made of it: what pictures and pages are drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nogs_bench.tasks import GlimpseGrid
from nogs_bench.trained.loading import TrainedNetwork
from nogs_bench.trained.looking import Looks

UNSEEN = 222  # grey of what was not seen, 0 .. 255
DIMMED = 0.25  # how much of the image shows through it


@dataclass(frozen=True)
class LookCase:
    """One image's glimpses.

    - `name`: of the image, for people. `image`: uint8 (size, size, 3).
    - `glimpses`: int64 (T, 2), pixel (row, col) of the top-left corners, in their order.
    - `beliefs`: float32 (T, classes), after each glimpse. `policy`: float32 (T, cells), before
      each; None if not known.
    - `used`: glimpses after which looking could end. `label`: the true class; None if not known.
    - `optimal`: int64 (T, 2), the near-optimal sequence of the image, if there is one.
    """

    name: str
    image: np.ndarray
    grid: GlimpseGrid
    classes: tuple[str, ...]
    glimpses: np.ndarray
    beliefs: np.ndarray
    policy: np.ndarray | None
    used: int
    label: int | None = None
    optimal: np.ndarray | None = None

    @property
    def answer(self) -> int:
        """The likeliest class after the glimpses that were used."""
        return int(self.beliefs[self.used - 1].argmax())

    @property
    def right(self) -> bool | None:
        return None if self.label is None else self.answer == self.label

    def likeliest(self, count: int = 5) -> list[int]:
        """Classes to show, in their own order: those that were believed most at any time."""
        most = self.beliefs.max(0)
        if self.label is not None:
            most = most + (np.arange(len(most)) == self.label)
        return sorted(np.argsort(-most, kind="stable")[:count].tolist())

    def seen(self, steps: int) -> np.ndarray:
        """uint8 (size, size, 3): what the first `steps` glimpses show, all else dimmed."""
        mask = np.zeros(self.image.shape[:2], bool)
        side = self.grid.glimpse_size
        for row, col in self.glimpses[:steps]:
            mask[row : row + side, col : col + side] = True
        dimmed = (DIMMED * self.image + (1 - DIMMED) * UNSEEN).astype(np.uint8)
        return np.where(mask[..., None], self.image, dimmed)


def cases_of(
    network: TrainedNetwork,
    images: np.ndarray,
    looks: Looks,
    names: Sequence[str],
    labels: np.ndarray | None = None,
    optimal: Sequence[np.ndarray | None] | None = None,
) -> Iterator[LookCase]:
    """The case of each image uint8 (n, channels, size, size); `labels` int64 (n,)."""
    for n, image in enumerate(images):
        yield LookCase(
            name=names[n],
            image=_shown(image),
            grid=network.task.grid,
            classes=network.task.classes,
            glimpses=looks.glimpses[n],
            beliefs=looks.beliefs[n],
            policy=None if looks.policy is None else looks.policy[n],
            used=int(looks.used[n]),
            label=None if labels is None else int(labels[n]),
            optimal=None if optimal is None else optimal[n],
        )


def _shown(image: np.ndarray) -> np.ndarray:
    """uint8 (size, size, 3) of (channels, size, size): grey, unless the channels are three."""
    if len(image) not in (1, 3):
        image = image.mean(0, keepdims=True).astype(np.uint8)
    return np.broadcast_to(image.transpose(1, 2, 0), (*image.shape[1:], 3))
