"""RAM's own learning rate: the written budget of trials behind the reference of every speed-up.

    python benchmarks/ram_rate.py cluttered-digits --protocol pretrained

Trains RAM at each of `--rates` on seeds that are never scored (`--seeds`), for the protocol's
length or `--iterations`. The best rate is the lowest of those whose least validation cross-entropy,
mean over seeds, is within .005 nats of the least of all. Prints for each rate that least, where it
lies, and the highest accuracy; last one line of JSON. Runs that are in `--out` are not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from shared_weights import share_weights

from nogs_bench import evaluate
from nogs_bench.results import load_results

CLOSE = 0.005
RATES, SEEDS = (3e-4, 1e-3, 3e-3, 6e-3), (100, 101)


def trial(task: str, protocol: str, rate: float, given: argparse.Namespace) -> dict[str, Any]:
    """RAM at one rate: means over seeds of its least cross-entropy, of where, of its best."""
    out = given.out / task / protocol / f"{rate:g}"
    seeds = [int(seed) for seed in given.seeds.split(",")]
    share_weights(given.out / ".pretrained", out)
    evaluate(
        task=task,
        methods="ram",
        seeds=seeds,
        protocol=protocol,
        iterations=given.iterations,
        training={"learning_rate": rate},
        workers=given.workers,
        out=out,
    )
    curves = [run.curve for run in load_results(out) if run.seed in seeds]
    least = [min(curve, key=lambda point: point.cross_entropy) for curve in curves]
    return {
        "rate": rate,
        "least_cross_entropy": statistics.fmean(point.cross_entropy for point in least),
        "at": [point.iteration for point in least],
        "best_accuracy": statistics.fmean(max(p.accuracy for p in curve) for curve in curves),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("task")
    arguments.add_argument("--protocol", required=True)
    arguments.add_argument("--rates", default=",".join(f"{rate:g}" for rate in RATES))
    arguments.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    arguments.add_argument("--iterations", type=int)
    arguments.add_argument("--workers", type=int)
    arguments.add_argument("--out", type=Path, default=Path("rates"))
    given = arguments.parse_args()
    rates = [float(rate) for rate in given.rates.split(",")]
    found = [trial(given.task, given.protocol, rate, given) for rate in rates]
    for each in found:
        print(
            f"{each['rate']:<8g} least cross-entropy {each['least_cross_entropy']:.4f} nats "
            f"at {each['at']}, best accuracy {100 * each['best_accuracy']:.1f} %"
        )
    least = min(each["least_cross_entropy"] for each in found)
    close = [each for each in found if each["least_cross_entropy"] <= least + CLOSE]
    best = min(close, key=lambda each: each["rate"])
    report = {"task": given.task, "protocol": given.protocol, "best": best["rate"], "trials": found}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
