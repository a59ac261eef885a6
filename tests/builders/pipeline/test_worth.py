"""What a build says of itself: the posterior before the search, the sequences after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from drawings import write_drawings
from nogs_bench.builders.bank import assign_roles
from nogs_bench.builders.pipeline import BuildPlan
from nogs_bench.builders.pipeline.worth import check_posteriors, verdict
from nogs_bench.errors import NogsError
from nogs_bench.tasks import Task, task_of


class Told:
    """Gives the class of the patch's colour the probability `sure`, wherever it looks."""

    def __init__(self, sure: float):
        self.sure = sure

    def log_posterior(self, images: Tensor, cells: Tensor) -> Tensor:
        # Blue, red and green patches, at the lower right of the middle.
        colour = images[:, :, 24, 24].argmax(1)
        label = torch.tensor([1, 2, 0])[colour]
        odds = torch.full((len(images), 3), (1 - self.sure) / 2)
        odds[torch.arange(len(images)), label] = self.sure
        return odds.log()


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return task_of(write_drawings(tmp_path / "photos", each=20))


def test_a_posterior_that_knows_is_let_through(
    task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roles = assign_roles(task, 6, 0, None)
    check_posteriors(BuildPlan(task, tmp_path), lambda task: Told(0.8), roles)
    said = capsys.readouterr().err
    assert "right on 100.0% of 12 held-out images, the commonest answer on" in said
    # log(.8) against the classes' shares among the twelve.
    held = np.concatenate([roles.avp_validation.labels[:, 0], roles.annotated.labels[:, 0]])
    gains = np.log(0.8) - np.log(np.bincount(held)[held] / 12)
    assert f"{gains.mean():.3f} ± {gains.std(ddof=1) / 12**0.5:.3f} nats" in said


def test_one_that_tells_nothing_ends_the_build(task: Task, tmp_path: Path) -> None:
    roles = assign_roles(task, 6, 0, None)
    with pytest.raises(NogsError, match="tells no more than the commonest answer"):
        check_posteriors(BuildPlan(task, tmp_path), lambda task: Told(1 / 3), roles)
    check_posteriors(BuildPlan(task, tmp_path, anyway=True), lambda task: Told(1 / 3), roles)
    with_none = replace(task, stops_blind=False)
    check_posteriors(BuildPlan(with_none, tmp_path), lambda task: Told(1 / 3), roles)


def test_one_label_of_several_that_nothing_is_known_of_does_not_stop_the_others(
    task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roles: Any = SimpleNamespace()
    for name in ("avp_validation", "annotated"):
        part = getattr(assign_roles(task, 6, 0, None), name)
        twice = SimpleNamespace(images=part.images, labels=part.labels.repeat(2, axis=1))
        setattr(roles, name, twice)
    task = replace(task, labels=(*task.labels, replace(task.labels[0], name="again")))
    both = (task, replace(task, name="other", target=1))
    sure = {task.name: 0.8, "other": 1 / 3}
    check_posteriors(BuildPlan(both, tmp_path), lambda task: Told(sure[task.name]), roles)
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("other: the posterior tells no more than the commonest answer")
    assert said.endswith("so its sequences will be worth nothing")
    with pytest.raises(NogsError, match="photos: the posterior tells no more"):
        check_posteriors(BuildPlan(both, tmp_path), lambda task: Told(1 / 3), roles)


def test_the_verdict_is_plain(task: Task) -> None:
    def said(difference: float, error: float) -> str:
        paired = {"cross_entropy": [0.0, difference], "standard_error": [0.0, error]}
        return verdict(task, {"built - random": paired})

    assert "0.200 ± 0.082 nats less along these sequences" in said(-0.2, 0.082)
    assert "NO BETTER" not in said(-0.2, 0.082)
    assert "0.200 ± 0.082 nats MORE along these sequences" in said(0.2, 0.082)
    assert said(-0.1, 0.082).endswith(": THESE SEQUENCES ARE NO BETTER THAN RANDOM ONES")


def test_what_is_told_sooner_is_said(task: Task) -> None:
    paired = {"cross_entropy": [-0.1, -0.3, -0.28, -0.15], "standard_error": [0.13, 0.1, 0.11, 0.1]}
    said = verdict(task, {"built - random": paired})
    assert "IN THE END THESE SEQUENCES ARE NO BETTER" in said
    assert said.endswith("sooner: after 2, by 0.300 ± 0.100 nats")
    paired["standard_error"][1] = 0.13
    paired["standard_error"][2] = 0.12
    assert "sooner" not in verdict(task, {"built - random": paired})
