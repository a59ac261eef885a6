"""The same bytes each time: what is set, what is put back, what is refused, what is recorded."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import nogs_bench.training.runstate
from corner_task import CORNER, write_sequences
from nogs_bench.builders.pipeline.command import build
from nogs_bench.device import determined, is_determined
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from pretended import Device, device  # noqa: F401
from tiny import corner_task

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


def settings() -> list[object]:
    cudnn = torch.backends.cudnn
    return [
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        cudnn.deterministic,
        cudnn.benchmark,
        cudnn.allow_tf32,
        os.environ.get(CUBLAS),
    ]


@pytest.mark.parametrize("before", [None, ":0:0", ":16:8"])
def test_all_is_as_it_was_afterwards(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    monkeypatch.delenv(CUBLAS, raising=False)
    if before is not None:
        monkeypatch.setenv(CUBLAS, before)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    found = settings()
    with determined(False):
        assert settings() == found
    workspace = before if before == ":16:8" else ":4096:8"
    expected = [True, False, True, False, found[4], workspace]
    with determined():
        assert settings() == expected
        with determined():
            assert settings() == expected
        assert settings() == expected
    with pytest.raises(ZeroDivisionError), determined():
        raise ZeroDivisionError
    assert settings() == found


def test_what_torch_refuses_is_one_line() -> None:
    """`put_` has no deterministic version on a CPU either."""
    refused = "^--deterministic: put_ has no deterministic version"
    with pytest.raises(NogsError, match=refused), determined():
        torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))
    refused = f"used the GPU before.*set {CUBLAS}=:4096:8"
    with pytest.raises(NogsError, match=refused), determined():
        raise RuntimeError(f"it uses CuBLAS and you must set {CUBLAS}=:4096:8")
    with pytest.raises(RuntimeError, match="shapes"), determined():
        raise RuntimeError("shapes do not fit")


@pytest.mark.parametrize("protocol", ["scratch", "pretrained"])
def test_on_a_cpu_an_evaluation_keeps_its_bytes(tmp_path: Path, protocol: str) -> None:
    folder = write_sequences(tmp_path / "sequences")
    made = []
    for wanted in (False, True):
        out = tmp_path / str(wanted)
        evaluate(
            task=CORNER,
            sequences=folder,
            seeds=2,
            protocol=protocol,
            device="cpu",
            out=out,
            deterministic=wanted,
        )
        assert not is_determined()
        results = [json.loads(path.read_text()) for path in sorted(out.glob("*.json"))]
        assert [r["environment"].pop("deterministic", False) for r in results] == [wanted] * 4
        for result in results:
            del result["wall_time_s"]
        weights = [path.read_bytes() for path in sorted(out.glob("*.safetensors"))]
        assert len(weights) == 4
        made.append((results, weights))
    assert made[0] == made[1]


def test_on_a_cpu_a_build_keeps_its_bytes(tmp_path: Path) -> None:
    made = []
    for wanted in (False, True):
        out = tmp_path / str(wanted)
        task = corner_task()
        build(task, out, workers=1, device="cpu", deterministic=wanted)
        record = json.loads((out / "provenance.json").read_text())
        assert record["made_by"]["environment"].pop("deterministic", False) is wanted
        parquet = [path.read_bytes() for path in sorted(out.rglob("*.parquet"))]
        made.append((record, parquet, sorted(p.name for p in (out / ".build").iterdir())))
    assert made[0] == made[1]


@pytest.mark.parametrize(
    "network", ["conv", "local:4k4s4-8", "timm:test_resnet", "tokens:test_vit"]
)
def test_a_build_needs_nothing_that_a_gpu_cannot_determine(
    device: Device,  # noqa: F811
    tmp_path: Path,
    network: str,
) -> None:
    """And its stages are others than those that were made otherwise."""
    task = corner_task()
    task = replace(
        task,
        annotation=replace(task.annotation, images=4),
        avp=replace(task.avp, network=network, epochs=1),
    )
    stages = []
    for wanted in (True, False):
        out = build(task, tmp_path / "out", workers=1, device="cuda", deterministic=wanted)
        record = json.loads((out / "provenance.json").read_text())["made_by"]
        assert record["environment"].get("deterministic", False) is wanted
        stages.append(record["stages"]["posterior"]["key"])
    assert stages[0] != stages[1]


def test_a_network_that_cannot_be_determined_is_refused(
    device: Device,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forward = nn.Linear.forward

    def sampled(self: nn.Linear, x: Tensor) -> Tensor:
        found = forward(self, x)
        at = found.new_zeros(1, 1, 1, 2)
        return found + functional.grid_sample(found[None, None], at, align_corners=False).sum()

    monkeypatch.setattr(nn.Linear, "forward", sampled)
    with pytest.raises(NogsError, match="--deterministic: grid_sample_cuda has no deterministic"):
        build(corner_task(), tmp_path, workers=1, device="cuda", deterministic=True)
    assert not is_determined()


@pytest.mark.parametrize("protocol", ["scratch", "pretrained"])
def test_no_method_needs_what_a_gpu_cannot_determine(
    device: Device,  # noqa: F811
    tmp_path: Path,
    protocol: str,
) -> None:
    folder = write_sequences(tmp_path / "sequences")
    out = tmp_path / "out"
    evaluate(
        task=CORNER,
        sequences=folder,
        methods="ram,ps-nogs,ram-ppo",
        seeds=2,
        protocol=protocol,
        device="cuda",
        out=out,
        deterministic=True,
    )
    results = [json.loads(path.read_text()) for path in out.glob("*.json")]
    assert [r["environment"]["deterministic"] for r in results] == [True] * 6


def test_a_gpu_does_not_go_on_from_what_was_begun_otherwise(
    device: Device,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nogs_bench.training.runstate, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("nogs_bench.evaluation.work.save_result", _fail)
    call = {"task": CORNER, "methods": "ram", "seeds": 1, "device": "cuda", "out": tmp_path}
    with pytest.raises(_Stopped):
        evaluate(**call)
    with pytest.raises(NogsError, match="was begun without --deterministic; leave it out"):
        evaluate(**call, deterministic=True)


class _Stopped(Exception):
    pass


def _fail(*_: object) -> None:
    raise _Stopped
