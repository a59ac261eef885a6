"""The posterior's networks beside each other, trained for the same time: how good, how quick."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nogs_bench.builders.bank import Roles, assign_roles
from nogs_bench.builders.compare.sequences import Judge
from nogs_bench.builders.pipeline import TrainedAvp, Workspace, check_images
from nogs_bench.builders.posterior import (
    Avp,
    calibration,
    fixed_cells,
    seconds_per_epoch,
    validate_avp,
)
from nogs_bench.builders.search import WAYS, standard_error
from nogs_bench.device import (
    choose_device,
    determined,
    device_kind,
    in_turn,
    is_determined,
    on_threads,
)
from nogs_bench.errors import NogsError
from nogs_bench.files import Mirror, Provenance, locked, write_json
from nogs_bench.images import data_folder
from nogs_bench.tasks import Task, get_task, merged_settings, with_settings

NETWORKS = ("conv", "local")
REPEATS = 3
FIRST_PAIRS, MOST_PAIRS = 16, 4096


@dataclass(frozen=True)
class AvpMeasure:
    """A posterior's network on held-out images, at one fixed draw of uniform locations.

    - `cross_entropy` (nats), `accuracy`, `calibration_error` (expected, 0 .. 1): for t = 1 .. T;
      empty where only the cost was asked for.
    - `epochs`: trained for; `seconds`: how long that took, None where it was interrupted.
    - `prepared`: evaluations a second as a search asks, `Prepared`, the preparation included.
    - `whole`: evaluations a second of `log_posterior`, which is given whole sequences.
    - `judged_entropy`, `judged_cross_entropy`: nats, t = 1 .. T, of the first network compared,
      along sequences that this one chose; empty where none were asked for.
    - `judged_error`: nats, standard errors of the differences of `judged_cross_entropy` to the
      first network's own, paired by image.
    """

    network: str
    epochs: int
    seconds: float | None
    cross_entropy: tuple[float, ...]
    accuracy: tuple[float, ...]
    calibration_error: tuple[float, ...]
    prepared: float
    whole: float
    judged_entropy: tuple[float, ...] = ()
    judged_cross_entropy: tuple[float, ...] = ()
    judged_error: tuple[float, ...] = ()


@in_turn("compare_avp")
def compare_avp(
    task: str | Task,
    networks: Sequence[str] = (),
    seconds: float = 60.0,
    out: str | Path | None = None,
    data: str | Path | None = None,
    seed: int = 0,
    threads: int = 1,
    device: str = "auto",
    cost_only: bool = False,
    sequences: int = 0,
    deterministic: bool = False,
    overrides: Mapping[str, Any] | None = None,
) -> list[AvpMeasure]:
    """Train each network of the task's AVP for the same time and measure it.

    How many epochs that is, is measured on the first batches; the learning rate follows the whole
    of its schedule. Interrupted, it goes on where it was; what is trained already is loaded.

    **Arguments**

    - `task`: a registered name, `FILE.py:NAME`, or a `Task`.
    - `networks`: as `AvpTraining.network` (default: `conv` and `local`).
    - `seconds`: of training, each; on a CPU of processor time, which other programs do not change.
    - `out`: folder of the trained networks (default: `nogs/compare-avp/TASK`).
    - `data`: folder of the task's images, where they need one.
    - `overrides`: settings of the task's `annotation` and `avp`, as `build` takes them.
    - `cost_only`: train nothing, and measure the cost of random weights; needs no images.
    - `sequences`: of how many images each network chooses sequences, for the first to judge.
    - `deterministic`: as `nogs_bench.Where` has it.

    Raises `NogsError` on bad input.
    """
    task = with_settings(get_task(task), merged_settings("compare", overrides))
    device = choose_device(device)
    if not 0 < seconds < math.inf:
        raise NogsError(f"--seconds {seconds}: give each network some time to train")
    if not 0 <= sequences <= task.annotation.images:
        most = task.annotation.images
        raise NogsError(f"--sequences {sequences}: give 0 to {most} for {task.name}")
    names = list(networks) or list(NETWORKS)
    tasks = [replace(task, avp=replace(task.avp, network=name)) for name in names]
    with on_threads(threads), determined(deterministic):
        # Unknown names are said before any work.
        untrained = [Avp(each) for each in tasks]
        if cost_only:
            return [_cost(*one, device) for one in zip(names, tasks, untrained, strict=True)]
        roles = assign_roles(task, task.annotation.images, seed, data_folder(data))
        check_images(task, len(roles.avp(0)))
        folder = Path(out) if out else Path("nogs") / "compare-avp" / task.name.replace(":", "-")
        made = [_trained(each, roles, seconds, folder, seed, threads, device) for each in tasks]
        if not sequences:
            return [measure for measure, _ in made]
        judge = Judge(task, roles, made[0][1], sequences, seed, device)
        judged = [judge.judged(avp) for _, avp in made]
        own = judged[0]["cross_entropy"]
        return [
            _with_sequences(measure, rows, own)
            for (measure, _), rows in zip(made, judged, strict=True)
        ]


def _cost(name: str, task: Task, avp: Avp, device: str) -> AvpMeasure:
    return AvpMeasure(name, 0, None, (), (), (), *speeds(avp.to(device).freeze(), task, device))


def _with_sequences(measure: AvpMeasure, rows: Mapping[str, Tensor], own: Tensor) -> AvpMeasure:
    """With what the judge says of its sequences, and of their difference from the judge's `own`."""
    return replace(
        measure,
        judged_entropy=tuple(rows["entropy"].mean(0).tolist()),
        judged_cross_entropy=tuple(rows["cross_entropy"].mean(0).tolist()),
        judged_error=tuple(standard_error((rows["cross_entropy"] - own).numpy()).tolist()),
    )


