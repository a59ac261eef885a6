"""Glimpses of the bank that are embedded once: the answers are those of the images themselves."""

import os
import sys

import numpy as np
import pytest
import torch

from nogs_bench.builders.posterior import Avp, EmbeddedBank, embedded_bytes
from nogs_bench.builders.posterior.patches import PatchSum
from nogs_bench.tasks import AvpTraining
from tiny import corner_task

COPIES = np.array([0, 7, 4, 5])  # images 0, 3, 2, 2: the second and the last reversed


def avp_of(network: str = "patch-sum:16x1") -> Avp:
    torch.manual_seed(0)
    return Avp(corner_task(avp=AvpTraining(network, epochs=1))).freeze()


@pytest.fixture
def images():
    size = corner_task().grid.image_size
    return np.random.default_rng(0).integers(256, size=(5, 1, size, size)).astype(np.uint8)


@pytest.mark.parametrize("network", ["patch-sum:16x1", "patch-attention:16x1"])
def test_candidates_are_answered_as_by_the_images(tmp_path, images, network):
    avp = avp_of(network)
    shown = np.stack([images[0], images[3][..., ::-1], images[2], images[2][..., ::-1]])
    prefix = torch.tensor([[0], [1], [2], [2]])
    rows, cells = torch.tensor([3, 0, 1, 1, 2]), torch.tensor([5, 1, 1, 0, 8])
    whole = torch.cat([prefix[rows], cells[:, None]], dim=1)
    expected = avp.log_posterior(torch.from_numpy(shown)[rows], whole)
    prepared = EmbeddedBank(avp, images, tmp_path).prepare(COPIES, prefix)
    torch.testing.assert_close(prepared.log_posterior(rows, cells), expected, atol=3e-3, rtol=0)
    # What it is compared with tells images and their mirror images apart.
    assert not torch.allclose(expected[0], expected[4], atol=1e-2)


def test_each_image_is_embedded_once_whoever_asks(tmp_path, images, monkeypatch, capsys):
    prefix = torch.tensor([[0]] * 4)
    EmbeddedBank(avp_of(), images, tmp_path).prepare(COPIES, prefix)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(kept) == [f"{copy:07d}.safetensors" for copy in sorted(COPIES)]
    cut = tmp_path / "0000004.safetensors"
    cut.write_bytes(cut.read_bytes()[:150])
    altered = tmp_path / "0000005.safetensors"
    altered.write_bytes(altered.read_bytes()[:-1] + b"?")
    made = []
    whole = EmbeddedBank.embedded
    monkeypatch.setattr(
        EmbeddedBank, "embedded", lambda self, copy: made.append(copy) or whole(self, copy)
    )
    EmbeddedBank(avp_of(), images, tmp_path).prepare(COPIES, prefix)
    assert sorted(made) == [4, 5]
    assert capsys.readouterr().err.count("was damaged: made again") == 2
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept


def test_half_precision_of_a_search_changes_no_file(tmp_path, images):
    prefix = torch.tensor([[0]] * 4)
    EmbeddedBank(avp_of(), images, tmp_path / "a").prepare(COPIES, prefix)
    with torch.autocast("cpu", torch.bfloat16):
        EmbeddedBank(avp_of(), images, tmp_path / "b").prepare(COPIES, prefix)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_when_it_pays():
    avp = avp_of()
    each = corner_task().grid.cells * 16 * 2
    assert embedded_bytes(avp, copies=30, drawn=600) == 30 * each
    assert not embedded_bytes(avp, copies=31, drawn=600)
    assert not embedded_bytes(avp_of("conv"), copies=30, drawn=600)  # sees more than glimpses
    most = 2**33 // each
    assert embedded_bytes(avp, most, 20 * most)
    assert not embedded_bytes(avp, most + 1, 20 * (most + 1))  # too large for a disk


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")
def test_no_file_stays_open(tmp_path, images):
    """A step has a thousand of them; a process may often have no more than that."""
    bank = EmbeddedBank(avp_of(), images, tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    held = bank.prepare(np.arange(10), torch.tensor([[0]] * 10))
    assert len(os.listdir("/proc/self/fd")) == before
    assert held.log_posterior(torch.arange(10), torch.arange(10) % 9).isfinite().all()


def test_a_network_that_prepares_in_its_own_way_is_asked_itself():
    class Own(PatchSum):
        def prepare(self, images, prefix, observed=None):
            return super().prepare(images.flip(-1), prefix, observed)

    avp, task = avp_of(), corner_task()
    avp.network = Own(task.grid, 1, 4, "16x1")
    assert not embedded_bytes(avp, copies=30, drawn=600)
