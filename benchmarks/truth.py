"""Annotation where the truth is known: a small world with a closed-form posterior.

    python benchmarks/truth.py [--images 60] [--seeds 20] [--parts pairs,searches,first] [--small]

The world (`tests/support/small_world.py`) is a mixture of products of Bernoullis: images are drawn
at will, and the posterior and the expected posterior entropy (EPE) of every next glimpse are sums.
For each criterion, what the posterior sees at earlier glimpses, effective sample size and search:
the EPE stated for the chosen cells, their exact EPE, the regret (exact EPE above that of the best
cell), the true cross-entropy and what the posterior claims after the glimpse, and the cost. With
the exact posterior, and with one that is too sure (its log-probabilities are divided by a
temperature below 1). Then the first glimpse over a whole bank and over 1,000 of its images, and how
often the bound that a race states holds. Prints tables and last one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nogs_bench.builders.completion import Retrieval
from nogs_bench.builders.search import Annotator
from nogs_bench.executors import single_thread

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from small_world import SmallWorld

T, BANK = 4, 20_000
PAIRS = [
    (criterion, observed)
    for criterion in ("entropy", "cross-entropy")
    for observed in ("sample", "pasted")
]
SEARCHES = ("exhaustive", "halving", "racing", "rematch", "coarse-to-fine")


def annotator(
    world: SmallWorld, bank: int, seed: int, first: int = 10**6, **settings: Any
) -> Annotator:
    """What annotates images of the world, with a bank of its own."""
    task = world.task(T)
    annotation = replace(
        task.annotation, sigma=(), components=0, together=False, first_samples=first, **settings
    )
    task = replace(task, annotation=annotation)
    drawn = world.draw(bank, np.random.default_rng([seed, 1]))
    return Annotator(task, world, Retrieval(drawn, task.grid, annotation), seed)


def measured(world: SmallWorld, images: int, bank: int, **settings: Any) -> dict[str, Any]:
    """What is stated, true and lost along sequences."""
    one = annotator(world, bank, 0, **settings)
    some = world.draw(images, np.random.default_rng(99)).images
    start = time.process_time()
    made = one.annotate(some, range(images), one.first_step())
    seconds = (time.process_time() - start) / images
    cells = made.cells[:, 0]
    paths = zip(some, cells, strict=True)
    every = np.array([[world.exact_epe(image, row[:t]) for t in range(T)] for image, row in paths])
    exact = np.take_along_axis(every, cells[..., None], 2)[..., 0]
    regret = exact - every.min(2)
    prefixes = [cells[:, : t + 1] for t in range(T)]
    pixels = torch.from_numpy(some)
    logs = [world.log_posterior(pixels, torch.from_numpy(prefix)) for prefix in prefixes]
    return {
        "stated": made.epe[:, 0].mean(0).tolist(),
        "exact": exact.mean(0).tolist(),
        "true": [float(world.expected_cross_entropy(some, prefix).mean()) for prefix in prefixes],
        "claimed": [float(torch.special.entr(log.exp()).sum(1).mean()) for log in logs],
        "regret": regret.mean(0).tolist(),
        "bound_held": float((regret <= made.bounds[:, 0] + 1e-9)[:, 1:].mean()),
        "posteriors": float(made.evaluations.mean() / (T - 1)),
        "cpu_seconds": seconds,
    }


def text(values: Iterable[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values)


def shown(name: str, row: dict[str, Any]) -> None:
    print(
        f"{name:38} stated {text(row['stated'])} exact {text(row['exact'])} true "
        f"{text(row['true'])} claimed {text(row['claimed'])} regret {text(row['regret'])} "
        f"{row['posteriors']:7,.0f} posteriors a step",
        flush=True,
    )


def first_glimpse(bank: int, seeds: int) -> dict[str, list[float]]:
    """Regret of the first glimpse, over banks of their own, by how much of them is looked at."""
    world = SmallWorld()
    exact = world.exact_epe(np.zeros((1, 6, 6), np.uint8), np.empty(0, np.int64))
    regrets: dict[str, list[float]] = {}
    for first in (1000, bank):
        for seed in range(seeds):
            settings = {"criterion": "cross-entropy", "observed": "sample", "search": "racing"}
            one = annotator(world, bank, seed, first, effective_samples=200.0, **settings)
            (found,) = one.first_step()
            regrets.setdefault(f"{first}", []).append(float(exact[found.cell] - exact.min()))
    for name, values in regrets.items():
        print(
            f"first glimpse over {name} images: regret at most {max(values):.4f}, above .005 in "
            f"{np.mean(np.array(values) > 0.005):.0%} of {seeds} banks",
            flush=True,
        )
    return regrets


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--images", type=int, default=60)
    arguments.add_argument("--seeds", type=int, default=20)
    arguments.add_argument("--effective", default="50,200")
    arguments.add_argument("--temperatures", default="1,0.6")
    arguments.add_argument("--parts", default="pairs,searches,first")
    arguments.add_argument(
        "--small", action="store_true", help="for the tests: sizes that say little"
    )
    given = arguments.parse_args()
    single_thread("cpu")
    bank, samples, images, seeds = BANK, 800, given.images, given.seeds
    if given.small:
        bank, samples, images, seeds = 1_000, 60, 3, 2
    result: dict[str, Any] = {"pairs": {}, "searches": {}}
    parts = given.parts.split(",")
    temperatures = map(float, given.temperatures.split(",")) if "pairs" in parts else ()
    for temperature in temperatures:
        world = SmallWorld(temperature=temperature)
        for effective in map(float, given.effective.split(",")):
            for criterion, observed in PAIRS:
                name = f"{criterion}, {observed}, {effective:.0f}, temperature {temperature:g}"
                row = measured(
                    world,
                    images,
                    bank,
                    criterion=criterion,
                    observed=observed,
                    effective_samples=effective,
                    samples=samples,
                    search="exhaustive",
                )
                result["pairs"][name] = row
                shown(name, row)
    for search in SEARCHES if "searches" in parts else ():
        row = measured(
            SmallWorld(),
            images,
            bank,
            criterion="cross-entropy",
            observed="sample",
            effective_samples=200.0,
            samples=samples,
            search=search,
        )
        result["searches"][search] = row
        shown(search, row)
        if row["bound_held"]:
            print(f"{'':38} bound held in {row['bound_held']:.1%}", flush=True)
    if "first" in parts:
        result["first"] = first_glimpse(bank, seeds)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
