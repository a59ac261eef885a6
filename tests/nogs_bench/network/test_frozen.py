"""Frozen embedders: what they are, their table, their stack, and runs that look through them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from corner_task import CORNER, telling_annotations
from lone_run import train
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.evaluation.configs import model_info
from nogs_bench.methods import METHODS
from nogs_bench.network import ImageTensors, fovea_of, load_model, make_embedder, stack
from nogs_bench.network.embedders import EMBEDDERS
from nogs_bench.network.frozen import feature_table, frozen_network, table, weights_digest
from nogs_bench.network.frozen.stack import FrozenStack
from nogs_bench.network.stacking import MappedStack
from nogs_bench.own_code import load_object
from nogs_bench.tasks import GlimpseGrid, Task
from nogs_bench.trained import load_network
from nogs_bench.training import (
    Pretrainee,
    Run,
    Trainee,
    complexity,
    measure,
    policy_classifier,
    pretrain,
    train_together,
)
from nogs_bench.training.pretraining import uniform

CPU = torch.device("cpu")
NAME = "test_efficientnet"
SPLITS = {split: CORNER.source.load(split) for split in ("train", "validation")}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOGS_BENCH_CACHE", str(tmp_path / "cache"))


def _weights(path: Path, seed: int) -> str:
    """A file of a small backbone's weights, whose normalisations are no identities."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = timm.create_model(NAME, in_chans=1)
        for name, value in backbone.state_dict().items():
            if "running" in name:
                value.copy_(torch.rand_like(value) + 0.5)
    save_file(backbone.state_dict(), path)
    return f"timm:{NAME}@{path}"


def _task(spec: str) -> Task:
    return replace(CORNER, training=replace(CORNER.training, embedder=spec))


def _built(task: Task, seed: int) -> Any:
    return load_model("reference").build(task, seed)


def _network(task: Task) -> Any:
    return frozen_network(_built(task, 0))


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return _task("frozen:" + _weights(tmp_path / "w.safetensors", 0))


def _images(task: Task, known: bool) -> list[ImageTensors]:
    """Training and validation images, with a table or without."""
    network, found = _network(task), []
    for rows in SPLITS.values():
        plain = ImageTensors.of(rows, task, CPU)
        if known:
            features = feature_table(network, task.grid, rows, CPU)
            plain = replace(plain, features=torch.from_numpy(features))
        found.append(plain)
    return found


