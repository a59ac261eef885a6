"""What a method's own objective costs: steps of R stacked runs, in turn with RAM's.

    python benchmarks/objectives.py --sequences DIR --runs 5

Every method's stack does `--steps` steps by turns, `--blocks` times after one that is not counted;
a step's cost is processor time (on a GPU, wall time with the device waited for), its ratio to RAM's
of the same turn. Prints medians with least and greatest; last one line of JSON. `--sequences`: a
dataset folder with its posterior network, for the methods that ask it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nogs_bench import load_annotations, load_posterior
from nogs_bench.methods import Method, find_method
from nogs_bench.network import ImageTensors, load_model
from nogs_bench.sequences import load_maps
from nogs_bench.tasks import Task, get_task
from nogs_bench.training import Lessons, Run, Trainee
from nogs_bench.training.learner import Learner

METHODS = "ram,ps-nogs,ps-nogs-beliefs,ps-nogs-maps,ram-gain,ram-entropy,ram-taught,ram-ppo"
LENGTH = 10_000


def learner(method: Method, task: Task, runs: int, where: str, device: torch.device) -> Learner:
    """A stack of runs of the method, ready for its first step."""
    images, validation = (
        ImageTensors.of(task.source.load(split), task, device) for split in ("train", "validation")
    )
    rows = load_annotations(task, where) if method.supervised else None
    believed = maps = None
    if rows is not None and rows.posterior is not None:
        believed = np.log(rows.posterior.clip(min=2.0**-14))
    if rows is not None and "maps" in method.needs:
        maps = load_maps(task, where, rows.index)
    posterior = load_posterior(where, device.type) if "posterior" in method.needs else None
    lessons = Lessons(posterior, None if rows is None else rows.index, believed, maps)
    made = Learner(
        [
            Trainee(
                Run(task, method, LENGTH, seed, False, str(seed)),
                load_model("reference").build(task, seed),
                images,
                validation,
                rows,
                lessons=lessons,
            )
            for seed in range(runs)
        ],
        True,
    )
    made.begin(0)
    return made


def seconds(made: Learner, start: int, steps: int, device: torch.device) -> float:
    """Of each of `steps` steps."""
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.synchronize()
    clock = time.perf_counter if cuda else time.process_time
    begun = clock()
    for iteration in range(start, start + steps):
        made.learn(iteration, LENGTH)
    if cuda:
        torch.cuda.synchronize()
    return (clock() - begun) / steps


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--task", default="cluttered-digits")
    arguments.add_argument("--sequences", required=True)
    arguments.add_argument("--methods", default=METHODS)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=10)
    arguments.add_argument("--blocks", type=int, default=7)
    arguments.add_argument("--device", default="cpu")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    task, device = get_task(given.task), torch.device(given.device)
    task = replace(task, training=task.protocol("scratch").training or task.training)
    names = ["ram", *(name for name in given.methods.split(",") if name != "ram")]
    stacks = {
        name: learner(find_method(name), task, given.runs, given.sequences, device)
        for name in names
    }
    found: dict[str, list[float]] = {name: [] for name in names}
    for block in range(given.blocks + 1):
        for name, made in stacks.items():
            each = seconds(made, block * given.steps, given.steps, device)
            if block:
                found[name].append(each)
    figures: dict[str, dict[str, Any]] = {}
    for name, times in found.items():
        ratios = [own / ram for own, ram in zip(times, found["ram"], strict=True)]
        figures[name] = {
            "milliseconds": round(1e3 * statistics.median(times), 2),
            "ratio": [round(f(ratios), 3) for f in (statistics.median, min, max)],
        }
        middle, least, greatest = figures[name]["ratio"]
        cost = figures[name]["milliseconds"]
        print(f"{name:20} {cost:8.2f} ms  {middle:.2f} [{least:.2f}, {greatest:.2f}] of ram's")
    print(json.dumps({"runs": given.runs, "device": given.device, "methods": figures}))


if __name__ == "__main__":
    main()
