"""An evaluation on a device that is not the CPU, and how workers share GPUs out."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from corner_task import CORNER, write_sequences
from nogs_bench.builders.dataset.posterior import Networks, beliefs_along
from nogs_bench.builders.posterior.avp import Avp
from nogs_bench.device import Repeated, choose_device, gpus_of
from nogs_bench.errors import NogsError
from nogs_bench.evaluation import pool
from nogs_bench.evaluation.command import evaluate
from nogs_bench.tasks.task import register_task
from pretended import Device, device  # noqa: F401
from small_dataset import ROWS, TASK, annotations, write


@pytest.mark.parametrize("protocol", ["scratch", "pretrained"])
def test_an_evaluation_is_that_of_the_cpu(device: Device, tmp_path, protocol):  # noqa: F811
    folder = write_sequences(tmp_path / "sequences")
    scores = {}
    for where in ("cpu", "cuda"):
        out = tmp_path / where
        scores[where] = evaluate(
            task=CORNER, sequences=folder, seeds=2, protocol=protocol, device=where, out=out
        )
        results = [json.loads(path.read_text()) for path in sorted(out.glob("*.json"))]
        scores[where] = [[p["cross_entropy"] for p in result["curve"]] for result in results]
    for found, expected in zip(scores["cuda"], scores["cpu"], strict=True):
        assert found == pytest.approx(expected, abs=1e-2)


class _Hired(Exception):
    pass


def test_each_worker_has_a_gpu_of_its_own(device: Device, tmp_path, monkeypatch):  # noqa: F811
    hired = []

    class Worker:
        def __init__(self, log, own, messages):
            hired.append(own)
            if len(hired) == 3:
                raise _Hired

        def dismiss(self):
            pass

    monkeypatch.setattr(pool, "_Worker", Worker)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    register_task(CORNER)
    monkeypatch.setattr("nogs_bench.evaluation.command._workers", lambda *_: 3)
    with pytest.raises(_Hired):
        evaluate(task=CORNER, methods="ram", seeds=3, device="cuda", out=tmp_path, together=1)
    assert [own["CUDA_VISIBLE_DEVICES"] for own in hired] == ["0", "1", "0"]


def test_the_gpus_that_are_visible_are_shared_out(device: Device, monkeypatch):  # noqa: F811
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-5")
    assert gpus_of("cuda") == ("3", "GPU-5")
    assert gpus_of("cuda:1") == gpus_of("cpu") == ()


def test_auto_says_what_it_chose(device: Device, capsys):  # noqa: F811
    assert choose_device() == "cuda"
    assert "on cuda (a pretended device)" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mps", "meta", "xpu"])
def test_devices_that_were_never_tried_are_refused(name):
    with pytest.raises(NogsError, match=f"--device {name} is not supported; use cpu, cuda"):
        choose_device(name)


METHODS = (
    *("ram", "ps-nogs", "ps-nogs-anneal", "ram-gain", "ram-gain-avp", "ram-entropy", "ram-ppo"),
    *("ram-taught", "ps-nogs-taught", "ps-nogs-beliefs", "ps-nogs-maps", "ps-nogs-maps-taught"),
)


def test_a_step_of_no_method_waits(device: Device, tmp_path, monkeypatch):  # noqa: F811
    torch.manual_seed(0)
    avp, rows = Avp(TASK).eval(), annotations()
    cells = TASK.grid.pixel_to_index(rows.glimpses)
    believed = beliefs_along(avp, ROWS["train"].images[rows.index], cells, "cpu")
    networks = Networks([avp.state_dict()])
    folder = write(tmp_path / "d", annotations=replace(rows, beliefs=believed), posterior=networks)
    steps = []

    def guarded(self: Repeated) -> None:
        with device.no_waiting() if self.warm else nullcontext():
            self.step()
        self.warm += 1
        steps.append(self)

    monkeypatch.setattr(Repeated, "__call__", guarded)
    out = tmp_path / "out"
    evaluate(
        task=TASK,
        sequences=folder,
        methods=METHODS,
        seeds=2,
        iterations=3,
        device="cuda",
        out=out,
    )
    assert len(list(out.glob("*.json"))) == 2 * len(METHODS)
    assert steps
