"""Whether what a dataset states is true, why what a search finds is not, and what is lost.

    python benchmarks/stated.py FOLDER [--parts dataset,bank,first,held] [--images 600]
        [--split test] [--first 200] [--data DIR]

FOLDER is what `nogs-bench build` wrote for a task, by the task's own settings; all but `dataset`
need the `.build` in it or, of tasks built together, beside it.

- `dataset`: for each t, the temperature of the posterior that fits every second annotated image
  best, and what it does to the others' cross-entropy; then, in fifths of the images by what is
  stated, the means of that and of what came true.
- `bank`: along the sequences of the first `--images` annotated images, the EPE of the chosen cells
  by completions drawn anew from the same bank, and by those of another one: of the task's sampler,
  or of its images that were neither trained on nor in the bank. What these are above the EPE as
  searched is luck with draws, and with the images of the bank.
- `first`: so many races for the first glimpse, each over the bank in an order of its own, and what
  they lose over all of it.
- `held`: images of the `--split`, which no posterior, bank or correction saw, get sequences; the
  EPE as searched, the same times the dataset's factors, the true label's cross-entropy, their gap
  with its standard error; then the regret of some choices over the bank. This is done for every
  task that was built together with FOLDER's.

Prints tables and last one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from scipy.optimize import minimize_scalar

from nogs_bench.builders.bank import Roles, assign_roles
from nogs_bench.builders.completion import Retrieval
from nogs_bench.builders.pipeline import BuildPlan, Stages, prepare
from nogs_bench.builders.posterior import Posterior, along_each
from nogs_bench.builders.search import (
    Ask,
    Chosen,
    Found,
    Problem,
    Steps,
    Work,
    holds,
    regrets,
    standard_error,
)
from nogs_bench.builders.search.racing import first_race
from nogs_bench.builders.search.searches import run_search
from nogs_bench.executors import LocalExecutor, single_thread
from nogs_bench.files import read_arrays, read_provenance
from nogs_bench.images import LabelledImages, Sampler
from nogs_bench.tasks import TASKS, Task, get_task, load_split, sample_images

SHARD, NUMBERS = 20, 10_000_000
ENOUGH = 0.005
DRAWS = 300
LEAST = 2.0**-24  # of float16, above 0


@dataclass(frozen=True)
class Built:
    """A dataset folder, and what made it; `place`: its task's, of those built together."""

    folder: Path
    stages: Stages
    roles: Roles
    work: Work
    data: Path | None
    place: int

    @property
    def task(self) -> Task:
        return self.stages.plan.tasks[self.place]

    @property
    def posterior(self) -> Posterior:
        return self.stages.posterior(self.task)


def opened(folder: Path, data: Path | None) -> Built:
    record = read_provenance(folder)
    made_by = record["made_by"]["stages"]["sequences"]
    names = together(get_task(record["task"]), made_by["config"]["targets"])
    settings = {"annotation.images": record["annotated"]}
    out = (folder if len(names) == 1 else folder.parent).absolute()
    plan = BuildPlan(names, out, data, settings=settings)
    roles = assign_roles(plan.task, plan.count, plan.seed, plan.data)
    stages = prepare(plan, roles, LocalExecutor(1))
    assert stages.records["sequences"]["key"] == made_by["key"], "built by other settings"
    return Built(folder, stages, roles, stages.load(), data, names.index(record["task"]))


def together(task: Task, targets: list[int]) -> tuple[str, ...]:
    """The tasks of a build, by their columns of the family's labels."""
    relatives = [one for one in map(get_task, TASKS) if one.family == task.family]
    family = {one.target: one.name for one in relatives}
    return tuple(family[target] for target in targets) if len(targets) > 1 else (task.name,)


def text(values: np.ndarray) -> str:
    return " ".join(f"{value:.3f}" for value in values)


