"""The light networks over glimpses: what they may depend on, and that they learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nogs_bench.builders.posterior.glimpse_networks import make_glimpse_network
from nogs_bench.builders.posterior.training.average import Averaged
from nogs_bench.errors import NogsError
from nogs_bench.tasks.geometry import GlimpseGrid

NAMES = ("patch-sum:32x1", "patch-attention:32x2")
GRID = GlimpseGrid.even(48, 8, 4)


def _images(n: int, channels: int = 3) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(256, size=(n, channels, 48, 48)).astype(np.uint8))


@pytest.mark.parametrize("name", [*NAMES, "tokens:test_vit"])
def test_order_repeats_and_what_does_not_count_change_nothing(name: str) -> None:
    torch.manual_seed(0)
    network = make_glimpse_network(name, GRID, 3, 5).eval()
    images = _images(3)
    cells = torch.tensor([[3, 70, 50], [1, 2, 8], [120, 30, 0]])
    with torch.inference_mode():
        expected = network(images, cells)
        for other in (cells.flip(1), torch.cat([cells, cells[:, :2]], dim=1)):
            torch.testing.assert_close(network(images, other), expected, atol=1e-5, rtol=1e-5)
        more = torch.cat([cells, torch.full((3, 2), 9)], dim=1)
        cut = network(images, more, torch.tensor([3, 3, 3]))
        torch.testing.assert_close(cut, expected, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(network(images, more), expected)


@pytest.mark.parametrize("name", NAMES)
def test_pixels_that_no_glimpse_shows_change_nothing_and_others_do(name: str) -> None:
    torch.manual_seed(0)
    network = make_glimpse_network(name, GRID, 1, 5).eval()
    images, cells = _images(1, 1), torch.tensor([[0, 60]])
    seen = torch.from_numpy(GRID.masks[[0, 60]].any(0))
    hidden, shown = images.clone(), images.clone()
    hidden[..., ~seen] = 0
    row, col = seen.nonzero()[-1]
    shown[..., row, col] ^= 255
    with torch.inference_mode():
        expected = network(images, cells)
        torch.testing.assert_close(network(hidden, cells), expected)
        assert not torch.equal(network(shown, cells), expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("steps", [0, 2])
def test_prepared_candidates_are_answered_as_whole_sequences(name: str, steps: int) -> None:
    torch.manual_seed(0)
    network = make_glimpse_network(name, GRID, 3, 5).eval()
    images, rng = _images(4), np.random.default_rng(1)
    prefix = torch.from_numpy(rng.integers(GRID.cells, size=(4, steps)))
    rows = torch.from_numpy(rng.integers(4, size=30))
    cells = torch.from_numpy(rng.integers(GRID.cells, size=30))
    if steps:
        cells[:4] = prefix[rows[:4], 0]
    with torch.inference_mode():
        expected = network(images[rows], torch.cat([prefix[rows], cells[:, None]], dim=1))
        found = network.prepare(images, prefix).logits(rows, cells)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("argument", ["64", "64x0", "66x2", "x2", "64x2x2"])
def test_shapes_that_are_none_are_refused(argument: str) -> None:
    with pytest.raises(NogsError, match="write its width"):
        make_glimpse_network(f"patch-sum:{argument}", GRID, 3, 5)


@pytest.mark.parametrize("side", [2, 3, 4, 6, 8, 12, 16, 32])
def test_glimpses_of_any_size_fit(side: int) -> None:
    grid = GlimpseGrid.even(48, side, 4)
    network = make_glimpse_network("patch-sum:8x1", grid, 3, 5).eval()
    assert network(_images(2), torch.tensor([[0], [5]])).shape == (2, 5)


def test_average_follows_the_network_as_its_recurrence_says() -> None:
    linear, norm = torch.nn.Linear(1, 1), torch.nn.BatchNorm1d(1)
    network = torch.nn.Sequential(linear, norm)
    average, expected = Averaged(network), None
    for update, value in enumerate([3.0, 5.0, -1.0, 2.0]):
        linear.weight.data.fill_(value)
        norm.load_state_dict(
            norm.state_dict()
            | {"running_mean": torch.tensor([value]), "num_batches_tracked": torch.tensor(update)}
        )
        average.update()
        share = 9 / (10 + update)
        expected = value if expected is None else expected + share * (value - expected)
        state = average.module.state_dict()
        assert state["0.weight"].item() == pytest.approx(expected, abs=1e-6)
        assert state["1.running_mean"].item() == pytest.approx(expected, abs=1e-6)
        assert state["1.num_batches_tracked"].item() == update
    other = Averaged(network)
    other.load_state_dict(average.state_dict())
    other.update()
    average.update()
    assert torch.equal(
        other.module.state_dict()["0.weight"], average.module.state_dict()["0.weight"]
    )


def test_mirrored_cells_show_the_mirrored_pixels() -> None:
    assert GRID.mirrored[GRID.mirrored].tolist() == list(range(GRID.cells))
    assert (GRID.masks[GRID.mirrored] == GRID.masks[:, :, ::-1]).all()
    # Rows stay, and where the grid has no such column the nearest is taken: 48 - 8 - 3 = 37.
    uneven = GlimpseGrid(48, 8, (0, 10), (0, 3, 36, 40))
    assert uneven.mirrored.tolist() == [3, 2, 1, 0, 7, 6, 5, 4]
