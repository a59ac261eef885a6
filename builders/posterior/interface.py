"""What a posterior over labels given glimpses must offer, whoever computes it."""

from __future__ import annotations

from collections.abc import Iterator
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


def log_along(
    posterior: Posterior,
    images: np.ndarray,
    cells: np.ndarray,
    device: torch.device | str = "cpu",
    rows: int = ALONG_ROWS,
) -> Iterator[Tensor]:
    """Log-probabilities float (n, classes), nats, after t = 1 .. T glimpses, on the device.

    **Arguments**

    - `images`: uint8 (n, channels, image_size, image_size).
    - `cells`: int64 (n, T).
    - `rows`: of how many images at once.
    """
    seen, taken = torch.from_numpy(images), torch.from_numpy(cells)
    for t in range(1, cells.shape[1] + 1):
        parts = zip(seen.split(rows), taken[:, :t].split(rows), strict=True)
        yield torch.cat([posterior.log_posterior(x.to(device), c.to(device)) for x, c in parts])


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
    for log in map(Tensor.cpu, log_along(posterior, images, cells, device)):
        rows["cross_entropy"].append(-log.gather(1, truth[:, None])[:, 0])
        rows["entropy"].append(torch.special.entr(log.exp()).sum(1))
        rows["accuracy"].append((log.argmax(1) == truth).float())
    return {name: torch.stack(values, dim=1) for name, values in rows.items()}
