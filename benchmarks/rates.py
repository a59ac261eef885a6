"""What one worker does a second in each part of a build: `nogs-bench build --plan` reckons with it.

    python benchmarks/rates.py [--device cpu] [--out builders/estimate/rates.json] [--tasks A,B]

Random weights; one thread of a CPU, in processor time, or one GPU, in wall-clock time. Networks and
images are those of the package's tasks; with `--tasks` of these alone, added to what `--out` has.
Prints the file, and last one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from nogs_bench.builders.bank import Roles
from nogs_bench.builders.completion import Completions, Pca, Retrieval
from nogs_bench.builders.estimate import Rates, image_name
from nogs_bench.builders.estimate.rates import read_rates
from nogs_bench.builders.generators.stylegan.network import StyleGanNetwork
from nogs_bench.builders.posterior import Avp, EmbeddedBank, prepare
from nogs_bench.builders.posterior.training.batches import batches_of
from nogs_bench.builders.posterior.training.epochs import _loss
from nogs_bench.builders.search import CRITERIA, GROUP, SEARCHES, Evaluator, StepEpe
from nogs_bench.device import sent
from nogs_bench.executors import single_thread
from nogs_bench.files import write_text
from nogs_bench.images import LabelledImages
from nogs_bench.sequences import SHIPPED
from nogs_bench.tasks import Task, get_task

TASKS = (
    "celeba-hq-male",
    "cub-200",
    "fashion-mnist",
    "cluttered-digits",
    "cluttered-fashion",
    "celeba-10k-smiling",
    "utkface-gender",
    "cub-100",
)
# Posteriors a step over cells x completions, on `cluttered-digits` and `fashion-mnist`:
# docs/history/annotation.md, by `benchmarks/annotation.py --no-cost`.
REPORTED = {"rematch": 16_239 / (169 * 3_000)}
TOKENS = "tokens:vit_tiny_patch16_224"
HEAVY = ("timm:", "tokens:")
STYLEGAN_256 = (512, 512, 512, 512, 256, 128, 64)
REPEATS = 3
COMPLETIONS = 1_000
PAIRS = 3_400_000
LARGE = 100  # pixels


def timed(work: Callable[[], object], device: str, repeats: int = REPEATS) -> float:
    """Median seconds, after one that is not counted."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    seconds = []
    for _ in range(repeats + 1):
        start = clock()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(clock() - start)
    return float(np.median(seconds[1:]))


def noise(task: Task, count: int) -> LabelledImages:
    rng = np.random.default_rng(0)
    shape = (count, task.channels, task.image_size, task.image_size)
    labels = [rng.integers(len(label.classes), size=count) for label in task.labels]
    return LabelledImages(rng.integers(256, size=shape, dtype=np.uint8), np.stack(labels, axis=1))


def network(task: Task, device: str) -> tuple[float, float]:
    """Posteriors, and training images, a second."""
    avp = Avp(task).to(device)
    heavy = task.image_size > LARGE and task.avp.network.startswith(HEAVY)
    batch = min(task.avp.batch_size, 8) if heavy and device == "cpu" else task.avp.batch_size
    small = replace(task, avp=replace(task.avp, batch_size=batch, warmup=0.0))
    images = noise(task, 2 * batch)
    roles = Roles(images, np.arange(1), images, lambda epoch: images, images, {})
    optimizer = torch.optim.AdamW(avp.train().parameters(), fused=True)

    def epoch() -> None:
        for one in batches_of(small, roles, 0, 0):
            optimizer.zero_grad(set_to_none=True)
            _loss(avp, tuple(sent(array, device) for array in one), None, 0).backward()
            optimizer.step()

    training = len(images) / timed(epoch, device)
    avp.freeze()
    return alone(task, avp, device) if heavy else searched(task, avp, device), training


