"""Training on a device that is not the CPU: it ends, and does what the CPU does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import ClassVar
from unittest.mock import Mock

import numpy as np
import pytest
import torch

import nogs_bench.training.runstate
from corner_task import CORNER, telling_annotations
from nogs_bench.builders.dataset.posterior import DatasetPosterior
from nogs_bench.builders.posterior.avp import Avp
from nogs_bench.device import Repeated
from nogs_bench.errors import NogsError
from nogs_bench.methods import METHODS
from nogs_bench.network.fovea import ImageTensors
from nogs_bench.network.model import load_model
from nogs_bench.tasks.task import Pretraining
from nogs_bench.training import Run, Trainee, train_together
from nogs_bench.training.learner import Learner
from nogs_bench.training.objectives import Lessons
from nogs_bench.training.pretraining import Pretrainee, pretrain, uniform
from pretended import Device, device  # noqa: F401

TOLERANCE = 1e-3
TAUGHT = ["ram", "ram-gain-avp", "ram-entropy", "ps-nogs-beliefs", "ps-nogs-maps-taught"]
PPO = ["ram-ppo", "ram-ppo"]


class _Stopped(Exception):
    pass


def _stop_at(iteration: int):
    def report(done: int, note: str) -> None:
        if done >= iteration:
            raise _Stopped

    return report


def _images(where: str) -> list[ImageTensors]:
    splits = (CORNER.source.load(split) for split in ("train", "validation"))
    return [ImageTensors.of(split, CORNER, torch.device(where)) for split in splits]


def _lessons(where: str) -> Lessons:
    """All that a method may learn of a dataset: an untrained posterior network, made-up tables."""
    torch.manual_seed(0)
    posterior = DatasetPosterior([Avp(CORNER).to(where).freeze()], CORNER, CORNER.T)
    index, rng = telling_annotations().index, np.random.default_rng(0)
    believed = np.log(rng.dirichlet((1, 1), (len(index), CORNER.T)))
    return Lessons(posterior, index, believed, rng.random((len(index), CORNER.T, 9)))


def _trainees(where: str, methods: list[str], frozen: bool = False) -> list[Trainee]:
    images, validation = _images(where)
    lessons = _lessons(where)
    return [
        Trainee(
            Run(CORNER, METHODS[method], 25, seed, frozen, f"run-{seed}"),
            load_model("reference").build(CORNER, seed),
            images,
            validation,
            telling_annotations() if METHODS[method].supervised else None,
            lessons=lessons,
        )
        for seed, method in enumerate(methods)
    ]


def _agree(found: list[Trainee], expected: list[Trainee]) -> None:
    for a, b in zip(found, expected, strict=True):
        for name, value in b.model.state_dict().items():
            own = a.model.state_dict()[name].cpu()
            torch.testing.assert_close(own, value, rtol=TOLERANCE, atol=TOLERANCE, msg=name)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("methods", [["ps-nogs"], ["ram", "ps-nogs", "ram"], TAUGHT, PPO])
def test_runs_on_a_device_are_those_of_the_cpu(device: Device, methods, frozen):  # noqa: F811
    expected, found = (_trainees(where, methods, frozen) for where in ("cpu", "cuda"))
    stacked = len(methods) > 1
    first, _ = train_together(expected, stacked=stacked)
    curves, _ = train_together(found, stacked=stacked)
    _agree(found, expected)
    for a, b in zip(curves, first, strict=True):
        assert [p.iteration for p in a] == [p.iteration for p in b]


def test_a_stacked_training_goes_on_where_it_stopped(device: Device, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(nogs_bench.training.runstate, "CHECKPOINT_SECONDS", 0.0)
    methods, path = ["ram", "ps-nogs"], tmp_path / "c.safetensors"
    whole, halved = _trainees("cuda", methods), _trainees("cuda", methods)
    expected, _ = train_together(whole, keep=True)
    with pytest.raises(_Stopped):
        train_together(_trainees("cuda", methods), path, _stop_at(20), keep=True)
    curves, _ = train_together(halved, path, keep=True)
    assert curves == expected
    for a, b in zip(whole, halved, strict=True):
        for name, value in a.best.items():
            assert torch.equal(b.best[name].cpu(), value.cpu()), name


@pytest.mark.parametrize("runs", [1, 2])
def test_a_pretraining_goes_on_where_it_stopped(device: Device, tmp_path, monkeypatch, runs):  # noqa: F811
    monkeypatch.setattr(nogs_bench.training.runstate, "CHECKPOINT_SECONDS", 0.0)
    images, validation = _images("cuda")

    def go(name: str, report=lambda done, note: None) -> bytes:
        paths = [tmp_path / f"{name}{seed}.safetensors" for seed in range(runs)]
        trainees = [
            Pretrainee(
                CORNER,
                uniform(CORNER),
                seed,
                load_model("reference").build(CORNER, seed),
                images,
                validation,
                path,
                f"k{seed}",
            )
            for seed, path in enumerate(paths)
        ]
        plan = Pretraining(25, 1e-2, evaluation_period=10)
        pretrain(trainees, plan, tmp_path / name, report)
        return b"".join(path.read_bytes() for path in paths)

    expected = go("a")
    with pytest.raises(_Stopped):
        go("b", _stop_at(20))
    assert go("b") == expected


@pytest.mark.parametrize("places", [("cpu", "cuda"), ("cuda", "cpu")])
def test_another_device_is_told_where_to_go_on(device: Device, tmp_path: Path, monkeypatch, places):  # noqa: F811
    monkeypatch.setattr(nogs_bench.training.runstate, "CHECKPOINT_SECONDS", 0.0)
    path = tmp_path / "c.safetensors"
    with pytest.raises(_Stopped):
        train_together(_trainees(places[0], ["ram"]), path, _stop_at(20))
    with pytest.raises(NogsError, match=f"begun with --device {places[0]}"):
        train_together(_trainees(places[1], ["ram"]), path)
    assert path.is_file()


def test_a_step_does_not_wait(device: Device, monkeypatch):  # noqa: F811
    steps = []

    def guarded(self: Repeated) -> None:
        with device.no_waiting() if steps else monkeypatch.context():
            self.step()
        steps.append(1)

    monkeypatch.setattr(Repeated, "__call__", guarded)
    for frozen in (False, True):
        train_together(_trainees("cuda", ["ram", "ps-nogs"], frozen))
    assert len(steps) == 50


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs on the pretended device, whose replay is the step itself; so is their recording."""

    class Graph:
        steps: ClassVar[list[Callable[[], None]]] = []

        def replay(self) -> None:
            self.steps[-1]()

    def record(self: Repeated) -> None:
        Graph.steps.append(self.step)
        recorded(self)

    recorded = Repeated._record
    monkeypatch.setattr(Repeated, "_record", record)
    monkeypatch.setenv("NOGS_CUDA_GRAPHS", "1")
    for name, value in {
        "CUDAGraph": Graph,
        "graph": lambda graph, **options: nullcontext(),
        "Stream": lambda there: Mock(),
        "current_stream": lambda there: Mock(),
        "stream": lambda stream: nullcontext(),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)


def test_what_is_made_of_frozen_weights_outlives_the_recording(device: Device, graphs):  # noqa: F811
    """A recorded step reads it where it lies: memory that is given back would hold other things."""
    made = []

    def watch(iteration: int, learner: Learner) -> None:
        assert iteration < 10 or learner._repeated.recorded is not None
        made.append(learner.network._made)

    train_together(_trainees("cuda", ["ram", "ps-nogs"], frozen=True), watch=watch)
    assert len(made) > 2
    assert all(each is made[0] for each in made)


def test_a_run_on_the_cpu_leaves_the_gpu_alone(device: Device):  # noqa: F811
    train_together(_trainees("cpu", ["ram", "ps-nogs"]))
    assert not device.saved