def test_features_are_the_backbones_whatever_mode_the_model_is_in(task: Task) -> None:
    """Against timm's own forward pass of the images' pixels, cut by hand."""
    model = _built(task, 3).train()
    spec = task.training.embedder.removeprefix("frozen:")
    backbone = timm.create_model(
        NAME, in_chans=1, num_classes=0, pretrained=True,
        pretrained_cfg_overlay={"file": spec.rpartition("@")[2]},
    ).eval()  # fmt: skip
    pixels = torch.from_numpy(SPLITS["train"].images[:3, :, 4:8, 8:12]).float() / 255
    config: Any = backbone.pretrained_cfg
    mean, std = (sum(config[key]) / 3 for key in ("mean", "std"))
    large = nn.functional.interpolate((pixels - mean) / std, (32, 32), mode="bilinear")
    with torch.no_grad():
        expected = backbone(large)
    seen = cast(Any, _images(task, True)[0].features)[:3, 5].float()
    torch.testing.assert_close(seen, expected, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(model.glimpse.network(pixels), expected, atol=2e-3, rtol=2e-3)
    layer = model.glimpse.linear
    torch.testing.assert_close(model.glimpse(pixels), layer(model.glimpse.network(pixels)))


def test_only_a_linear_layer_is_learned_and_kept_and_all_parameters_count(task: Task) -> None:
    model = _built(task, 0)
    names = [name for name, _ in model.glimpse.named_parameters()]
    assert names == ["linear.weight", "linear.bias"]
    assert [name for name in model.state_dict() if "glimpse" in name] == [
        f"glimpse.{name}" for name in names
    ]
    trained = _built(_task(task.training.embedder[len("frozen:") :]), 0)
    assert complexity(model, task) == complexity(trained, task)


def test_a_table_shows_what_pixels_show(task: Task) -> None:
    model = _built(task, 0).eval()
    rows, cells = torch.tensor([0, 95, 40]), torch.tensor([8, 0, 3])
    found = [fovea_of(task, _images(task, known)[0])(rows, cells) for known in (True, False)]
    assert found[0][0].shape[1:] == (model.glimpse.network.width,)
    torch.testing.assert_close(found[0][1], found[1][1], atol=0, rtol=0)
    torch.testing.assert_close(model.embed(*found[0]), model.embed(*found[1]), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_a_stack_is_its_members(task: Task, training: bool) -> None:
    models = [_built(task, seed).train(training) for seed in range(3)]
    together, mapped = stack(models), MappedStack(models)
    assert type(together) is FrozenStack
    patch, location = torch.rand(3, 4, 1, 4, 4), torch.rand(3, 4, 2)
    seen = models[0].glimpse.network(patch.flatten(0, 1)).unflatten(0, (3, 4))
    state = together.start(4)
    expected = [m.look(m.start(4), p, x) for m, p, x in zip(models, patch, location, strict=True)]
    for found in (
        together.look(state, patch, location),
        together.look(state, seen, location),
        mapped.look(mapped.start(4), seen, location),
    ):
        torch.testing.assert_close(found, torch.stack(expected), atol=1e-3, rtol=1e-3)


def test_training_is_that_of_a_backbone_without_gradient_and_without_table(
    task: Task, tmp_path: Path
) -> None:
    """The other model is the fine-tuned one, its backbone kept in eval mode and out of Adam."""
    curves, weights = [], []
    for known in (True, False):
        spec = task.training.embedder
        own = task if known else _task(spec.removeprefix("frozen:"))
        model = _built(own, 5)
        if not known:
            model.load_state_dict(_built(task, 5).state_dict(), strict=False)
            model.glimpse.backbone.requires_grad_(False).eval()
            model.glimpse.backbone.train = lambda mode=True: None
        images, held = _images(task, known)
        plan = CORNER.protocols[1].pretraining
        first = Pretrainee(own, uniform(own), 5, model, images, held, tmp_path / f"{known}")
        pretrain([first], plan, stacked=False)
        curve, _ = train(
            Run(own, METHODS["ps-nogs"], 20, 5, True), model, images, held, telling_annotations()
        )
        curves.append([(point.accuracy, point.cross_entropy) for point in curve])
        weights.append([*model.core.parameters(), *model.glimpse.linear.parameters()])
    torch.testing.assert_close(curves[0], curves[1], atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(weights[0], weights[1], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_run_is_the_same_bytes_in_any_company(task: Task, frozen: bool) -> None:
    images, held = _images(task, True)

    def trained(seeds: list[int]) -> dict[int, list[torch.Tensor]]:
        trainees = [
            Trainee(
                Run(task, METHODS["ps-nogs" if seed % 2 else "ram"], 12, seed, frozen, str(seed)),
                _built(task, seed),
                images,
                held,
                telling_annotations() if seed % 2 else None,
            )
            for seed in seeds
        ]
        train_together(trainees)
        return {t.run.seed: list(t.model.state_dict().values()) for t in trainees}

    whole = trained([0, 1, 2])
    for seeds in ([1], [2, 0]):
        for seed, weights in trained(seeds).items():
            assert all(map(torch.equal, weights, whole[seed]))


def test_a_table_is_computed_once_and_goes_on_where_it_stopped(
    task: Task, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    network = _network(task)
    rows = SPLITS["train"]
    whole = np.array(feature_table(network, task.grid, rows, CPU))
    (path,) = (tmp_path / "cache" / "features").iterdir()
    content = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(table, "RECORDED", 20)
    inner, seen, limit = network.network.forward, [], 50 * CORNER.grid.cells

    def counted(patch: torch.Tensor) -> torch.Tensor:
        seen.append(len(patch))
        if sum(seen) > limit:
            raise KeyboardInterrupt
        return inner(patch)

    monkeypatch.setattr(network.network, "forward", counted)
    with pytest.raises(KeyboardInterrupt):
        feature_table(network, task.grid, rows, CPU)
    assert not path.exists()
    limit, done = 10**9, 40
    seen.clear()
    feature_table(network, task.grid, rows, CPU)
    assert sum(seen) == (len(rows) - done) * CORNER.grid.cells
    assert path.read_bytes() == content
    seen.clear()
    assert np.array_equal(feature_table(network, task.grid, rows, CPU), whole)
    assert not seen
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_what_cannot_be_kept_is_refused(
    task: Task, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    network = _network(task)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=9))
        with pytest.raises(NogsError, match="NOGS_BENCH_CACHE"):
            feature_table(network, task.grid, SPLITS["train"], CPU)
    with monkeypatch.context() as patch:
        patch.setattr(network.network, "forward", lambda x: x.flatten(1)[:, :1] + 1e5)
        with pytest.raises(NogsError, match="too large for float16"):
            feature_table(network, task.grid, SPLITS["train"], CPU)


def test_a_table_that_lost_its_end_is_begun_anew(
    task: Task, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    network, rows = _network(task), SPLITS["train"]
    whole = np.array(feature_table(network, task.grid, rows, CPU))
    (path,) = (tmp_path / "cache" / "features").iterdir()
    content = path.read_bytes()
    path.unlink()
    path.with_suffix(".begun").write_bytes(content[: len(content) // 4])
    path.with_suffix(".json").write_text('{"images": 40}')
    assert np.array_equal(feature_table(network, task.grid, rows, CPU), whole)


class _Crooked(nn.Module):
    """Its layer called linear is not its last."""

    def __init__(self, task: Task, units: int, argument: str):
        super().__init__()
        self.linear = nn.Linear(16, units)
        nn.init.ones_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, patch: torch.Tensor) -> torch.Tensor:
        return self.linear(patch.flatten(1)).relu() + 1


def test_what_cannot_be_frozen_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EMBEDDERS._entries, "crooked", _Crooked)
    for spec, fault in (
        ("conv", "random weights .features.0.weight"),
        (f"timm:{NAME}", "random weights .backbone.conv_stem.weight"),
        ("vgg16-12", "random weights .features.0.weight"),
        ("crooked", "last layer must be a torch nn.Linear, called linear"),
        ("frozen:conv", "random weights"),
        ("convolution", "unknown embedder 'convolution'"),
    ):
        with pytest.raises(NogsError, match=fault):
            make_embedder(f"frozen:{spec}", CORNER, 5)


def test_other_weights_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    spec = _weights(file, 0)
    known = {name: weights_digest(_task(name)) for name in (spec, f"frozen:{spec}")}
    assert None not in known.values()
    assert weights_digest(_task(spec)) == known[spec]
    assert [weights_digest(_task(name)) for name in ("conv", f"timm:{NAME}")] == [None, None]
    settings = {"task": CORNER, "methods": "ram", "seeds": 1, "workers": 1, "iterations": 10}
    for name in known:
        out = tmp_path / name.partition(":")[0]
        settings |= {"out": out, "embedder": name}
        _weights(file, 0)
        evaluate(**settings)
        (result,) = out.glob("*.json")
        before = result.read_bytes()
        _weights(file, 1)
        assert weights_digest(_task(name)) != known[name]
        with pytest.raises(NogsError, match=r"model\.source_digest"):
            evaluate(**settings)
        assert result.read_bytes() == before
        with pytest.raises(NogsError, match="other weights to start from"):
            load_network(result, task=CORNER)


OWN = """
import torch
from nogs_bench.network import EMBEDDERS

@EMBEDDERS.register("own-frozen")
class Own(torch.nn.Module):
    def __init__(self, task, units, argument):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.eye(task.glimpse_size**2))
        self.linear = torch.nn.Linear(task.glimpse_size**2, units)

    def forward(self, patch):
        return self.linear({features})

NAME = "own-frozen"
"""


def test_the_code_of_an_embedder_of_ones_own_tells_its_features_and_results_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EMBEDDERS, "_entries", dict(EMBEDDERS._entries))
    file, patch = tmp_path / "own.py", torch.full((1, 1, 4, 4), 0.5)
    kept: list[Any] = []
    for features, expected in (("(patch.flatten(1) @ self.weight).relu()", 0.5),
                               ("(patch.flatten(1) @ self.weight).square()", 0.25)):  # fmt: skip
        EMBEDDERS._entries.pop("own-frozen", None)
        file.write_text(OWN.format(features=features))
        task = _task("frozen:" + load_object(f"{file}:NAME", "embedder"))
        kept.append((_network(task), model_info("reference", task).source_digest))
        assert (kept[-1][0](patch) == expected).all()
        found = feature_table(kept[-1][0], task.grid, SPLITS["validation"], CPU)
        seen = SPLITS["validation"].images[0, 0, :4, :4].flatten() / np.float32(255)
        known = seen if expected == 0.5 else seen**2
        np.testing.assert_allclose(found[0, 0], known, atol=1e-3)
    assert kept[0][1] != kept[1][1]


@pytest.mark.parametrize("size", [40, 48])
def test_glimpses_of_other_sizes_have_features_of_their_own(tmp_path: Path, size: int) -> None:
    """Those over 32 pixels are not scaled, though another task's network of that name is there."""
    spec = "frozen:" + _weights(tmp_path / "w.safetensors", 0)

    def sized(side: int) -> Task:
        return replace(_task(spec), grid=GlimpseGrid.even(88, side, 8))

    there = [_network(sized(side)) for side in (40, 48)]
    network = _network(sized(size))
    assert network is there[size == 48]
    patch = torch.rand(2, 1, size, size)
    inner = network.network
    with torch.no_grad():
        expected = inner.backbone((patch - inner.mean) / inner.std)
    torch.testing.assert_close(network(patch), expected, atol=2e-3, rtol=2e-3)


def test_an_evaluation_trains_all_together_tests_from_the_table_and_keeps_networks_of_pixels(
    task: Task, tmp_path: Path
) -> None:
    settings = {"task": CORNER, "methods": "ram", "protocol": "pretrained", "workers": 1}
    settings |= {"embedder": task.training.embedder}
    evaluate(out=tmp_path / "all", seeds=2, **settings)
    evaluate(out=tmp_path / "one", seeds=[1], together=1, **settings)
    names = ["corner.pretrained.ram.reference.seed1.json"]
    whole, one = (json.loads((tmp_path / out / names[0]).read_text()) for out in ("all", "one"))
    assert whole["hyperparameters"]["embedder"] == task.training.embedder
    assert whole["test"]["accuracy"] == pytest.approx(one["test"]["accuracy"], abs=0.03)
    network = load_network(tmp_path / "all" / names[0], task=CORNER)
    held = CORNER.source.load("test")
    images = ImageTensors.of(held, CORNER, CPU)
    classify = policy_classifier(network.model, fovea_of(CORNER, images), every=True)
    (found,) = measure(network.model, classify, images.labels[None], CORNER.T, 2)
    assert found.accuracy == pytest.approx(whole["test"]["accuracy"], abs=1e-3)
    assert found.cross_entropy == pytest.approx(whole["test"]["cross_entropy"], abs=1e-3)