def alone(task: Task, avp: Avp, device: str) -> float:
    """Posteriors a second of a network beside which a search costs nothing."""
    rng, images = np.random.default_rng(1), noise(task, 20)
    prefix = torch.from_numpy(rng.integers(task.grid.cells, size=(1, 2))).expand(20, -1)
    with torch.inference_mode():
        shown = torch.from_numpy(images.images).to(device)
        prepared = prepare(avp, shown, prefix.to(device))
        rows = torch.from_numpy(rng.integers(20, size=64)).to(device)
        cells = torch.from_numpy(rng.integers(task.grid.cells, size=64)).to(device)
        return 64 / timed(lambda: prepared.log_posterior(rows, cells), device)


def embedded(task: Task, avp: Avp) -> tuple[float, float]:
    """Glimpses that are embedded for a bank, and posteriors of completions of theirs, a second."""
    with TemporaryDirectory(prefix="nogs-bench-") as folder:
        kept = EmbeddedBank(avp, noise(task, 1).images, Path(folder))
        seconds = timed(lambda: kept.embedded(0), "cpu")
        return task.grid.cells / seconds, searched(task, avp, "cpu", Path(folder))


def searched(task: Task, avp: Avp, device: str, folder: Path | None = None) -> float:
    """Posteriors a second of a quick network in the searches of some images, these included; with
    a `folder`, of glimpses that are embedded there."""
    criterion = CRITERIA[task.annotation.criterion]
    several = min(COMPLETIONS, task.annotation.samples)
    search, every = SEARCHES["racing"], noise(task, several)
    rng, nowhere = np.random.default_rng(1), np.empty(0, np.int64)
    pairs = PAIRS if task.image_size <= LARGE else 0  # of large images, one step: enough minutes
    count, at_once = 0, min(GROUP, max(1, pairs // (task.grid.cells * several)))
    kept = None if folder is None else EmbeddedBank(avp, every.images, folder)
    evaluator = Evaluator(avp, criterion, task.target, device, embedded=kept)
    drawn_from = nowhere if kept is None else np.arange(several)

    def search_all() -> None:
        nonlocal count
        steps = []
        for _ in range(at_once):
            prefix = rng.integers(task.grid.cells, size=2)
            images, shared = every.images.copy(), None
            if task.annotation.observed == "pasted" and task.annotation.together:
                shared = every.images[rng.integers(several)]
                seen = task.grid.masks[prefix].any(0)
                images[..., seen] = shared[:, seen]
            turned = np.zeros(len(drawn_from), bool)
            drawn = Completions(images, every.labels, 1.0, 1.0, drawn_from, turned)
            steps.append(StepEpe(drawn, prefix, (task.target,), task.grid.cells, shared))
        _, evaluations = evaluator.search(search, steps, task.grid.shape)
        count = sum(evaluations)

    seconds = timed(search_all, device)
    return count / seconds


def retrieval(task: Task, device: str, copies: int = 20_000) -> tuple[float, float]:
    """Images that the proposal, and the exact comparison, get through a second, for a glimpse."""
    rng, settings = np.random.default_rng(0), task.annotation
    distinct = noise(task, 500)
    bank = LabelledImages(np.tile(distinct.images, (copies // 500, 1, 1, 1)), np.zeros((copies, 1)))
    basis = rng.standard_normal((settings.components, distinct.images[0].size), np.float32) / 300
    latents = rng.standard_normal((copies, settings.components), np.float32)
    zero = np.zeros((), np.float32)
    pca = Pca(np.full(basis.shape[1], 0.5, np.float32), basis, latents, zero, zero)
    one = Retrieval(bank, task.grid, settings, pca, device)
    query = one.query(bank.images[7])
    query.observe(0)
    cells = iter(range(1, 100))
    proposed = timed(lambda: query.observe(next(cells)), device)
    seen = next(cells)  # how many cells it has observed
    exact = timed(lambda: query.draw(settings.samples, np.random.default_rng(1)), device) / seen
    moves = len(settings.proposal_shifts) ** 2 * len(one.reversals)
    return copies * moves / proposed, settings.retrieved * len(settings.shifts) ** 2 / exact


def shares() -> dict[str, float]:
    """Of cells x completions that each search computes.

    Racing: in the sequences of `cluttered-digits` that come with the package. Rematch:
    `REPORTED`. The others: at a step of CelebA-HQ's, t = 3, of 200 random completions and
    random weights.
    """
    base = get_task("celeba-hq-male")
    task = replace(base, avp=replace(base.avp, network=TOKENS))
    evaluator = Evaluator(Avp(task).freeze(), CRITERIA["entropy"], 0)
    images, rng = noise(task, task.annotation.samples), np.random.default_rng(2)
    found = {"exhaustive": 1.0, "racing": shipped("cluttered-digits", "racing"), **REPORTED}
    for name in ("halving", "coarse-to-fine"):
        nowhere = np.empty(0, np.int64)
        drawn = Completions(images.images, images.labels, 1.0, 1.0, nowhere, nowhere.astype(bool))
        step = StepEpe(drawn, rng.integers(task.grid.cells, size=2), (0,), task.grid.cells)
        _, (count,) = evaluator.search(SEARCHES[name], [step], task.grid.shape)
        found[name] = count / task.grid.cells / len(images)
    return found


def shipped(name: str, search: str) -> float:
    record = json.loads((SHIPPED / name / "provenance.json").read_text())
    settings = record["made_by"]["stages"]["sequences"]["config"]
    assert settings["search"] == search
    task = get_task(name)
    every = record["annotated"] * (task.T - 1) * task.grid.cells * settings["samples"]
    return float(record["made_by"]["evaluations"] / every)


def of_networks(rates: Rates, tasks: list[Task], device: str) -> Rates:
    """With what the tasks' networks do a second, by network and image."""
    for task in tasks:
        key = image_name(task.avp.network, task)
        rates.posteriors[key], rates.training[key] = network(task, device)
        avp = Avp(task).freeze()
        if device == "cpu" and hasattr(avp.network, "prepare_embedded"):
            rates.embedding[key], rates.embedded[key] = embedded(task, avp)
        print(f"{key}: {rates.posteriors[key]:,.0f} posteriors/s", flush=True)
    return rates


def measured(device: str) -> Rates:
    name = platform.machine() if device == "cpu" else torch.cuda.get_device_name()
    capability = torch.backends.cpu.get_cpu_capability()
    rates = Rates(
        f"one thread, {name}, {capability}" if device == "cpu" else name,
        "cpu" if device == "cpu" else "gpu",
        searches=shares(),
    )
    tasks = [get_task(task) for task in TASKS]
    tasks.append(replace(tasks[0], avp=replace(tasks[0].avp, network=TOKENS)))
    of_networks(rates, tasks, device)
    proposal, exact = retrieval(tasks[0], device)
    matrix = torch.rand(2048, 2048, device=device)
    product = 2048**3 / timed(lambda: matrix @ matrix, device)
    stylegan = StyleGanNetwork(STYLEGAN_256, 512).eval().to(device)
    w = torch.rand(2, 2 * len(STYLEGAN_256), 512, device=device)
    layers = [torch.rand(2, 1, size, size, device=device) for size in stylegan.noise_sizes]
    with torch.inference_mode():
        made = 2 / timed(lambda: stylegan.synthesise(w, layers), device)
    rates.generators["stylegan"] = made
    return replace(rates, proposal=proposal, exact=exact, multiply_adds=product)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--tasks", default="")
    given = arguments.parse_args()
    single_thread("cpu")
    if given.tasks:
        tasks = [get_task(task) for task in given.tasks.split(",")]
        rates = of_networks(read_rates(given.out), tasks, given.device)
    else:
        rates = measured(given.device)
    record = json.loads(
        json.dumps(asdict(rates)), parse_float=lambda text: float(f"{float(text):.4g}")
    )
    if given.out:
        write_text(given.out, json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))
    print(json.dumps(record))


if __name__ == "__main__":
    main()
