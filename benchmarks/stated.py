"""Whether what a dataset states is true of other images: its EPE, corrected as the dataset's.

    python benchmarks/stated.py FOLDER [--images 600] [--split test] [--first 200] [--data DIR]

FOLDER is what `nogs-bench build TASK` wrote, with its `.build`, by the task's own settings. Images
of the `--split`, which no posterior, bank or correction saw, get sequences in the same way.
For each t, means over images: the EPE as searched; what is stated, that is this times the dataset's
factors; the true label's cross-entropy; the gap of the last two with its standard error. Then the
regret of some of these choices over the bank, and what it costs. Before all that, `--first` races
for the first glimpse, each over the bank in an order of its own, and their regrets over all of it.
Prints a table and last one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from nogs_bench.builders.bank import assign_roles
from nogs_bench.builders.pipeline.plan import BuildPlan
from nogs_bench.builders.pipeline.stages import prepare
from nogs_bench.builders.posterior import along_each
from nogs_bench.builders.search import Annotator, Ask, Chosen, Found, Problem, Steps, holds, regrets
from nogs_bench.builders.search.racing import first_race
from nogs_bench.builders.search.searches import run_search
from nogs_bench.executors import LocalExecutor, single_thread
from nogs_bench.files import read_provenance
from nogs_bench.tasks import load_split

SHARD = 20
NUMBERS = 10_000_000
ENOUGH = 0.005


def text(values: np.ndarray) -> str:
    return " ".join(f"{value:.3f}" for value in values)


def first_regrets(annotator: Annotator, seeds: int) -> np.ndarray:
    """float64 (seeds,), nats: what races for the first glimpse lose over the whole bank."""
    kept: list[np.ndarray] = []

    def whole(problem: Problem) -> Steps:
        values = yield Ask(np.arange(problem.cells), np.arange(problem.samples))
        kept.append(values)
        return Found(0, values.mean(1))

    annotator.first_step(whole)
    (values,) = kept
    means = values.mean(1)
    lost = np.empty(seeds)
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(values.shape[1])
        problem = Problem(annotator.task.grid.shape, len(order))
        raced = run_search(first_race, problem, lambda c, n, o=order: values[np.ix_(c, o[n])])
        lost[seed] = means[raced.cell] - means.min()
    return lost


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--images", type=int, default=600)
    arguments.add_argument("--split", default="test")
    arguments.add_argument("--first", type=int, default=0)
    arguments.add_argument("--data", type=Path)
    given = arguments.parse_args()
    single_thread("cpu")
    record = read_provenance(given.folder)
    settings = {"annotation.images": record["annotated"]}
    plan = BuildPlan(record["task"], given.folder.absolute(), given.data, settings=settings)
    task = plan.task
    roles = assign_roles(task, plan.count, plan.seed, plan.data)
    stages = prepare(plan, roles, LocalExecutor(1))
    made_by = record["made_by"]["stages"]["sequences"]
    assert stages.records["sequences"]["key"] == made_by["key"], "built by other settings"
    work = stages.load()
    first = first_regrets(work.annotator, given.first) if given.first else np.empty(0)
    if given.first:
        share = (first <= ENOUGH).mean()
        print(
            f"first glimpse, {given.first} races over {len(roles.bank):,} images: regret at most "
            f"{first.max():.4f} nats, within {ENOUGH} in {share:.1%}",
            flush=True,
        )
    part = load_split(task, given.split, given.data)[: given.images]
    numbers = NUMBERS + np.arange(len(part))
    begin = time.process_time()
    made = [
        work.annotator.annotate(part.images[rows], numbers[rows].tolist(), work.first)
        for rows in (slice(s, s + SHARD) for s in range(0, len(part), SHARD))
    ]
    seconds = (time.process_time() - begin) / len(part)
    cells = np.concatenate([one.cells[:, 0] for one in made])
    searched = np.concatenate([one.epe[:, 0] for one in made])
    each = along_each(work.annotator.posterior, part.images, part.labels[:, task.target], cells)
    true = each["cross_entropy"].numpy()
    stated = searched * record["made_by"]["epe_factors"]
    gap = true - stated
    begin = time.process_time()
    lost = regrets(work.annotator, task.target, Chosen(part.images, numbers, cells))
    lost_seconds = (time.process_time() - begin) / max(len(lost), 1)
    rows = {
        "searched": searched.mean(0),
        "stated": stated.mean(0),
        "true": true.mean(0),
        "claimed": each["entropy"].numpy().mean(0),
        "true - stated": gap.mean(0),
        "standard error": gap.std(0) / len(gap) ** 0.5,
        f"regret of {len(lost)}": lost.mean(0) if len(lost) else np.zeros(task.T),
    }
    print(f"{task.name}, {len(part)} images of {given.split}")
    for name, values in rows.items():
        print(f"{name:16} {text(values)}")
    print(f"within .05 at every t: {'yes' if holds(stated, true) else 'no'}")
    print(f"{seconds:.3f} CPU s an image; a regret takes {lost_seconds:.3f} s an image")
    plain = {name: values.tolist() for name, values in rows.items()}
    result = {"task": task.name, "images": len(part), "cpu_seconds": seconds, **plain}
    print(json.dumps(result | {"regret_seconds": lost_seconds, "first": first.tolist()}))


if __name__ == "__main__":
    main()