def cross_entropies(log: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """float64 (n,), nats, of logarithms of probabilities (n, classes)."""
    scaled = log / temperature
    scaled -= np.log(np.exp(scaled).sum(1, keepdims=True))
    return np.asarray(-scaled[np.arange(len(labels)), labels])


def dataset(folder: Path) -> dict[str, Any]:
    rows = pq.read_table(folder / "annotations" / "train.parquet").to_pylist()
    rows = [row for row in rows if row["annotated"]]
    labels = np.array([row["label"] for row in rows])
    stated = np.array([row["epe"] for row in rows])
    log = np.log(np.clip(np.array([row["posterior"] for row in rows], np.float64), LEAST, 1))
    fit, rest = slice(0, None, 2), slice(1, None, 2)
    found = []
    for t in range(log.shape[1]):

        def mean(temperature: float, some: slice = fit, t: int = t) -> float:
            return float(cross_entropies(log[some, t], labels[some], temperature).mean())

        best = float(minimize_scalar(mean, bounds=(0.3, 3), method="bounded").x)
        found.append([best, mean(1.0, rest), mean(best, rest)])
    temperatures, before, after = np.array(found).T
    print(
        f"temperatures {text(temperatures)}; the other half {text(before)}, with it {text(after)}"
    )
    fifths = []
    for t in range(1, log.shape[1]):
        parts = np.array_split(np.argsort(stated[:, t], kind="stable"), 5)
        said = np.array([stated[part, t].mean() for part in parts])
        true = cross_entropies(log[:, t], labels)
        came = np.array([true[part].mean() for part in parts])
        print(f"t = {t + 1}, in fifths: stated {text(said)}, true {text(came)}")
        fifths.append([said.tolist(), came.tolist()])
    return {"temperatures": np.array(found).tolist(), "fifths": fifths}


def others(built: Built) -> LabelledImages:
    """A bank that nothing was trained on or chosen by."""
    task, data = built.task, built.data
    if isinstance(task.source, Sampler):
        return sample_images(task, "another-bank", 0, task.annotation.bank_images, data)
    parts = [load_split(task, name, data) for name in ("validation", "avp_validation", "test")]
    pixels = np.concatenate([part.images for part in parts])
    return LabelledImages(pixels, np.concatenate([part.labels for part in parts]))


@torch.inference_mode()
def bank(built: Built, images: int) -> dict[str, Any]:
    task = built.task
    arrays: list[dict[str, np.ndarray]] = []
    for path in sorted(built.stages.files["sequences"].glob("*.safetensors")):
        if sum(len(one["cells"]) for one in arrays) < images:
            arrays.append(read_arrays(path, ("cells", "epe")))
    cells, searched = (
        np.concatenate([one[name][:, built.place] for one in arrays])[:images]
        for name in ("cells", "epe")
    )
    part, rng = built.roles.annotated[: len(cells)], np.random.default_rng(5)
    labels = part.labels[:, task.target]
    posterior = built.posterior
    true = along_each(posterior, part.images, labels, cells)["cross_entropy"].numpy()
    print(f"{len(cells)} sequences: searched {text(searched.mean(0))}, true {text(true.mean(0))}")
    result: dict[str, Any] = {"sequences": len(cells)}
    for name, images_of in (("same", built.roles.bank), ("another", others(built))):
        retrieval, found = Retrieval(images_of, task.grid, task.annotation), np.full_like(true, 0)
        for row, image in enumerate(part.images):
            query = retrieval.query(image)
            for t in range(1, task.T):
                query.observe(int(cells[row, t - 1]))
                drawn = query.draw(DRAWS, rng)
                taken = torch.from_numpy(np.repeat(cells[row : row + 1, : t + 1], DRAWS, 0))
                log = posterior.log_posterior(torch.from_numpy(drawn.images), taken)
                which = torch.from_numpy(drawn.labels[:, task.target])
                found[row, t] = -log.gather(1, which[:, None]).mean()
        above, left = (found - searched)[:, 1:], (true - found)[:, 1:]
        print(
            f"{name} bank of {len(images_of):,}, from t = 2: above searched {text(above.mean(0))} "
            f"+- {text(standard_error(above))}; true above it {text(left.mean(0))} +- "
            f"{text(standard_error(left))}",
            flush=True,
        )
        result[name] = {"above": above.mean(0).tolist(), "left": left.mean(0).tolist()}
    return result


def first(built: Built, seeds: int) -> list[float]:
    kept: list[np.ndarray] = []

    def whole(problem: Problem) -> Steps:
        values = yield Ask(np.arange(problem.cells), np.arange(problem.samples))
        kept.append(values)
        return Found(0, values.mean(1))

    built.work.annotator.first_step(whole)
    values = kept[built.place]
    means = values.mean(1)
    lost = np.empty(seeds)
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(values.shape[1])
        problem = Problem(built.task.grid.shape, len(order))
        shuffled = values[:, order]

        def answer(
            cells: np.ndarray, samples: np.ndarray, shuffled: np.ndarray = shuffled
        ) -> np.ndarray:
            found: np.ndarray = shuffled[np.ix_(cells, samples)]
            return found

        raced = run_search(first_race, problem, answer)
        lost[seed] = means[raced.cell] - means.min()
    print(
        f"first glimpse, {seeds} races over {values.shape[1]:,} images: regret at most "
        f"{lost.max():.4f} nats, within {ENOUGH} in {(lost <= ENOUGH).mean():.1%}",
        flush=True,
    )
    return lost.tolist()


def held(built: Built, images: int, split: str) -> list[dict[str, Any]]:
    tasks, work = built.stages.plan.tasks, built.work
    part = load_split(tasks[0], split, built.data)[:images]
    numbers = NUMBERS + np.arange(len(part))
    begin = time.process_time()
    made = [
        work.annotator.annotate(part.images[rows], numbers[rows].tolist(), work.first)
        for rows in (slice(s, s + SHARD) for s in range(0, len(part), SHARD))
    ]
    seconds = (time.process_time() - begin) / len(part)
    print(f"{seconds:.3f} CPU s an image, all tasks together")
    found = []
    for place, task in enumerate(tasks):
        cells = np.concatenate([one.cells[:, place] for one in made])
        searched = np.concatenate([one.epe[:, place] for one in made])
        folder = built.folder if len(tasks) == 1 else built.folder.parent / task.name
        stated = searched * read_provenance(folder)["made_by"]["epe_factors"]
        found.append(came_true(built, task, Chosen(part.images, numbers, cells), part, stated))
        found[-1] |= {"searched": searched.mean(0).tolist(), "cpu_seconds": seconds}
    return found


def came_true(
    built: Built, task: Task, chosen: Chosen, part: LabelledImages, stated: np.ndarray
) -> dict[str, Any]:
    """What is stated of `part`'s sequences, beside what came true, printed as means."""
    labels = part.labels[:, task.target]
    each = along_each(built.stages.posterior(task), part.images, labels, chosen.cells)
    true = each["cross_entropy"].numpy()
    gap = true - stated
    lost = regrets(built.work.annotator, task.target, chosen)
    rows = {
        "stated": stated.mean(0),
        "true": true.mean(0),
        "claimed": each["entropy"].numpy().mean(0),
        "true - stated": gap.mean(0),
        "standard error": standard_error(gap),
        f"regret of {len(lost)}": lost.mean(0) if len(lost) else np.zeros(task.T),
    }
    print(f"{task.name}, {len(part)} images")
    for name, values in rows.items():
        print(f"{name:16} {text(values)}")
    print(f"within .05 at every t: {'yes' if holds(stated, true) else 'no'}", flush=True)
    return {"name": task.name} | {name: values.tolist() for name, values in rows.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--parts", default="dataset,bank,first,held")
    arguments.add_argument("--images", type=int, default=600)
    arguments.add_argument("--split", default="test")
    arguments.add_argument("--first", type=int, default=200)
    arguments.add_argument("--data", type=Path)
    given = arguments.parse_args()
    single_thread("cpu")
    built = cache(lambda: opened(given.folder, given.data))
    parts = {
        "dataset": lambda: dataset(given.folder),
        "bank": lambda: bank(built(), given.images),
        "first": lambda: first(built(), given.first),
        "held": lambda: held(built(), given.images, given.split),
    }
    found = {name: parts[name]() for name in given.parts.split(",")}
    task = read_provenance(given.folder)["task"]
    print(json.dumps({"task": task, "images": given.images, **found}))


if __name__ == "__main__":
    main()
