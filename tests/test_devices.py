"""A CPU against a GPU: the same up to rounding, which on a GPU is that of TF32 convolutions.

Where there is no GPU, a pretended one shows that the tests themselves work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from corner_task import CORNER, telling_annotations
from nogs_bench.builders.completion.retrieval import Retrieval
from nogs_bench.builders.search.annotate import Annotator, Sequences
from nogs_bench.device import determined
from nogs_bench.methods import METHODS
from nogs_bench.network import ImageTensors, load_model
from nogs_bench.training import Run, Trainee, train_together
from nogs_bench.training.learner import Learner
from pretended import pretended_device
from tiny import corner_images, corner_task
from weights import trained

TOLERANCE = 0.01  # nats


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A GPU; where there is none, a pretended one, without graphs."""
    if torch.cuda.is_available():
        yield "cuda"
    else:
        with pretended_device(monkeypatch):
            yield "cuda"


def annotated(device: str) -> Sequences:
    """Of twelve images, every cell with every completion."""
    task = corner_task()
    settings = replace(task.annotation, search="exhaustive")
    task = replace(task, annotation=settings)
    bank, images = corner_images(7, 150), corner_images(8, 12).images
    posterior = trained(task).to(device)
    retrieval = Retrieval(bank, task.grid, settings, device=device)
    annotator = Annotator(task, posterior, retrieval, 0, device)
    return annotator.annotate(images, range(12), annotator.first_step())


def compare(a: Sequences, b: Sequences) -> None:
    """Maps agree. What was chosen first is the same; then, where nothing is all but as good."""
    np.testing.assert_array_equal(a.cells[:, 0, 0], b.cells[:, 0, 0])
    np.testing.assert_allclose(a.maps.astype(float), b.maps.astype(float), atol=TOLERANCE)
    np.testing.assert_allclose(a.epe, b.epe, atol=TOLERANCE)
    clear = np.diff(np.sort(a.maps.astype(float), axis=-1)[..., :2])[..., 0] > 2 * TOLERANCE
    np.testing.assert_array_equal(a.cells[clear], b.cells[clear])


def test_the_tolerance_tells_posteriors_apart() -> None:
    """Maps span several times as much, and the first choice is a clear one."""
    made = annotated("cpu")
    maps = made.maps.astype(float)
    assert np.ptp(maps, axis=-1).min() > 2 * TOLERANCE
    best = np.sort(maps[0, 0, 0])
    assert best[1] - best[0] > 2 * TOLERANCE
    compare(made, annotated("cpu"))


def test_a_gpu_annotates_as_a_cpu_does(gpu: str) -> None:
    compare(annotated("cpu"), annotated(gpu))


def trainees(where: str, methods: list[str], frozen: bool = False) -> list[Trainee]:
    splits = (CORNER.source.load(split) for split in ("train", "validation"))
    images, validation = (ImageTensors.of(s, CORNER, torch.device(where)) for s in splits)
    return [
        Trainee(
            Run(CORNER, METHODS[method], 60, seed, frozen, f"run-{seed}"),
            load_model("reference").build(CORNER, seed),
            images,
            validation,
            telling_annotations() if METHODS[method].supervised else None,
        )
        for seed, method in enumerate(methods)
    ]


def curves_of(where: str, methods: list[str], frozen: bool, **options: object) -> np.ndarray:
    curves, _ = train_together(trainees(where, methods, frozen), **options)
    return np.array([[point.cross_entropy for point in curve] for curve in curves])


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("methods", [["ps-nogs"], ["ram", "ps-nogs", "ram"]])
def test_recorded_steps_do_what_steps_do(gpu: str, monkeypatch, capsys, methods, frozen) -> None:
    stacked = len(methods) > 1
    recorded = curves_of(gpu, methods, frozen, stacked=stacked)
    assert "without CUDA graphs" not in capsys.readouterr().err
    monkeypatch.setenv("NOGS_CUDA_GRAPHS", "0")
    plain = curves_of(gpu, methods, frozen, stacked=stacked)
    np.testing.assert_allclose(recorded, plain, atol=TOLERANCE)


@pytest.mark.slow
def test_a_recorded_training_goes_on_where_it_stopped(gpu: str, tmp_path, monkeypatch) -> None:
    class Stopped(Exception):
        pass

    def report(done: int, note: str) -> None:
        if done >= 30:
            raise Stopped

    monkeypatch.setattr("nogs_bench.training.runstate.CHECKPOINT_SECONDS", 0.0)
    methods, path = ["ram", "ps-nogs"], tmp_path / "c.safetensors"
    expected = curves_of(gpu, methods, False)
    with pytest.raises(Stopped):
        train_together(trainees(gpu, methods), path, report)
    np.testing.assert_allclose(
        curves_of(gpu, methods, False, checkpoint=path), expected, atol=TOLERANCE
    )


def test_a_gpu_repeats_itself_where_that_is_wanted(gpu: str) -> None:
    kept = []
    for _ in range(2):
        made = trainees(gpu, ["ram", "ps-nogs", "ram"])
        with determined():
            train_together(made)
        kept.append([v.cpu() for one in made for v in one.model.state_dict().values()])
    assert all(torch.equal(a, b) for a, b in zip(*kept, strict=True))


def test_a_gpu_computes_the_gradient_of_a_cpu(gpu: str) -> None:
    found = {}
    for where in ("cpu", gpu):
        learner = Learner(trainees(where, ["ram", "ps-nogs"]), True)
        generator = torch.Generator().manual_seed(1)
        learner.begin(0)
        rows, uniform = learner.draws.rows, learner.draws.uniform
        rows.copy_(torch.randint(96, rows.shape, generator=generator).to(where))
        uniform.copy_(torch.rand(uniform.shape, generator=generator).to(where))
        learner._step()
        flat = [p.grad.flatten().cpu() for p in learner.parts["model"].parameters()]
        found[where] = torch.cat(flat)
    assert found["cpu"].norm() > 0
    error = (found["cpu"] - found[gpu]).norm() / found["cpu"].norm()
    assert error < 0.01
