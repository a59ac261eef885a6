"""What a posterior over labels given glimpses must offer, whoever computes it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

ROWS_AT_ONCE = 512
ALONG_ROWS = 500


class Posterior(Protocol):
    """p(label | y_1:t, l_1:t), exactly or by an approximation g."""

    def log_posterior(self, images: Tensor, cells: Tensor) -> Tensor:
        """Log-probabilities of the target's classes after seeing each image at its cells.

        **Arguments**

        - `images`: uint8 (n, channels, image_size, image_size).
        - `cells`: int64 (n, t), grid indices of the glimpses, t >= 1.

        **Returns** float (n, classes), nats.
        """
        ...


@torch.inference_mode()
def candidate_log_posterior(
    posterior: Posterior, images: Tensor, prefix: Tensor, candidates: Tensor
) -> Tensor:
    """Log-posteriors after the glimpses at `prefix` and one more, for every candidate.

    **Arguments**

    - `images`: uint8 (n, channels, image_size, image_size), the completions.
    - `prefix`: int64 (t - 1,), cells already taken.
    - `candidates`: int64 (k,), cells that may come next.

    **Returns** float (k, n, classes), nats.
    """
    n, k = len(images), len(candidates)
    some_images, some_cells = min(n, ROWS_AT_ONCE), max(1, ROWS_AT_ONCE // n)
    columns = []
    for part in images.split(some_images):
        rows = []
        for cells in candidates.split(some_cells):
            last = cells.repeat_interleave(len(part))[:, None]
            taken = torch.cat([prefix.expand(len(last), -1), last], dim=1)
            rows.append(posterior.log_posterior(part.repeat(len(cells), 1, 1, 1), taken))
        columns.append(torch.cat(rows).view(k, len(part), -1))
    return torch.cat(columns, dim=1)


def along(
    posterior: Posterior,
    images: np.ndarray,
    labels: np.ndarray,
    cells: np.ndarray,
    device: torch.device | str = "cpu",
) -> dict[str, list[float]]:
    """How good a posterior is along given sequences of glimpses.

    **Arguments**

    - `images`: uint8 (n, channels, image_size, image_size).
    - `labels`: int64 (n,), the target's true classes.
    - `cells`: int64 (n, T).

    **Returns** lists over t = 1 .. T: `cross_entropy`, of the true labels (nats); `entropy`, what
    the posterior claims (nats); `accuracy`.
    """
    rows: dict[str, list[float]] = {"cross_entropy": [], "entropy": [], "accuracy": []}
    truth = torch.from_numpy(labels)
    seen, taken = torch.from_numpy(images), torch.from_numpy(cells)
    for t in range(1, cells.shape[1] + 1):
        chunks = zip(seen.split(ALONG_ROWS), taken[:, :t].split(ALONG_ROWS), strict=True)
        parts = [posterior.log_posterior(x.to(device), c.to(device)).cpu() for x, c in chunks]
        log = torch.cat(parts)
        rows["cross_entropy"].append(-log.gather(1, truth[:, None]).mean().item())
        rows["entropy"].append(torch.special.entr(log.exp()).sum(1).mean().item())
        rows["accuracy"].append((log.argmax(1) == truth).float().mean().item())
    return rows
