"""What keeping each run's network costs: processor seconds of runs with and without, in turn.

    python benchmarks/weights.py [--iterations 500] [--pairs 5]

`evaluate --methods ram` of `cluttered-digits` from scratch, two seeds together, in this process.
Prints the median of the pairs' ratios with their range; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from nogs_bench import evaluate


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seconds(50, True)  # warms up
    ratios = []
    for pair in range(options.pairs):
        order = (True, False) if pair % 2 else (False, True)
        taken = {weights: seconds(options.iterations, weights) for weights in order}
        ratios.append(taken[True] / taken[False])
    middle = statistics.median(ratios)
    print(
        f"with weights over without: {middle:.3f} [{min(ratios):.3f}, {max(ratios):.3f}], "
        f"{options.pairs} pairs of {options.iterations} iterations, {platform.processor()}"
    )
    print(json.dumps({"iterations": options.iterations, "ratios": ratios, "median": middle}))


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
