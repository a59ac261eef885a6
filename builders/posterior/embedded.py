"""Glimpses of a bank's images, embedded once for all images that are annotated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from nogs_bench.builders.posterior.avp import Avp, PreparedAvp
from nogs_bench.device import give_memory_back
from nogs_bench.files import repaired, sound_arrays, write_arrays

# What all files of a bank may take, and how often each image must be drawn: a search asks for a
# twentieth of the cells, and all of them are embedded.
MOST_BYTES = 2**33
LEAST_DRAWN = 20
CELLS_AT_ONCE = 500
GIVE_BACK_EVERY = 25  # files: glibc would keep what each of them took


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
        self._sound: set[int] = set()

    def prepare(self, copies: np.ndarray, prefix: Tensor) -> PreparedAvp:
        """As `Avp.prepare`, of bank images: `copies`, int64 (n,), are 2 i for image i as it is and
        2 i + 1 for it left to right reversed."""
        network: Any = self.avp.network
        tables = {copy: self._table(copy) for copy in set(copies.tolist())}
        embed = partial(_looked, [tables[copy] for copy in copies.tolist()])
        return PreparedAvp(self.avp, network.prepare_embedded(embed, prefix))

    def _table(self, copy: int) -> Tensor:
        """float16 (cells, width), memory-mapped without a file that stays open."""
        path = self.folder / f"{copy:07d}.safetensors"
        if copy not in self._sound:
            if path.exists() and not sound_arrays(path):
                repaired([path], "was damaged: made again")
                path.unlink(missing_ok=True)
            if not path.exists():
                write_arrays(path, {"glimpses": self.embedded(copy)})
            self._sound.add(copy)
            if len(self._sound) % GIVE_BACK_EVERY == 0:
                give_memory_back()
        return load_file(path)["glimpses"]

    def embedded(self, copy: int) -> np.ndarray:
        """float16 (cells, width): a copy's glimpses, computed."""
        image = self.images[copy // 2]
        shown = np.ascontiguousarray(image[..., ::-1] if copy % 2 else image)
        pixels, network = torch.from_numpy(shown)[None], self.avp.network
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            parts = [
                network.embed(pixels, torch.zeros_like(cells), cells).half()
                for cells in torch.arange(network.grid.cells).split(CELLS_AT_ONCE)
            ]
            return torch.cat(parts).numpy()


def _looked(tables: Sequence[Tensor], rows: Tensor, cells: Tensor) -> Tensor:
    """float32 (m, width): rows `cells` of tables `rows`."""
    looked = torch.empty(len(rows), tables[0].shape[1])
    order = rows.argsort(stable=True)
    numbers, counts = rows[order].unique_consecutive(return_counts=True)
    for number, places in zip(numbers.tolist(), order.split(counts.tolist()), strict=True):
        looked[places] = tables[number][cells[places]].float()
    return looked


def embedded_bytes(avp: Avp, copies: int, drawn: int) -> int:
    """What the files of `copies` bank images take, if `drawn` completions are drawn of them in all;
    0 if computing their glimpses anew is as well.

    It pays on a CPU, for a network with `prepare_embedded`: embedding is most of its work.
    """
    network: Any = avp.network
    if avp.device.type != "cpu" or not _prepares_embedded(type(network)):
        return 0
    size: int = 2 * copies * network.grid.cells * network.width
    return size if LEAST_DRAWN * copies <= drawn and size <= MOST_BYTES else 0


def _prepares_embedded(kind: type) -> bool:
    """Whether a network's `prepare` and `prepare_embedded` are of one class: a class of the user's
    that changes the former alone would be asked in vain."""
    made_by = [
        next((each for each in kind.__mro__ if name in vars(each)), None)
        for name in ("prepare", "prepare_embedded")
    ]
    return made_by[1] is not None and made_by[0] is made_by[1]
