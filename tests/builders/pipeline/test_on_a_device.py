"""Builds and comparisons on another device than the CPU: they end, and choose what it does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nogs_bench.builders.bank.roles import assign_roles
from nogs_bench.builders.compare.avp import compare_avp
from nogs_bench.builders.compare.completions import compare_completions
from nogs_bench.builders.completion import hmc
from nogs_bench.builders.completion.conditional_gan import ConditionalGanKind, GanSettings
from nogs_bench.builders.completion.hmc import HmcKind, HmcSettings
from nogs_bench.builders.completion.latent_generator import VaeSettings
from nogs_bench.builders.pipeline.command import build
from nogs_bench.builders.posterior.training import epochs, train_avp
from nogs_bench.builders.search import lockstep
from nogs_bench.sequences.annotations import load_annotations
from pretended import Device, Mixed, device  # noqa: F401
from tiny import corner_task

SEARCHES = ("exhaustive", "halving", "racing", "rematch", "coarse-to-fine")


def _built(folder, where: str, task, **options):
    out = build(task, folder / where, workers=1, threads=1, device=where, **options)
    return load_annotations(task, out)


def _small(**changes: object):
    task = corner_task()
    return replace(task, annotation=replace(task.annotation, **{"images": 6, **changes}))


@pytest.mark.parametrize("posterior", ["bank", "avp"])
@pytest.mark.parametrize("search", SEARCHES)
def test_a_build_is_that_of_the_cpu(device: Device, tmp_path, posterior, search):  # noqa: F811
    task = _small(search=search)
    found, expected = (
        _built(tmp_path, where, task, posterior=posterior) for where in ("cuda", "cpu")
    )
    np.testing.assert_allclose(found.epe, expected.epe, atol=1e-3)
    np.testing.assert_array_equal(found.glimpses[:, 0], expected.glimpses[:, 0])


@pytest.mark.parametrize("completion", ["retrieval", "conditional-gan", "hmc"])
def test_a_build_by_any_completion(device: Device, tmp_path, monkeypatch, completion):  # noqa: F811
    monkeypatch.setattr(ConditionalGanKind, "settings", GanSettings(steps=3, width=4))
    monkeypatch.setattr(HmcKind, "settings", VaeSettings(latent=2, width=4, steps=3))
    monkeypatch.setattr(hmc, "HmcSettings", lambda: HmcSettings(steps=2, warmup=1))
    task = _small(completion=completion, samples=3, first_samples=4, images=1)
    assert len(_built(tmp_path, "cuda", task, posterior="bank")) == 1


def test_an_index_left_on_the_cpu_is_found(device: Device, tmp_path, monkeypatch):  # noqa: F811
    asked = lockstep._Batch._nats
    monkeypatch.setattr(
        lockstep._Batch, "_nats", lambda self, rows, cells: asked(self, rows.cpu(), cells)
    )
    with pytest.raises(Mixed, match="two devices"):
        _built(tmp_path, "cuda", _small(), posterior="bank")


def test_networks_and_completions_are_compared(device: Device, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("nogs_bench.builders.compare.avp.seconds_per_epoch", lambda *_: 1.0)
    found = compare_avp(_small(), ["conv", "local:4k4s4-8"], 1, tmp_path, device="cuda")
    assert [len(each.cross_entropy) for each in found] == [2, 2]
    measures = compare_completions(_small(), ["retrieval"], 3, 4, 2, device="cuda")
    assert len(measures) == 1


@pytest.mark.parametrize("network", ["conv", "local:4k4s4-8", "timm:test_resnet"])
def test_a_step_of_the_avp_does_not_wait(device: Device, tmp_path, monkeypatch, network):  # noqa: F811
    batches, seen = epochs.batches_of, []

    def guarded(*arguments):
        for batch in batches(*arguments):
            with device.no_waiting():
                yield batch
            seen.append(1)

    monkeypatch.setattr(epochs, "batches_of", guarded)
    task = corner_task()
    task = replace(task, avp=replace(task.avp, network=network))
    roles = assign_roles(task, task.annotation.images, 0, None)
    train_avp(task, roles, 0, tmp_path / "c.safetensors", "cuda")
    assert seen
