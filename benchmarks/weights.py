"""What keeping each run's network costs: processor seconds of runs with and without, in turn.

    python benchmarks/weights.py [--iterations 500] [--pairs 5]

`evaluate --methods ram` of `cluttered-digits` from scratch, two seeds together, in this process.
Prints the median of the pairs' ratios with their range, and the share of processor time that the
keeping itself takes: copies of the best weights at validations, and the files at the end. The share
is little disturbed by other work on the machine, which moves the ratio by several per cent. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from nogs_bench import evaluate
from nogs_bench.evaluation import work
from nogs_bench.training import best


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seconds(50, True)  # warms up
    ratios, shares = [], []
    spent = [timed(best.Best, "offer"), timed(work, "_keep")]
    for pair in range(options.pairs):
        order = (True, False) if pair % 2 else (False, True)
        before = sum(map(sum, spent))
        taken = {weights: seconds(options.iterations, weights) for weights in order}
        ratios.append(taken[True] / taken[False])
        shares.append((sum(map(sum, spent)) - before) / taken[True])
    middle, share = statistics.median(ratios), statistics.median(shares)
    print(
        f"with weights over without: {middle:.3f} [{min(ratios):.3f}, {max(ratios):.3f}], "
        f"{options.pairs} pairs of {options.iterations} iterations, {platform.processor()}"
    )
    print(f"keeping itself: {share:.2%} [{min(shares):.2%}, {max(shares):.2%}] of the time with it")
    report = {"iterations": options.iterations, "ratios": ratios, "median": middle}
    print(json.dumps(report | {"shares": shares, "share": share}))


def timed(owner: Any, name: str) -> list[float]:
    """The processor seconds of each call of a function from now on."""
    function = getattr(owner, name)
    taken: list[float] = []

    def call(*arguments: Any) -> Any:
        began = time.process_time()
        try:
            return function(*arguments)
        finally:
            taken.append(time.process_time() - began)

    setattr(owner, name, call)
    return taken


def seconds(iterations: int, weights: bool) -> float:
    """Processor seconds of one evaluation."""
    with TemporaryDirectory() as folder:
        began = time.process_time()
        evaluate(
            methods="ram",
            protocol="scratch",
            seeds=2,
            iterations=iterations,
            out=Path(folder),
            weights=weights,
            workers=1,
            device="cpu",
        )
        return time.process_time() - began


if __name__ == "__main__":
    main()
