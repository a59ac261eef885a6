"""The proposal: glimpses against all of a bank's reconstructions (A.3.3, equation 16).

A small patch varies in few directions over a bank, most of all if it is made of few components.
What all moves of a glimpse see is therefore projected once from the latents onto the directions
that matter, and each move compared in the few of those that it sees. What is left out enters by
its mean; the share of variance left out is `DROPPED` at the most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nogs_bench.builders.completion.evidence import Evidence
from nogs_bench.builders.completion.matching import ROWS_AT_ONCE, Region, region
from nogs_bench.builders.completion.pca import Pca
from nogs_bench.tasks import GlimpseGrid

DROPPED = 1e-4
TINY = 1e-300  # in place of a variance of 0
SPREAD_ROWS = 20_000
CELLS_KEPT = 4


@dataclass(frozen=True)
class Directions:
    """Where the windows of one cell, and of all its moves, vary over the bank.

    A window of a reconstruction with latents z is near `mean + (z @ project @ turn) @ frame`.

    - `project`: float32 (components, r); `turn`: float32 (r, moves * k).
    - `frame`: float32 (moves, k, pixels), orthonormal rows; `mean`: float32 (moves, pixels).
    - `rest`: float32 (moves,), mean squared length of what is left out.
    """

    project: Tensor
    turn: Tensor
    frame: Tensor
    mean: Tensor
    rest: Tensor


class Proposal:
    """Compares glimpses of one image with every bank image's reconstruction.

    **Arguments**

    - `shifts`: pixels by which bank images are moved (`Annotation.proposal_shifts`).
    - `reversals`: whether bank images are compared reversed, once for each entry.
    - `device`: where the latents lie and distances are computed.
    """

    def __init__(
        self,
        pca: Pca,
        grid: GlimpseGrid,
        shifts: Sequence[int],
        reversals: Sequence[bool],
        device: torch.device | str = "cpu",
    ):
        self.pca, self.grid, self.shifts, self.reversals = pca, grid, shifts, reversals
        self.latents = torch.from_numpy(pca.latents).to(device)
        self.spread = _spread(pca.latents)
        self._directions = lru_cache(CELLS_KEPT)(self._find_directions)

    def observe(self, latents: np.ndarray, cell: int, evidence: Evidence) -> None:
        """Add a glimpse at `cell` to the evidence of every copy of the bank.

        `latents`: float32 (components,), those of the image: its reconstruction is compared, not
        the image (A.3.3). Copies are the bank's images and then, for a second entry of
        `reversals`, its images reversed.
        """
        own = region(self.grid, cell, (0,), mirrored=False)
        glimpse = self._window(own, self.pca.mean[None], latents @ self._columns(own))
        target = torch.from_numpy(glimpse.reshape(-1)).to(self.latents.device)
        parts = [self._directions(cell, mirrored) for mirrored in self.reversals]
        evidence.begin(len(parts[0].mean))
        offsets = [self._offsets(part, target) for part in parts]
        project = torch.cat([part.project for part in parts], dim=1)
        for start in range(0, len(self.latents), ROWS_AT_ONCE):
            projected = self.latents[start : start + ROWS_AT_ONCE].float() @ project
            columns = projected.split([part.project.shape[1] for part in parts], dim=1)
            for number, (part, mine) in enumerate(zip(parts, columns, strict=True)):
                inside, outside = offsets[number]
                gaps = torch.addmm(inside.flatten(), mine, part.turn)
                distances = gaps.view(len(mine), *inside.shape).square_().sum(2) + outside
                evidence.put(start + number * len(self.latents), distances.T)

    @staticmethod
    def _offsets(part: Directions, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mean window less glimpse: within the frame, (moves, k), and beyond it, (moves,)."""
        gap = part.mean - target
        inside = torch.einsum("mp,mkp->mk", gap, part.frame)
        return inside, gap.square().sum(1) - inside.square().sum(1) + part.rest

    def _columns(self, where: Region) -> np.ndarray:
        """float32 (components, pixels): the basis at a region."""
        return where.of(self._square(self.pca.basis)).reshape(len(self.pca.basis), -1)

    def _square(self, flat: np.ndarray) -> np.ndarray:
        side = self.grid.image_size
        return flat.reshape(len(flat), -1, side, side)

    def _window(self, where: Region, mean: np.ndarray, moved: np.ndarray) -> np.ndarray:
        return where.of(self._square(mean)).reshape(1, -1) + moved

    def _find_directions(self, cell: int, mirrored: bool) -> Directions:
        where = region(self.grid, cell, self.shifts, mirrored)
        channels = self.pca.basis.shape[1] // self.grid.image_size**2
        shape = (channels, where.height, where.width)
        # In units of what the latents spread, so that directions are ranked by variance.
        columns = self._columns(where).astype(np.float64) * self.spread[:, None]
        values, vectors = np.linalg.eigh(columns @ columns.T)
        kept = _leading(values)
        vectors = vectors[:, kept]
        reach = (vectors.T @ columns).reshape(len(vectors.T), *shape)
        whole = columns.reshape(len(columns), *shape)
        mean = where.of(self._square(self.pca.mean[None])).reshape(shape)
        windows = [
            (slice(None), slice(down, down + where.size), slice(across, across + where.size))
            for down, across in where.moves
        ]
        turns, frames, rest = [], [], []
        for window in windows:
            seen = reach[(slice(None), *window)].reshape(len(reach), -1)
            values, turn = np.linalg.eigh(seen @ seen.T)
            kept = _leading(values)
            lengths = np.sqrt(values[kept].clip(min=TINY))
            turns.append(turn[:, kept] * lengths)
            frames.append((turn[:, kept] / lengths).T @ seen)
            rest.append(np.square(whole[(slice(None), *window)]).sum() - values[kept].sum())
        width = max(turn.shape[1] for turn in turns)
        made = {
            "project": vectors / self.spread[:, None],
            "turn": np.concatenate([_wider(turn, width) for turn in turns], axis=1),
            "frame": np.stack([_wider(frame.T, width).T for frame in frames]),
            "mean": np.stack([mean[window].reshape(-1) for window in windows]),
            "rest": np.array(rest).clip(min=0),
        }
        device = self.latents.device
        return Directions(
            **{name: torch.from_numpy(a.astype(np.float32)).to(device) for name, a in made.items()}
        )


def _spread(latents: np.ndarray) -> np.ndarray:
    """float64 (components,): standard deviations of the latents, whose means are near 0."""
    chosen = latents[:: max(1, len(latents) // SPREAD_ROWS)]
    squares = np.zeros(latents.shape[1])
    for start in range(0, len(chosen), SPREAD_ROWS // 10):
        part = chosen[start : start + SPREAD_ROWS // 10].astype(np.float64)
        squares += np.einsum("nc,nc->c", part, part)
    return np.sqrt(squares / len(chosen)) + 1e-12


def _leading(values: np.ndarray) -> np.ndarray:
    """Which eigenvalues, ascending, make up all but a share `DROPPED` of their sum; the greatest
    always, even where it is 0, as where all images of a bank are equal."""
    values = values.clip(min=0)
    leading = np.cumsum(values) > DROPPED * values.sum()
    leading[-1] = True
    return np.flatnonzero(leading)


def _wider(matrix: np.ndarray, width: int) -> np.ndarray:
    return np.pad(matrix, ((0, 0), (0, width - matrix.shape[1])))
