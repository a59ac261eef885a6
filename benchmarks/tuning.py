"""Each method's few settings, chosen by one written budget of trials on seeds that are not scored.

    python benchmarks/tuning.py cluttered-digits --protocol scratch --sequences DIR

Random search, pruned: `--trials` settings of each method are drawn (`SPACES`; the first is the
default), all are trained for a share of the length, the better third for the next share, down to
the last. A setting is worth the mean validation accuracy over the run: what is quick and ends high
has more. RAM comes first. Prints the best settings of each method, each rung
and what the search cost; last one line of JSON. With twelve trials a method takes the iterations of
seven whole runs; RAM's own rate takes eight (`ram_rate.py`). Runs in `--out` are not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench import evaluate
from nogs_bench.methods import find_method
from nogs_bench.randomness import derive
from nogs_bench.results import RunResult, load_results
from nogs_bench.tasks import get_task

SEEDS = (100, 101)
# (share of the length, seeds, share of the settings that goes on)
RUNGS = ((0.25, 1, 0.33), (0.5, 1, 0.33), (1.0, 2, 0.0))
RATES = (0.33, 1.0, 2.0, 3.0)
# What is drawn of each method; "" of those that have no line of their own.
SPACES: Mapping[str, Mapping[str, Sequence[float]]] = {
    "": {"rate": RATES},
    "ram-taught": {"rate": RATES, "weight": (1, 5, 20), "gain": (0, 0.25), "each_step": (0, 1)},
    "ps-nogs-taught": {"rate": RATES, "weight": (1, 5, 20), "gain": (0, 0.25), "each_step": (0, 1)},
    "ps-nogs-beliefs": {"rate": RATES, "weight": (1, 5, 20)},
    "ps-nogs-maps": {"rate": RATES, "tau": (0.02, 0.05, 0.1), "minimum": (0, 1)},
    "ps-nogs-maps-taught": {"rate": RATES, "tau": (0.02, 0.05, 0.1), "minimum": (0, 1)},
    "ram-gain": {"rate": RATES, "each_step": (0, 1)},
    "ram-entropy": {"rate": RATES, "bonus": (0.003, 0.01, 0.03, 0.1)},
    "ram-ppo": {"rate": RATES, "clip": (0.1, 0.2, 0.4), "passes": (2, 4)},
}


def drawn(method: str, trials: int) -> list[str]:
    """`trials` different settings of a method, as `evaluate` takes them; all, if there are fewer.

    The first is the method as it is. A function of the method's name and `trials` alone.
    """
    space = SPACES.get(method, SPACES[""])
    rng = np.random.default_rng(derive("tuning", method))
    most = int(np.prod([len(values) for values in space.values()]))
    usual = find_method(method).options
    found = {tuple(float(usual[name]) for name in space): method}
    most += any(usual[name] not in values for name, values in space.items())
    while len(found) < min(trials, most):
        options = {name: float(rng.choice(values)) for name, values in space.items()}
        spec = ":".join([method, *(f"{name}={value:g}" for name, value in options.items())])
        found.setdefault(tuple(options.values()), spec)
    return list(found.values())


def worth(run: RunResult) -> float:
    """Mean validation accuracy over a run's evaluations but the first."""
    return statistics.fmean(point.accuracy for point in run.curve[1:])


def rung(
    specs: Sequence[str], given: argparse.Namespace, share: float, seeds: int
) -> dict[str, Any]:
    """Train settings for a share of the length; each one's worth and best accuracy."""
    length = round(share * given.iterations)
    out = Path(given.out) / given.task / given.protocol / str(length)
    evaluate(
        task=given.task,
        protocol=given.protocol,
        sequences=given.sequences,
        data=given.data,
        methods=list(specs),
        seeds=SEEDS[:seeds],
        iterations=length,
        device=given.device,
        workers=given.workers,
        out=out,
    )
    runs: dict[str, list[RunResult]] = {}
    for run in load_results(out):
        if run.seed in SEEDS[:seeds]:
            runs.setdefault(run.method, []).append(run)
    found = {}
    for spec in specs:
        own = runs[find_method(spec).name]
        best = [max(point.accuracy for point in run.curve) for run in own]
        found[spec] = {
            "worth": round(statistics.fmean(map(worth, own)), 4),
            "best_accuracy": round(statistics.fmean(best), 4),
        }
    return found


def tune(methods: Sequence[str], given: argparse.Namespace) -> list[dict[str, Any]]:
    """The best settings of each method, with every rung and the iterations that all took.

    A rung of all methods is one call, so that a GPU trains it as one stack.
    """
    specs = {method: drawn(method, given.trials) for method in methods}
    rungs: dict[str, list[dict[str, Any]]] = {method: [] for method in methods}
    cost = dict.fromkeys(methods, 0)
    for share, seeds, kept in RUNGS:
        found = rung([spec for own in specs.values() for spec in own], given, share, seeds)
        for method, own in specs.items():
            best = sorted(own, key=lambda spec: -found[spec]["worth"])
            cost[method] += round(share * given.iterations) * seeds * len(own)
            rungs[method].append({spec: found[spec] for spec in best})
            specs[method] = best[: max(1, round(kept * len(best)))]
    return [
        {"method": each, "best": specs[each][0], "iterations": cost[each], "rungs": rungs[each]}
        for each in methods
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("task")
    arguments.add_argument("--protocol", required=True)
    arguments.add_argument("--methods", default="ram,ps-nogs,ram-taught,ps-nogs-taught")
    arguments.add_argument("--sequences", default=None)
    arguments.add_argument("--data", default=None)
    arguments.add_argument("--trials", type=int, default=12)
    arguments.add_argument("--iterations", type=int, default=None)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--workers", type=int, default=1)
    arguments.add_argument("--out", default="tuning")
    given = arguments.parse_args()
    given.iterations = given.iterations or get_task(given.task).protocol(given.protocol).iterations
    found = tune(sorted(given.methods.split(","), key=lambda name: name != "ram"), given)
    for tuned in found:
        for number, each in enumerate(tuned["rungs"]):
            for spec, figures in each.items():
                print(f"{number} {spec:50} {figures['worth']:.4f} {figures['best_accuracy']:.4f}")
    print(json.dumps({"task": given.task, "protocol": given.protocol, "methods": found}))


if __name__ == "__main__":
    main()