def _trained(
    task: Task, roles: Roles, seconds: float, folder: Path, seed: int, threads: int, device: str
) -> tuple[AvpMeasure, Avp]:
    kind, clock = TrainedAvp(), _clock(threads, device)
    config = dict(kind.config(task, threads, device_kind(device))) | {"seconds": seconds}
    if device != "cpu" and is_determined():
        config |= {"deterministic": True}
    parents = {"images": roles.avp(0).digest(), "validation": roles.avp_validation.digest()}
    provenance = Provenance("compared-avp", config, seed, parents)
    notes = folder / f"{provenance.name}.training.json"
    busy = f"another call trains {task.avp.network} in {folder}; wait for it, or give another --out"
    with locked(folder / f"{provenance.name}.lock", busy):
        if not notes.exists():
            each = seconds_per_epoch(task, roles, seed, device, clock)
            write_json(notes, {"epochs": max(1, round(seconds / each)), "seconds": None})
        trained = json.loads(notes.read_text())
        task = replace(task, avp=replace(task.avp, epochs=trained["epochs"]))

        def make(path: Path) -> None:
            checkpoint = kind.checkpoint(path)
            whole, start = not checkpoint.exists(), clock()
            kind.make(path, task, roles, seed, device)
            if whole:
                write_json(notes, trained | {"seconds": clock() - start})

        path = Workspace(folder, Mirror(folder)).stage(provenance, ".safetensors", make)
    avp = kind.load(path, task, device)
    held = roles.avp_validation
    labels = held.labels[:, task.target]
    cells = fixed_cells(task.grid, len(held), task.T)
    quality = validate_avp(avp, task, roles)
    curves = calibration(avp, held.images, labels, cells, device)
    prepared, whole = speeds(avp, task, device)
    measure = AvpMeasure(
        network=task.avp.network,
        epochs=trained["epochs"],
        seconds=json.loads(notes.read_text())["seconds"],
        cross_entropy=tuple(quality["cross_entropy"]),
        accuracy=tuple(quality["accuracy"]),
        calibration_error=tuple(curve.expected_error for curve in curves),
        prepared=prepared,
        whole=whole,
    )
    return measure, avp


def speeds(avp: Avp, task: Task, device: str, seconds: float = 1.0) -> tuple[float, float]:
    """Evaluations a second of random completions at the last step, prepared and whole.

    All cells of `annotation.samples` completions with one prefix, or as many as `seconds` allow;
    medians of three. Where the task pastes what was seen, they share the pixels at the prefix.
    """
    rng = np.random.default_rng(0)
    n, cells = task.annotation.samples, task.grid.cells
    shape = (n, task.channels, task.image_size, task.image_size)
    images = torch.from_numpy(rng.integers(256, size=shape, dtype=np.uint8)).to(device)
    prefix = torch.from_numpy(rng.integers(cells, size=(1, task.T - 1))).expand(n, -1).to(device)
    observed = None
    if WAYS[task.annotation.observed].pasted and task.annotation.together:
        observed = images[:1].expand_as(images)
        seen = torch.from_numpy(task.grid.masks).to(device)[prefix[0]].any(0)
        images = torch.where(seen, observed, images)
    rows = torch.arange(n, device=device).repeat(cells)
    asked = torch.arange(cells, device=device).repeat_interleave(n)

    def whole(part: slice) -> None:
        taken = torch.cat([prefix[rows[part]], asked[part, None]], dim=1)
        avp.log_posterior(images[rows[part]], taken)

    def prepared() -> Callable[[slice], None]:
        step = avp.prepare(images, prefix, observed)

        def ask(part: slice) -> None:
            step.log_posterior(rows[part], asked[part])

        return ask

    ways: tuple[Callable[[], Callable[[slice], None]], ...] = (prepared, lambda: whole)
    first, second = (
        median(_rate(way, len(rows), device, seconds) for _ in range(REPEATS)) for way in ways
    )
    return first, second


def _rate(
    way: Callable[[], Callable[[slice], None]], pairs: int, device: str, seconds: float
) -> float:
    """Pairs a second, asked for in growing parts until all are or time is up."""
    clock = _clock(torch.get_num_threads(), device)
    way()(slice(0, FIRST_PAIRS))
    begin, done, size = clock(), 0, FIRST_PAIRS
    ask = way()
    while done < pairs and clock() - begin < seconds:
        ask(slice(done, done + size))
        done, size = min(pairs, done + size), min(2 * size, MOST_PAIRS)
    return done / (clock() - begin)


def _clock(threads: int, device: str) -> Callable[[], float]:
    """Seconds: of processor time a thread on a CPU, of the wall elsewhere."""
    if device == "cpu":
        return lambda: time.process_time() / threads

    def wall() -> float:
        torch.get_device_module(device).synchronize()
        return time.perf_counter()

    return wall
