"""What annotation costs, and whether the cheap way chooses as the dear one does.

    python benchmarks/annotation.py [--builds DIR] [--first 100] [--images 20]

One thread. **Cost**: one location at CelebA-HQ's setting (224 x 224, 2,500 cells, 16 x 16 glimpses,
t = 3, 200 completions of a bank of 20,000, random weights). The exhaustive DenseNet-121 pipeline is
timed on a sample of its chunks and scaled up, its retrieval left out; the product's step is timed
whole, retrieval included. Levers are timed alone: the search counts posteriors, the network is
timed per posterior.

**Choice**: on the offline tasks, with the trained posteriors of `DIR/TASK` (built there with
`nogs-bench build`'s defaults if absent), images not yet annotated get sequences by the task's own
search and samples, or by `--search` and `--samples`. Each chosen cell is then compared with the
least of all cells over ten times as many completions, drawn anew: independent of those that chose,
so that no choice profits from its own luck; the least itself is of noisy estimates, which makes
the regret look larger, never smaller. That reference evaluates all completions at each cell but
those that a race at a risk of one in a million excludes, after 512 completions at least; it
computes them as the product does. The first glimpse is compared with the least of all cells over
the whole bank.

**Oracle**: on finite banks, where the EPE is known exactly, how far above the least the choices of
the tasks' own searches are, with as many completions as theirs; and how often a race's own bound
holds, with few.

Prints tables and last one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from annotation_levers import levers

from nogs_bench.builders.bank import assign_roles
from nogs_bench.builders.completion import Pca, Retrieval
from nogs_bench.builders.pipeline import BuildPlan, build
from nogs_bench.builders.pipeline import prepare as prepare_stages
from nogs_bench.builders.posterior import Avp, BankPosterior, exact_epe, prepare
from nogs_bench.builders.search import (
    CRITERIA,
    SEARCHES,
    Annotator,
    Evaluator,
    Found,
    Problem,
    Race,
    Search,
    StepEpe,
    Steps,
)
from nogs_bench.executors import LocalExecutor, single_thread
from nogs_bench.images import LabelledImages
from nogs_bench.tasks import GlimpseGrid, Task, get_task

BANK, DISTINCT, PREFIX = 20_000, 400, [1275, 830]
CHUNK, CHUNKS = 16, 3
OFFLINE = ("fashion-mnist", "cluttered-digits")
CERTAIN, CERTAIN_FIRST = 1e-6, 512
TRIALS = 100
FEW = 32


def celeba(network: str) -> tuple[Task, Avp]:
    task = get_task("celeba-hq-male")
    task = replace(task, avp=replace(task.avp, network=network))
    torch.manual_seed(0)
    return task, Avp(task).eval().freeze()


def faces(size: int) -> LabelledImages:
    """20,000 smooth images of random colours, of which some hundreds are distinct."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.integers(256, size=(DISTINCT, 3, 8, 8)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic")
    images = smooth.clamp(0, 255).byte().numpy()
    repeated = np.tile(images, (BANK // DISTINCT, 1, 1, 1))
    return LabelledImages(repeated, rng.integers(2, size=(BANK, 40)))


def random_pca(bank: LabelledImages, components: int) -> Pca:
    """A basis of smooth maps; the cost does not depend on what it is fitted to."""
    rng = np.random.default_rng(1)
    pixels = bank.images[0].size
    basis = rng.standard_normal((components, pixels), np.float32) / pixels**0.5
    latents = rng.standard_normal((len(bank), components), np.float32)
    zero = np.float32(0)
    return Pca(np.full(pixels, 0.5, np.float32), basis, latents, np.array(zero), np.array(zero))


def per_posterior(avp: Avp, images: torch.Tensor, chunk: int, repeats: int) -> float:
    """Median seconds for one posterior of a candidate after two glimpses, prepared."""
    prefix = torch.tensor([PREFIX]).expand(len(images), -1)
    rng = np.random.default_rng(2)
    times = []
    with torch.inference_mode():
        prepared = prepare(avp, images, prefix)
        for _ in range(repeats + 1):
            rows = torch.from_numpy(rng.integers(len(images), size=chunk))
            cells = torch.from_numpy(rng.integers(2500, size=chunk))
            start = time.perf_counter()
            prepared.log_posterior(rows, cells)
            times.append((time.perf_counter() - start) / chunk)
    return float(np.median(times[1:]))


def cost(network: str, search: str) -> dict[str, Any]:
    """The baseline's and the product's time for one location, and each lever's factor."""
    task, dense = celeba("timm:densenet121")
    _, fast = celeba(network)
    settings = replace(task.annotation, search=search)
    bank = faces(task.image_size)
    some = torch.from_numpy(bank.images[: settings.samples])
    dense_seconds = per_posterior(dense, some, CHUNK, CHUNKS)
    fast_seconds = per_posterior(fast, some, 512, 3)
    every = task.grid.cells * settings.samples
    baseline = dense_seconds * every
    retrieval = Retrieval(bank, task.grid, settings, random_pca(bank, settings.components))
    evaluator = Evaluator(fast, CRITERIA[settings.criterion], task.target)
    start = time.perf_counter()
    query = retrieval.query(bank.images[7])
    for cell in PREFIX:
        query.observe(cell)
    query.draw(settings.samples, np.random.default_rng(3))
    retrieved = time.perf_counter() - start
    # Random images agree with nothing: the step is timed on as many distinct ones instead.
    drawn = retrieval.prior(settings.samples, np.random.default_rng(3))
    step = StepEpe(drawn, np.array(PREFIX), (task.target,), task.grid.cells)
    _, (evaluations,) = evaluator.search(SEARCHES[search], [step], task.grid.shape)
    whole = time.perf_counter() - start
    levers = {"network": dense_seconds / fast_seconds, "search": every / evaluations}
    print(f"\nOne location at 224 x 224, 2,500 cells, {settings.samples} completions, t = 3")
    rows = [
        ("exhaustive, DenseNet-121", baseline, f"{CHUNKS} chunks of {CHUNK} of {every:,} timed"),
        (f"{search}, {network}", whole, f"all timed; retrieval {retrieved:.2f} s of it"),
    ]
    for name, seconds, note in rows:
        print(f"{name:45} {seconds:12,.1f} s   {note}")
    for name, factor in levers.items():
        print(f"  {name:43} {factor:12,.1f} x alone")
    return {
        "baseline_seconds": baseline,
        "product_seconds": whole,
        "retrieval_seconds": retrieved,
        "evaluations": evaluations,
        "speedup": baseline / whole,
        "levers": levers,
    }


def reference(chosen: int, outcome: list[float]) -> Search:
    """The least of all cells over all completions; appends the regret of `chosen`."""

    def search(problem: Problem) -> Steps:
        race = Race(problem, CERTAIN, CERTAIN_FIRST)
        yield from race.sort()
        yield from race.run(np.arange(problem.cells))
        best = race.found().cell
        both = np.array([chosen, best])
        yield from race.show(both, problem.samples)
        means = race.values[both].mean(1)
        outcome.append(float(means[0] - means[1]))
        return Found(best, race.values[:, : race.rounds[0]].mean(1))

    return search


def annotator_of(
    task: str, folder: Path, seed: int, **settings: Any
) -> tuple[Annotator, list[Found], Task]:
    """What a build of `task` in `folder` annotates with, `settings` being its annotation's."""
    if not (folder / "provenance.json").exists():
        build(task, folder, images=20, device="cpu", workers=1)
    images = json.loads((folder / "provenance.json").read_text())["annotated"]
    plan = BuildPlan(task, folder, seed=seed, settings={"annotation.images": images})
    roles = assign_roles(plan.task, images, seed, None)
    stages = prepare_stages(plan, roles, LocalExecutor(workers=1))
    work = stages.load()
    one = work.annotator
    chosen = replace(plan.task, annotation=replace(plan.task.annotation, **settings))
    made = Annotator(chosen, one.posterior, one.completion, seed + 1)
    return made, work.first, chosen


def regrets(
    name: str, folder: Path, first_image: int, images: int, **settings: Any
) -> dict[str, Any]:
    """How far above the least EPE the chosen cells are, t = 2 .. T, and what they cost."""
    annotator, first, task = annotator_of(name, folder, 0, **settings)
    numbers = range(first_image, first_image + images)
    train = task.source.load("train").images[list(numbers)]
    (every,) = annotator.first_step(SEARCHES["exhaustive"])
    first_regret = float(every.epe[first[0].cell] - every.epe.min())
    start = time.process_time()
    made = annotator.annotate(train, numbers, first)
    seconds = (time.process_time() - start) / images
    found: list[float] = []
    bounds: list[float] = []
    for number, image in enumerate(train):
        cells, query = made.cells[number, 0], annotator.completion.query(image)
        for t in range(1, task.T):
            query.observe(int(cells[t - 1]))
            rng = np.random.default_rng([9, number, t])
            samples = 10 * task.annotation.samples
            step = annotator.step(query, image, cells[:t], (task.target,), rng, samples)
            search = reference(int(cells[t]), found)
            annotator.evaluator.search(search, [step], task.grid.shape)
            bounds.append(float(made.bounds[number, 0, t]))
        if number % 10 == 9:
            print(
                f"  {name} {number + 1} images: {np.mean(found):.4f}, {max(found):.4f}", flush=True
            )
    held = float(np.mean(np.array(found) <= np.array(bounds)))
    result: dict[str, Any] = {
        "images": images,
        "first": first_regret,
        "mean": float(np.mean(found)),
        "largest": float(np.max(found)),
        "above_0.02": float(np.mean(np.array(found) > 0.02)),
        "bound_held": held,
        "evaluations_a_step": float(made.evaluations.mean() / (task.T - 1)),
        "cpu_seconds_an_image": seconds,
    }
    print(
        f"{name:17} first glimpse's regret over the whole bank {first_regret:.4f} nats; regret "
        f"{result['mean']:.4f} nats, largest {result['largest']:.4f}, bound held "
        f"{held:.3f}; {result['evaluations_a_step']:,.0f} posteriors a step, {seconds:.2f} s of "
        "CPU an image",
        flush=True,
    )
    result["levers"] = levers(annotator, train, first, result["evaluations_a_step"])
    return result


def oracle(search: str, samples: int) -> dict[str, float]:
    """Searches against the exact EPE of finite banks: regret, and how often the bound held."""
    losses, held = [], []
    grid = GlimpseGrid.even(4, 2, 1)
    base = replace(
        get_task("fashion-mnist").annotation,
        search=search,
        sigma=(1e-3,),
        effective_samples=0.0,
        samples=samples,
        observed="sample",
    )
    for trial in range(TRIALS):
        rng = np.random.default_rng(trial)
        images = (rng.integers(0, 2, size=(2000, 1, 4, 4)) * 255).astype(np.uint8)
        labels = images[:, 0].reshape(len(images), -1) @ rng.integers(-2, 3, 16) > 0
        bank = LabelledImages(images, labels.astype(np.int64)[:, None])
        task = replace(get_task("fashion-mnist"), T=2, grid=grid, annotation=base)
        posterior = BankPosterior(bank, grid, 2)
        annotator = Annotator(task, posterior, Retrieval(bank, grid, base), trial)
        made = annotator.annotate(images[:5], range(5), annotator.first_step())
        for image, (cells,), (bound,) in zip(images, made.cells, made.bounds, strict=False):
            exact = exact_epe(posterior, image, cells[:1])
            losses.append(exact[cells[1]] - exact.min())
            held.append(losses[-1] <= bound[1] + 1e-6)
    result = {
        "mean": float(np.mean(losses)),
        "largest": float(np.max(losses)),
        "coverage": float(np.mean(held)),
    }
    print(
        f"{search + f', {samples:,} completions':35} regret {result['mean']:.4f} nats, largest "
        f"{result['largest']:.4f}; bound held in {result['coverage']:.3f} of {len(held)} searches",
        flush=True,
    )
    return result


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--builds", default="nogs")
    arguments.add_argument("--images", type=int, default=20)
    arguments.add_argument("--first", type=int, default=100, help="number of the first image")
    arguments.add_argument("--samples", type=int)
    arguments.add_argument("--search")
    arguments.add_argument("--cost-search", default="coarse-to-fine")
    arguments.add_argument("--avp", default="tokens:vit_tiny_patch16_224")
    arguments.add_argument("--tasks", default=",".join(OFFLINE))
    arguments.add_argument("--no-cost", action="store_true")
    given = arguments.parse_args()
    single_thread("cpu")
    result: dict[str, Any] = {} if given.no_cost else cost(given.avp, given.cost_search)
    print("\nChosen cells against ten times the completions")
    wanted = {"search": given.search, "samples": given.samples}
    settings = {name: value for name, value in wanted.items() if value is not None}
    result["regrets"] = {
        task: regrets(task, Path(given.builds) / task, given.first, given.images, **settings)
        for task in given.tasks.split(",")
        if task
    }
    print("\nOracle: chosen cells against the exact EPE of finite banks")
    own = [get_task(task).annotation for task in OFFLINE]
    searches = [("racing", FEW), *((one.search, one.samples) for one in own)]
    result["oracle"] = {f"{name}, {count}": oracle(name, count) for name, count in searches}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
