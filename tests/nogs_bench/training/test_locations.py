from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

import nogs_bench
from nogs_bench.network.fovea import ImageTensors, fovea_of
from nogs_bench.network.model import HardAttentionNet
from nogs_bench.results.entries import load_results
from nogs_bench.training.metrics import measure, policy_classifier
from tiny import corner_task


class Walker(HardAttentionNet):
    """Looks at cell 4, and then at cell 8 with probability 3/4, else at cell 0."""

    def locate(self, state: Tensor) -> Tensor:
        logits = torch.full((len(state), 9), -torch.inf)
        first = (state == self.initial).all(1)
        logits[first, 4] = 0.0
        logits[~first, 8] = torch.tensor(0.75).log()
        logits[~first, 0] = torch.tensor(0.25).log()
        return logits


def test_every_rollout_s_locations_are_counted() -> None:
    task = corner_task()
    model = Walker(task)
    data = ImageTensors.of(task.source.load("train"), task, torch.device("cpu"))
    counts = torch.zeros(2, 9, dtype=torch.int64)
    classify = policy_classifier(model, fovea_of(task, data), counts, every=True)
    measure(model, classify, data.labels[None], task.T, 10)
    assert counts.sum(1).tolist() == [4_000, 4_000]
    assert counts[0, 4] == 4_000
    # Binomial: standard deviation 27.
    assert abs(int(counts[1, 8]) - 3_000) < 110
    assert counts[1, 0] + counts[1, 8] == 4_000


def test_results_say_where_the_test_rollouts_looked(tmp_path: Path) -> None:
    task = corner_task(name="corner-locations")
    nogs_bench.evaluate(task=task, methods="ram", seeds=1, iterations=4, out=tmp_path)
    (run,) = load_results(tmp_path)
    assert [sum(step.counts) for step in run.locations] == [80 * 5] * task.T
    assert max(cell for step in run.locations for cell in step.cells) < task.grid.cells
