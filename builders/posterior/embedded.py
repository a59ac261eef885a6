"""Glimpses of a bank's images, embedded once for all images that are annotated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nogs_bench.builders.posterior.avp import Avp, PreparedAvp
from nogs_bench.errors import NogsError
from nogs_bench.files import read_array, replacing

# What all files of a bank may take, and how often each image must be drawn: a search asks for a
# twentieth of the cells, and all of them are embedded.
MOST_BYTES = 2**33
LEAST_DRAWN = 20


class EmbeddedBank:
    """A bank's glimpses as a network of `Avp` embeds them: of each image that is drawn, all cells.

    They are computed when an image is first drawn, all cells together, so that they do not depend
    on what else is asked for, and kept as float16 in a file that all workers of a build read. What
    is then left to do for a candidate is what follows from the sum of its glimpses.

    **Arguments**

    - `avp`: frozen, on a CPU, with a network that has `prepare_embedded`.
    - `images`: uint8 (n, channels, image_size, image_size), the bank's.
    - `folder`: of the files, of this network and bank alone.
    """

    def __init__(self, avp: Avp, images: np.ndarray, folder: Path):
        self.avp, self.images, self.folder = avp, images, folder

    def prepare(self, copies: np.ndarray, prefix: Tensor) -> PreparedAvp:
        """As `Avp.prepare`, of bank images: `copies`, int64 (n,), are 2 i for image i as it is and
        2 i + 1 for it left to right reversed."""
        network: Any = self.avp.network
        embed = partial(_looked, [self._table(copy) for copy in copies.tolist()])
        return PreparedAvp(self.avp, network.prepare_embedded(embed, prefix))

    def _table(self, copy: int) -> np.ndarray:
        """float16 (cells, width), memory-mapped."""
        path = self.folder / f"{copy:07d}.npy"
        if path.exists():
            try:
                return read_array(path, "c")
            except NogsError:
                pass  # left half written by a machine that went down: made again
        with replacing(path) as temporary:
            np.save(temporary, self.embedded(copy))
        return read_array(path, "c")

    def embedded(self, copy: int) -> np.ndarray:
        """float16 (cells, width): a copy's glimpses, computed."""
        image = self.images[copy // 2]
        shown = np.ascontiguousarray(image[..., ::-1] if copy % 2 else image)
        cells = torch.arange(self.avp.network.grid.cells)
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            embedded = self.avp.network.embed(
                torch.from_numpy(shown)[None], torch.zeros_like(cells), cells
            )
        return embedded.half().numpy()


def _looked(tables: Sequence[np.ndarray], rows: Tensor, cells: Tensor) -> Tensor:
    """float32 (m, width): rows `cells` of tables `rows`."""
    looked = np.empty((len(rows), tables[0].shape[1]), np.float16)
    wanted, at = rows.numpy(), cells.numpy()
    order = np.argsort(wanted, kind="stable")
    numbers, starts = np.unique(wanted[order], return_index=True)
    for number, places in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        looked[places] = tables[number][at[places]]
    return torch.from_numpy(looked).float()


def embedded_bytes(avp: Avp, copies: int, drawn: int) -> int:
    """What the files of `copies` bank images take, if `drawn` completions are drawn of them in all;
    0 if computing their glimpses anew is as well.

    It pays on a CPU, for a network with `prepare_embedded`: embedding is most of its work.
    """
    network: Any = avp.network
    if not hasattr(network, "prepare_embedded") or avp.device.type != "cpu":
        return 0
    size: int = 2 * copies * network.grid.cells * network.width
    return size if LEAST_DRAWN * copies <= drawn and size <= MOST_BYTES else 0
