"""Searches against the exhaustive answer on made-up value tables."""

import numpy as np
import pytest

from nogs_bench.builders.search import Problem, load_searches, run_search

SEARCHES = load_searches()


class Table:
    """Stands in for an estimator: a fixed table of nats, (cells, samples)."""

    def __init__(self, values):
        self.table, self.samples, self.asked = values, values.shape[1], 0

    def values(self, candidates, start, stop):
        self.asked += len(candidates) * (stop - start)
        return self.table[candidates, start:stop]


def run(name, table, shape=(13, 13)):
    return run_search(SEARCHES[name], Problem(shape, table.samples), table.values)


def noisy_bowl(seed, cells=169, samples=200):
    """A smooth map with noise that candidates share, as completions give."""
    rng = np.random.default_rng(seed)
    at = np.stack(np.unravel_index(np.arange(cells), (13, 13)), 1)
    bowl = 0.02 * ((at - rng.integers(2, 11, size=2)) ** 2).sum(1)
    shared = rng.normal(size=samples)
    return 3 + bowl[:, None] + shared + 0.3 * rng.normal(size=(cells, samples))


def test_exhaustive_is_the_argmin_of_the_means():
    table = Table(noisy_bowl(0))
    found = run("exhaustive", table)
    np.testing.assert_allclose(found.epe, table.table.mean(1))
    assert found.cell == table.table.mean(1).argmin()
    assert table.asked == 169 * 200


@pytest.mark.parametrize("seed", range(20))
def test_halving_spends_a_tenth_and_loses_little(seed):
    table = Table(noisy_bowl(seed))
    found = run("halving", table)
    means = table.table.mean(1)
    assert table.asked < 169 * 200 / 10
    assert means[found.cell] - means.min() < 0.05
    # What it says of the chosen cell rests on every completion.
    assert found.epe[found.cell] == pytest.approx(means[found.cell])
    # Dropped cells saw few, but moved by what the shared completions moved the others, their
    # error is that of their own noise alone: 0.3 a completion, against 1 for the shared part.
    assert np.abs(found.epe - means).mean() < 0.2


@pytest.mark.parametrize("samples", [1, 2, 7, 33])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 5), (3, 3)])
@pytest.mark.parametrize("name", ["exhaustive", "halving", "racing", "coarse-to-fine"])
def test_every_search_ends_on_small_grids(name, shape, samples):
    cells = shape[0] * shape[1]
    table = Table(np.random.default_rng(0).normal(size=(cells, samples)))
    found = run(name, table, shape)
    assert 0 <= found.cell < cells
    assert np.isfinite(found.epe).all()
    assert found.epe.shape == (cells,)
