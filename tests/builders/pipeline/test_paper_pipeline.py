"""The paper's pipeline under its own settings, at full image, glimpse and grid size.

Only counts are small: images, completions, epochs, iterations. The backbone of the AVP is a tiny
one; DenseNet-121, the paper's, takes one training step. Of CelebA-HQ's 2,500 cells the first
glimpse tries all, and the later ones a lattice of 100.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch.nn.functional import cross_entropy

import nogs_bench
from nogs_bench.builders.pipeline.command import build
from nogs_bench.builders.posterior.avp import Avp
from nogs_bench.builders.prepare.command import prepare
from nogs_bench.builders.search.searches import SEARCHES, Ask, Found, Problem, Steps
from nogs_bench.files.artefact import read_provenance, write_json
from nogs_bench.results.entries import load_results
from nogs_bench.tasks.task import (
    TASKS,
    AvpTraining,
    Pretraining,
    Splits,
    Task,
    TrainingProtocol,
    get_task,
)

pytestmark = pytest.mark.slow

FACES = Splits(train=14, validation=4, test=4, avp_validation=4)
BIRDS = {"train": [0, 20], "validation": [20, 24], "test": [24, 28], "avp_validation": [20, 24]}
# A user's generator: colour gradients, the same for a number whatever range it is asked for in.
GENERATOR = """
import numpy as np

def gradients(seed, start, count):
    images = np.empty((count, 3, 224, 224), np.uint8)
    for row in range(count):
        rng = np.random.default_rng([seed, start + row])
        ends = rng.integers(0, 256, (2, 3, 1, 1))
        images[row] = ends[0] + (ends[1] - ends[0]) * np.linspace(0, 1, 224)
    return images
"""


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    get_task("cub-200")
    for registry in (TASKS, SEARCHES):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    SEARCHES.add("lattice", lattice)
    torch.set_num_threads(1)


def small(task: Task, network: str, search: str) -> Task:
    """`task` with small counts; geometry, networks, priors and likelihoods as they are."""
    annotation = replace(
        task.annotation,
        images=2,
        reserved=4,
        bank_images=12,
        search=search,
        samples=2,
        first_samples=2,
        components=4,
        retrieved=8,
        effective_samples=min(6.0, task.annotation.effective_samples),
    )
    counts = {"batch_size": 4, "evaluation_period": 2, "supervised": 2, "rollouts": 1}
    protocols = tuple(
        replace(
            protocol,
            iterations=2,
            pretraining=protocol.pretraining
            and replace(protocol.pretraining, iterations=2, evaluation_period=1),
        )
        for protocol in task.protocols
    )
    return replace(
        task,
        name=f"{task.name}-small",
        annotation=annotation,
        avp=AvpTraining(network, epochs=1, batch_size=4),
        training=replace(task.training, **counts),
        protocols=protocols,
    )


def lattice(problem: Problem) -> Steps:
    """Every fifth row and column of 50 x 50 cells, by all completions."""
    chosen = np.arange(problem.cells).reshape(50, 50)[::5, ::5].ravel()
    epe = np.full(problem.cells, np.nan)
    epe[chosen] = (yield Ask(chosen, np.arange(problem.samples))).mean(1)
    return Found(int(np.nanargmin(epe)), epe)


def check_sequences(folder: Path, task: Task) -> None:
    """What must hold of any sequences: on the grid, least in their maps, entropies of the label."""
    rows = pq.read_table(folder / "annotations" / "train.parquet").slice(0, 2).to_pylist()
    maps = pq.read_table(folder / "maps" / "train.parquet")["epe_map"].to_pylist()
    assert all(row["annotated"] for row in rows)
    cells = task.grid.pixel_to_index(np.array([row["glimpses"] for row in rows]))
    assert cells.shape == (2, 5)
    assert cells[0, 0] == cells[1, 0]
    values = np.array(maps, np.float64).reshape(2, 5, -1)
    assert values.shape[-1] == task.grid.cells
    assert np.isfinite(values[:, 0]).all()  # the first step is searched exhaustively
    record = read_provenance(folder)
    # As it was searched, without the correction.
    epe = np.array([row["epe"] for row in rows]) / record["made_by"]["epe_factors"]
    most = math.log(len(task.classes))
    assert (epe >= 0).all()
    assert (epe <= most + 1e-3).all()
    np.testing.assert_allclose(np.take_along_axis(values, cells[..., None], 2)[..., 0], epe, 2e-3)
    assert (np.nanmin(values[:, 0], axis=-1) >= epe[:, 0] - 2e-3).all()
    assert record["publishable"]
    assert not (folder / "data").exists()
    settings = record["made_by"]["stages"]["sequences"]["config"]
    for name in ("sigma", "mirrored", "shifts", "proposal_shifts", "observed", "criterion"):
        wanted = getattr(task.annotation, name)
        assert settings[name] == (list(wanted) if isinstance(wanted, tuple) else wanted)
    assert "pca" in record["made_by"]["stages"]
    assert len(record["calibration"]["expected_calibration_error"]) == 5
    assert all(1 <= size <= 12 * 2 for size in record["made_by"]["effective_samples"])


def check_runs(out: Path, methods: tuple[str, ...]) -> None:
    results = {result.method: result for result in load_results(out)}
    assert set(results) == set(methods)
    for result in results.values():
        assert [point.iteration for point in result.curve][-1] == 2
        assert all(math.isfinite(point.cross_entropy) for point in result.curve)
    digests = [result.dataset.digest for result in results.values() if result.dataset]
    assert len(set(digests)) == len(digests) == len(set(methods) - {"ram", "ram+"})


def write_faces(folder: Path) -> Path:
    """22 faces of two greys in CelebA-HQ's layout; men's are dark."""
    folder.mkdir()
    lines = []
    for number in range(22):
        male = number % 2
        pixels = np.full((256, 256, 3), 200 - 120 * male, np.uint8)
        pixels[:, :128] += np.uint8(2 * number)
        Image.fromarray(pixels).save(folder / f"{number:05}.png")
        signs = ["1" if male else "-1"] * 40
        lines.append(f"{number:06}.png " + " ".join(signs))
    (folder / "celeba-hq-attributes.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_celeba_hq_from_images_to_scores(tmp_path: Path) -> None:
    data = prepare("celeba-hq", write_faces(tmp_path / "faces"), tmp_path / "data", splits=FACES)
    task = small(get_task("celeba-hq-male"), "timm:lcnet_035", "lattice")
    assert (task.image_size, task.glimpse_size, task.grid.cells) == (224, 16, 2500)
    (tmp_path / "own.py").write_text(GENERATOR)
    folder = build(
        task,
        tmp_path / task.name,
        data=data,
        bank=f"{tmp_path / 'own.py'}:gradients",
        workers=1,
        device="cpu",
    )
    check_sequences(folder, task)
    assert "generated-bank" in read_provenance(folder)["made_by"]["stages"]
    rows = nogs_bench.load(folder, images=data, task=task)
    assert rows["train"][13]["image"].getpixel((223, 0)) == (80, 80, 80)
    # The paper has neither a pre-training nor hand-crafted sequences here: both are the user's.
    pretrained = TrainingProtocol("pretrained", 2, 0.5, Pretraining(2, 1e-3, evaluation_period=1))
    task = replace(task, protocols=(*task.protocols, pretrained))
    np.save(tmp_path / "points.npy", np.full((14, 5, 2), 112.0))
    methods = ("ram", "ram+", "ps-nogs", "ps-hgs", "ps-h1", "ps-h5")
    nogs_bench.evaluate(
        task=task,
        sequences=folder,
        methods=methods,
        seeds=1,
        protocol="pretrained",
        keypoints=tmp_path / "points.npy",
        data=data,
        out=tmp_path / "results",
        workers=1,
        device="cpu",
    )
    check_runs(tmp_path / "results", methods)


def write_birds(folder: Path) -> Path:
    """28 pictures of noise as `prepare` leaves CUB, with species, attributes and parts."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=(28, 313))
    labels[:, 0] = np.arange(28) * 7
    parts = np.concatenate([rng.uniform(0, 128, (28, 15, 2)), np.ones((28, 15, 1))], axis=2)
    parts[:, 1, 2] = 0
    folder.mkdir()
    np.save(folder / "images.npy", rng.integers(256, size=(28, 3, 128, 128)).astype(np.uint8))
    np.save(folder / "labels.npy", labels)
    np.save(folder / "parts.npy", parts.astype(np.float32))
    write_json(
        folder / "prepared.json", {"dataset": "cub", "count": 28, "splits": BIRDS, "digests": {}}
    )
    return folder


