"""The posterior network that made a dataset, in its folder: weights, settings, and how it is asked.

`posterior/settings.json` says what the network is, `posterior/weights-K.safetensors` holds its
weights; of a build with K folds there are K networks, whose probabilities are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from nogs_bench.builders.posterior import Avp, log_along
from nogs_bench.device import choose_device
from nogs_bench.errors import NogsError
from nogs_bench.files import digest_file, parse_json, read_provenance, write_json
from nogs_bench.images import Label
from nogs_bench.sequences import posterior_folder, require_file
from nogs_bench.tasks import AvpTraining, GlimpseGrid, Task

FOLDER, SETTINGS = "posterior", "settings.json"
FORMAT = 1
ROWS = 2000


@dataclass(frozen=True)
class Networks:
    """Trained AVPs of a task's family: state dicts, one of each fold."""

    weights: Sequence[Mapping[str, Tensor]]


@dataclass(frozen=True)
class _Shape:
    """What of a `Task` an `Avp` is made from."""

    avp: AvpTraining
    grid: GlimpseGrid
    channels: int
    labels: tuple[Label, ...]
    target: int


class DatasetPosterior:
    """What the posterior network of a dataset believes about a label.

    - `classes`: names of the label's classes; `T`: how many glimpses it was trained for.
    """

    def __init__(self, networks: Sequence[Avp], shape: _Shape, T: int):
        self.networks, self.T = list(networks), T
        self.classes, self.grid = shape.labels[shape.target].classes, shape.grid
        self._shape = (shape.channels, shape.grid.image_size, shape.grid.image_size)

    def log_posterior(self, images: Tensor, cells: Tensor) -> Tensor:
        """float (n, classes), nats: log-probabilities after seeing each image at its cells.

        **Arguments**

        - `images`: uint8 (n, channels, size, size), on the posterior's device.
        - `cells`: int64 (n, t), t = 1 .. T: location indices, row by row of the grid.

        Raises `NogsError` if these have another shape or type, or, on a CPU, the grid has no such
        cell.
        """
        self._check(images, cells)
        return self._mean([network.log_posterior(images, cells) for network in self.networks])

    def log_posterior_along(self, images: Tensor, cells: Tensor) -> Tensor:
        """float (n, T, classes), nats: the same after each glimpse, the first t of (n, T) cells, in
        one pass. Raises `NogsError` as `log_posterior` does."""
        self._check(images, cells)
        n, steps = cells.shape
        counts = torch.arange(1, steps + 1, device=cells.device).repeat(n)
        repeated = images.repeat_interleave(steps, 0), cells.repeat_interleave(steps, 0)
        with torch.no_grad():
            logs = [
                network(*repeated, counts)[network.target].log_softmax(1)
                for network in self.networks
            ]
        return self._mean(logs).view(n, steps, -1)

    def _mean(self, logs: Sequence[Tensor]) -> Tensor:
        """Logarithms of the mean probabilities."""
        if len(logs) == 1:
            return logs[0]
        return torch.stack(list(logs)).logsumexp(0) - float(np.log(len(logs)))

    def _check(self, images: Tensor, cells: Tensor) -> None:
        fits = images.dtype == torch.uint8 and tuple(images.shape[1:]) == self._shape
        fits &= cells.dtype == torch.int64 and cells.dim() == 2 and len(cells) == len(images)
        if not fits or not 1 <= cells.shape[1] <= self.T:
            wanted = ", ".join(map(str, self._shape))
            raise NogsError(
                f"a posterior takes uint8 images (n, {wanted}) and int64 cells (n, t) with t = 1 "
                f".. {self.T}, got {images.dtype} {tuple(images.shape)} and {cells.dtype} "
                f"{tuple(cells.shape)}"
            )
        # On an accelerator this would wait for it.
        if cells.device.type == "cpu" and len(cells):
            least, most = (int(each) for each in cells.aminmax())
            if least < 0 or most >= self.grid.cells:
                raise NogsError(f"cells {least} .. {most}: the grid has 0 .. {self.grid.cells - 1}")


def write_posterior(folder: Path, task: Task, networks: Networks) -> dict[str, Any]:
    """Write networks and settings to `folder`/posterior; returns what provenance says of them."""
    place = folder / FOLDER
    place.mkdir(parents=True)
    settings = {
        "format": FORMAT,
        "network": task.avp.network.partition("@")[0],
        "grid": asdict(task.grid),
        "channels": task.channels,
        "labels": [asdict(label) for label in task.labels],
        "target": task.target,
        "T": task.T,
        "folds": len(networks.weights),
    }
    write_json(place / SETTINGS, settings)
    for number, weights in enumerate(networks.weights):
        held = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
        (place / f"weights-{number}.safetensors").write_bytes(save(held))
    return {
        "network": settings["network"],
        "files": {f"{FOLDER}/{path.name}": digest_file(path) for path in sorted(place.iterdir())},
    }


def load_posterior(name: str | Path, device: str = "auto") -> DatasetPosterior:
    """The posterior network of a dataset: what a good observer believes about the label.

    **Arguments**

    - `name`: as `load` takes it: a dataset folder, a task's name, or `OWNER/NAME` on the Hub.
    - `device`: `"auto"`, `"cpu"` or `"cuda"`.

    Raises `NogsError` if there is no such dataset, it holds no posterior (it was built before
    datasets did, or with a posterior that is no network), or a file is not the one recorded.
    """
    folder = posterior_folder(name)
    record = read_provenance(folder).get(FOLDER) or {}
    files = record.get("files", {})
    if not files:
        raise NogsError(
            f"{name} holds no posterior network: it was built by an older version, from a "
            "posterior that is no network, or imported; build it anew"
        )
    for file, digest in files.items():
        require_file(folder / file, digest)
    where = torch.device(choose_device(device))
    try:
        settings: Any = parse_json((folder / FOLDER / SETTINGS).read_bytes())
        if settings["format"] != FORMAT:
            raise NogsError(
                f"{name}: its posterior is of format {settings['format']}, of another version of "
                "nogs-bench; install a newer one"
            )
        grid: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in settings["grid"].items()
        }
        labels = tuple(Label(x["name"], tuple(x["classes"])) for x in settings["labels"])
        shape = _Shape(
            AvpTraining(settings["network"], 1),
            GlimpseGrid(**grid),
            settings["channels"],
            labels,
            settings["target"],
        )
        networks = []
        for number in range(settings["folds"]):
            network = Avp(cast(Task, shape))
            network.load_state_dict(load_file(folder / FOLDER / f"weights-{number}.safetensors"))
            networks.append(network.to(where).freeze())
        return DatasetPosterior(networks, shape, settings["T"])
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        line = (str(error).splitlines() or [""])[0]
        raise NogsError(f"{folder / FOLDER} does not describe a posterior: {line}") from error


def beliefs_along(posterior: Any, images: np.ndarray, cells: np.ndarray, device: str) -> np.ndarray:
    """float16 (n, T, classes): probabilities after each glimpse of the sequences int64 (n, T)."""
    each = [log.exp().cpu().numpy() for log in log_along(posterior, images, cells, device, ROWS)]
    return np.stack(each, axis=1).astype(np.float16)
