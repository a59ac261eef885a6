"""Prepared completions answer as the posterior does when it is asked about whole sequences."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nogs_bench.builders.posterior.avp import Avp
from nogs_bench.tasks.geometry import GlimpseGrid
from tiny import corner_task

OVERLAPPING = GlimpseGrid.even(28, 6, 3)
UNEVEN = GlimpseGrid(28, 5, (0, 1, 7, 23), (2, 3, 20))
APART = GlimpseGrid.even(28, 4, 8)


def posterior(network: str, grid: GlimpseGrid, channels: int = 1) -> Avp:
    """An AVP whose batch norms have seen something, so that folding them in matters."""
    task = corner_task(grid=grid, channels=channels)
    torch.manual_seed(0)
    avp = Avp(replace(task, avp=replace(task.avp, network=network)))
    for _ in range(3):
        avp(*drawn(1, grid, channels, t=3))
    for layer in avp.modules():
        if isinstance(layer, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            torch.nn.init.normal_(layer.bias)
    return avp.eval()


def drawn(seed: int, grid: GlimpseGrid, channels: int, t: int, n: int = 20):
    rng = np.random.default_rng(seed)
    shape = (n, channels, grid.image_size, grid.image_size)
    images = rng.integers(1, 256, size=shape).astype(np.uint8)
    return torch.from_numpy(images), torch.from_numpy(rng.integers(grid.cells, size=(n, t)))


NETWORKS = ["conv", "local", "local:8k3s3-6k3s1p1-16", "timm:test_resnet", "tokens:test_vit"]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(
    "grid", [OVERLAPPING, UNEVEN, APART], ids=["overlapping", "uneven", "apart"]
)
@pytest.mark.parametrize("network", NETWORKS)
def test_candidates_are_the_whole_sequences(network, grid, frozen):
    """At every cell, after none, one and four glimpses that may repeat and overlap."""
    avp, channels = posterior(network, grid, 2), 2
    rows = torch.arange(20).repeat_interleave(grid.cells)
    cells = torch.arange(grid.cells).repeat(20)
    for t in (0, 1, 4):
        images, prefix = drawn(t, grid, channels, t)
        expected = avp.log_posterior(images[rows], torch.cat([prefix[rows], cells[:, None]], 1))
        asked = avp.freeze() if frozen else avp
        found = asked.prepare(images, prefix).log_posterior(rows, cells)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)
        some = torch.from_numpy(np.random.default_rng(t).permutation(len(rows))[:50])
        again = asked.prepare(images, prefix).log_posterior(rows[some], cells[some])
        torch.testing.assert_close(again, expected[some], rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("network", ["conv", "local", "tokens:test_vit"])
@pytest.mark.parametrize("grid", [OVERLAPPING, UNEVEN], ids=["overlapping", "uneven"])
def test_what_completions_share_with_their_image_is_computed_once(network, grid):
    """Completions of four images, seven, one, eleven and one; every cell, some of them seen. Above,
    most show nothing but black, and below, in one of their channels."""
    avp = posterior(network, grid, 2)
    images, _ = drawn(0, grid, 2, 1)
    images[:15, :, :13] = 0
    images[:, 0, 16:] = 0
    observed, prefix = drawn(1, grid, 2, 2, n=4)
    observed[1] = observed[0]  # the same image, after other glimpses
    owner = torch.tensor([0] * 7 + [1] + [2] * 11 + [3])
    seen = torch.from_numpy(grid.masks)[prefix].any(1)[:, None]
    images = torch.where(seen[owner], observed[owner], images)
    rows = torch.arange(20).repeat(grid.cells)
    cells = torch.arange(grid.cells).repeat_interleave(20)
    whole = torch.cat([prefix[owner[rows]], cells[:, None]], 1)
    expected = avp.log_posterior(images[rows], whole)
    found = avp.freeze().prepare(images, prefix[owner], observed[owner]).log_posterior(rows, cells)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_bfloat16_is_near(network):
    """As a search asks for it; the nats it averages are float32 again."""
    grid = OVERLAPPING
    avp = posterior(network, grid).freeze()
    images, prefix = drawn(0, grid, 1, 3)
    rows, cells = torch.arange(20).repeat(2), torch.arange(40)
    exact = avp.prepare(images, prefix).log_posterior(rows, cells)
    with torch.autocast("cpu", torch.bfloat16):
        near = avp.prepare(images, prefix).log_posterior(rows, cells)
        observed = images[:1].expand_as(images)
        prefix = prefix[:1].expand_as(prefix)
        seen = torch.from_numpy(grid.masks)[prefix[0]].any(0)
        pasted = torch.where(seen, observed, images)
        shared = avp.prepare(pasted, prefix, observed).log_posterior(rows, cells)
    assert (near.float().exp() - exact.exp()).abs().max() < 0.05
    exact = avp.prepare(pasted, prefix).log_posterior(rows, cells)
    assert (shared.float().exp() - exact.exp()).abs().max() < 0.05
