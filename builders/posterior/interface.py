"""What a posterior over labels given glimpses must offer, whoever computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from nogs_bench.errors import NogsError

ALONG_ROWS = 500


class Posterior(Protocol):
    """p(label | y_1:t, l_1:t), exactly or by an approximation g.

    May also have `log_posteriors`, with the same arguments, which returns such a tensor for every
    label of the family, and `prepare(images, prefix, observed)`: see `prepare`.
    """

    def log_posterior(self, images: Tensor, cells: Tensor) -> Tensor:
        """Log-probabilities of the target's classes after seeing each image at its cells.

        **Arguments**

        - `images`: uint8 (n, channels, image_size, image_size).
        - `cells`: int64 (n, t), grid indices of the glimpses, t >= 1.

        **Returns** float (n, classes), nats.
        """
        ...


class Prepared(Protocol):
    """A step's completions, with all that their candidates share computed once.

    Where several labels are annotated for, also has `log_posteriors`, with the same arguments,
    which returns such a tensor for every label of the family, all from one pass. May have
    `pairs_at_once`, how many pairs it is best asked for at a time.
    """

    def log_posterior(self, rows: Tensor, cells: Tensor) -> Tensor:
        """float (m, classes), nats: row i is the posterior for completion `rows[i]` (int64, into
        the images given) after its prefix and one more glimpse at `cells[i]` (int64)."""
        ...


def prepare(
    posterior: Posterior, images: Tensor, prefix: Tensor, observed: Tensor | None = None
) -> Prepared:
    """A posterior about to be asked for many next glimpses at the same completions.

    **Arguments**

    - `images`: uint8 (n, channels, image_size, image_size), completions, possibly of several
      annotated images.
    - `prefix`: int64 (n, t - 1), the cells taken so far, row by row.
    - `observed`: the annotated image of each row, uint8 like `images` (often an expanded view), if
      the pixels at the prefix are its own. `images` show them there already; what is given here
      allows a posterior to compute them once for all completions of an image.
    """
    own: Any = getattr(posterior, "prepare", None)
    if own is not None:
        prepared: Prepared = own(images, prefix, observed)
        return prepared
    return _Spelled(posterior, images, prefix)


@dataclass(frozen=True)
class _Spelled:
    """Any posterior, asked for every image and all its cells; implements `Prepared`."""

    posterior: Posterior
    images: Tensor
    prefix: Tensor

    def log_posterior(self, rows: Tensor, cells: Tensor) -> Tensor:
        return self.posterior.log_posterior(*self._inputs(rows, cells))

    def log_posteriors(self, rows: Tensor, cells: Tensor) -> list[Tensor]:
        every: Any = getattr(self.posterior, "log_posteriors", None)
        if every is None:
            raise NogsError(
                "this posterior knows one label alone; annotate the tasks one by one, or use "
                "--posterior avp"
            )
        return list(every(*self._inputs(rows, cells)))

    def _inputs(self, rows: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        return self.images[rows], torch.cat([self.prefix[rows], cells[:, None]], dim=1)


def along(
    posterior: Posterior,
    images: np.ndarray,
    labels: np.ndarray,
    cells: np.ndarray,
    device: torch.device | str = "cpu",
) -> dict[str, list[float]]:
    """How good a posterior is along given sequences of glimpses: means of `along_each`, lists."""
    each = along_each(posterior, images, labels, cells, device)
    return {name: values.mean(0).tolist() for name, values in each.items()}


def along_each(
    posterior: Posterior,
    images: np.ndarray,
    labels: np.ndarray,
    cells: np.ndarray,
    device: torch.device | str = "cpu",
) -> dict[str, Tensor]:
    """How good a posterior is along each of given sequences of glimpses.

    **Arguments**

    - `images`: uint8 (n, channels, image_size, image_size).
    - `labels`: int64 (n,), the target's true classes.
    - `cells`: int64 (n, T).

    **Returns** float32 (n, T), t = 1 .. T: `cross_entropy`, of the true labels (nats); `entropy`,
    what the posterior claims (nats); `accuracy`, 0 or 1.
    """
    rows: dict[str, list[Tensor]] = {"cross_entropy": [], "entropy": [], "accuracy": []}
    truth = torch.from_numpy(labels)
    seen, taken = torch.from_numpy(images), torch.from_numpy(cells)
    for t in range(1, cells.shape[1] + 1):
        chunks = zip(seen.split(ALONG_ROWS), taken[:, :t].split(ALONG_ROWS), strict=True)
        parts = [posterior.log_posterior(x.to(device), c.to(device)).cpu() for x, c in chunks]
        log = torch.cat(parts)
        rows["cross_entropy"].append(-log.gather(1, truth[:, None])[:, 0])
        rows["entropy"].append(torch.special.entr(log.exp()).sum(1))
        rows["accuracy"].append((log.argmax(1) == truth).float())
    return {name: torch.stack(values, dim=1) for name, values in rows.items()}