def test_cub_from_images_to_scores(tmp_path: Path) -> None:
    data = write_birds(tmp_path / "birds")
    task = small(get_task("cub-200"), "timm:test_resnet", "halving")
    assert (task.image_size, task.glimpse_size, task.grid.shape) == (128, 32, (13, 13))
    assert (task.training.embedder, task.training.hidden) == ("vgg16-12", 1024)
    folder = build(task, tmp_path / task.name, data=data, workers=1, device="cpu")
    check_sequences(folder, task)
    methods = ("ram", "ram+", "ps-nogs", "ps-hgs", "ps-h1", "ps-h5")
    nogs_bench.evaluate(
        task=task,
        sequences=folder,
        methods=methods,
        seeds=1,
        data=data,
        out=tmp_path / "results",
        workers=1,
        device="cpu",
    )
    check_runs(tmp_path / "results", methods)
    looked = {
        result.method: json.loads(result.model_dump_json())["hyperparameters"]["pretraining"]
        for result in load_results(tmp_path / "results")
    }
    assert looked["ram"]["glimpses"] == "uniform"
    assert {looked[name]["glimpses"] for name in methods[1:]} == {"heuristic"}


@pytest.mark.parametrize(("name", "heads"), [("celeba-hq-male", 40), ("cub-200", 313)])
def test_densenet_takes_a_training_step(name: str, heads: int) -> None:
    task = get_task(name)
    assert task.avp.network == "timm:densenet121"
    torch.manual_seed(0)
    avp = Avp(task)
    size = task.image_size
    images = torch.randint(256, (2, 3, size, size), dtype=torch.uint8)
    logits = avp(images, torch.randint(task.grid.cells, (2, 5)), torch.tensor([1, 5]))
    assert [head.shape[1] for head in logits] == [len(label.classes) for label in task.labels]
    assert len(logits) == heads
    before = sum(cross_entropy(head, torch.zeros(2, dtype=torch.int64)) for head in logits)
    torch.as_tensor(before).backward()
    first = next(p for p in avp.parameters() if p.ndim == 4)
    assert first.shape[1] == 4
    # The mask's weights start at zero, and learn.
    assert (first[:, 3] == 0).all()
    assert (first.grad[:, 3] != 0).any()
