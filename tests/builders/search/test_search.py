"""Searches against the exhaustive answer on made-up value tables."""

import numpy as np
import pytest

from nogs_bench.builders.search.racing import Race, interpolated
from nogs_bench.builders.search.searches import SEARCHES, Problem, run_search


class Table:
    """Stands in for an estimator: a fixed table of nats, (cells, samples)."""

    def __init__(self, values):
        self.table, self.samples, self.asked = values, values.shape[1], 0

    def values(self, cells, completions):
        self.asked += len(cells) * len(completions)
        return self.table[np.ix_(cells, completions)]


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
@pytest.mark.parametrize("name", ["exhaustive", "halving", "racing", "coarse-to-fine", "rematch"])
def test_every_search_ends_on_small_grids(name, shape, samples):
    cells = shape[0] * shape[1]
    table = Table(np.random.default_rng(0).normal(size=(cells, samples)))
    found = run(name, table, shape)
    assert 0 <= found.cell < cells
    assert np.isfinite(found.epe).all()
    assert found.epe.shape == (cells,)


@pytest.mark.parametrize(
    ("name", "share"),
    [("racing", 1 / 8), ("coarse-to-fine", 1 / 8), ("rematch", 2 / 5)],
)
def test_a_race_finds_the_least_cheaply(name, share):
    """Against the exhaustive answer over the same completions, on maps of 169 cells."""
    losses, asked = [], []
    for seed in range(40):
        table = Table(noisy_bowl(seed, samples=400))
        found = run(name, table)
        means = table.table.mean(1)
        losses.append(means[found.cell] - means.min())
        asked.append(table.asked)
        assert found.epe[found.cell] == pytest.approx(means[found.cell], abs=0.05)
        assert np.abs(found.epe - means).mean() < 0.3
    assert np.mean(losses) < 0.005
    assert max(losses) < 0.05
    assert np.mean(asked) < 169 * 400 * share


@pytest.mark.parametrize(
    ("samples", "nats", "share"),
    [(600, 6, 0.05), (2000, 12, 0.01)],
)
def test_a_rematch_mends_what_a_race_s_first_rounds_spoil(samples, nats, share):
    """Nats as posteriors give them: mostly small, now and then several; the rarer, the harder."""
    losses = {"racing": [], "rematch": []}
    for seed in range(30):
        bowl = noisy_bowl(seed, samples=samples)
        rng = np.random.default_rng(seed)
        table = Table(bowl + nats * (rng.random(bowl.shape) < share))
        means = table.table.mean(1)
        for name, lost in losses.items():
            lost.append(means[run(name, table).cell] - means.min())
    assert np.mean(losses["rematch"]) < np.mean(losses["racing"]) / 2
    assert np.mean(losses["rematch"]) < 0.005


def test_the_race_s_bound_holds_as_often_as_it_says():
    """True means are known here; 300 races of 30 near-equal cells, few completions."""
    held = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        truth = 0.1 * rng.random(30)
        shared = rng.normal(size=60)
        table = Table(truth[:, None] + shared + 0.3 * rng.normal(size=(30, 60)))
        found = run("racing", table, (5, 6))
        held.append(truth[found.cell] - truth.min() <= found.bound)
        assert 0 <= found.bound < 2
    assert np.mean(held) >= 0.95


def test_no_bound_covers_cells_that_never_ran():
    assert run("coarse-to-fine", Table(noisy_bowl(0))).bound == np.inf
    assert run("halving", Table(noisy_bowl(0))).bound == np.inf


def test_interpolation_is_exact_on_planes():
    at = np.stack(np.unravel_index(np.arange(35), (5, 7)), 1)
    plane = 1 + 0.5 * at[:, 0] - 0.25 * at[:, 1]
    known = np.full(35, np.nan)
    corners = [0, 6, 28, 34, 17]
    known[corners] = plane[corners]
    np.testing.assert_allclose(interpolated(known, (5, 7)), plane, atol=1e-12)


def test_completions_come_in_proportion_to_how_hard_they_are():
    """After a glimpse, the first 32 of 200 hold three or so of each tenth of the nats there."""
    table = Table(noisy_bowl(0))
    asked = []

    def values(cells, completions):
        asked.append(completions)
        return table.values(cells, completions)

    run_search(SEARCHES["racing"], Problem((13, 13), 200, taken=(5, 70)), values)
    first = asked[1]
    tenth = np.argsort(np.argsort(table.table[70])) * 10 // 200
    assert len(first) == 32
    assert np.bincount(tenth[first], minlength=10).max() <= 4
    assert np.bincount(tenth[first], minlength=10).min() >= 2


def test_a_cell_seen_in_full_is_not_lost_to_one_that_looked_better_at_first():
    table = np.ones((4, 400))
    table[0] = 0.5
    table[1] = np.where(np.arange(400) < 64, 0.1, 0.9)  # .77 in all
    race = Race(Problem((2, 2), 400), first=32)
    answer = Table(table).values

    def steps():
        yield from race.show(np.array([0]), 400)
        race.alive = np.array([0])
        yield from race.run(np.array([1]))
        assert race.alive.tolist() == [1]
        return (yield from race.settle())

    assert run_search(lambda problem: steps(), race.problem, answer) == 0
    assert race.found().cell == 0


@pytest.mark.parametrize("effective", [40.0, np.inf])
def test_the_bound_is_about_the_epe_not_about_the_draws(effective):
    """Cells of equal worth but for one, seen through 2,000 draws of 40 images."""
    worth = np.array([0.0, 0.02, 0.05, 0.05])
    held = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        images = worth[:, None] + 0.3 * rng.normal(size=(4, 40))
        table = Table(images[:, rng.integers(40, size=2000)])
        found = run_search(SEARCHES["racing"], Problem((2, 2), 2000, (), effective), table.values)
        held.append(worth[found.cell] - worth.min() <= found.bound)
    # 95 % is stated; draws that are taken for independent ones promise too much.
    assert np.mean(held) > 0.95 if np.isfinite(effective) else np.mean(held) < 0.9
