"""Equation 17, by hand; and where its map comes from."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import small_dataset
from corner_task import CORNER, write_maps
from nogs_bench.errors import NogsError
from nogs_bench.sequences.loading import load
from nogs_bench.training import heuristic
from nogs_bench.training.heuristic import first_step_map, heuristic_glimpses, location_probabilities

EPE = np.array([0.0, math.log(2), math.log(4)])


@pytest.mark.parametrize(
    ("inverse_temperature", "expected"),
    # exp(-0), exp(-ln 2), exp(-ln 4) are 1, 1/2, 1/4; to the fifth power 1, 1/32, 1/1024.
    [(0.0, [1, 1, 1]), (1.0, [4, 2, 1]), (5.0, [1024, 32, 1])],
)
def test_equation_17_by_hand(inverse_temperature, expected):
    found = location_probabilities(EPE, inverse_temperature)
    np.testing.assert_allclose(found, np.array(expected) / sum(expected))
    # C only normalises: a constant added to every EPE changes nothing, however large.
    np.testing.assert_allclose(location_probabilities(EPE + 1e4, inverse_temperature), found)


def test_glimpses_follow_it_independently_at_every_step():
    cells = heuristic_glimpses(EPE, 1.0, np.arange(4000), T=2)
    assert cells.shape == (4000, 2)
    p = np.array([4, 2, 1]) / 7
    together = np.zeros((3, 3))
    np.add.at(together, (cells[:, 0], cells[:, 1]), 1 / 4000)
    # Five standard errors of a frequency: also of the pairs, so the steps are independent.
    expected = p[:, None] * p
    assert (np.abs(together - expected) < 5 * np.sqrt(expected / 4000)).all()


def test_an_image_s_glimpses_do_not_depend_on_the_others():
    many = heuristic_glimpses(EPE, 5.0, np.arange(50), T=5)
    np.testing.assert_array_equal(heuristic_glimpses(EPE, 5.0, np.array([7, 30]), 5), many[[7, 30]])
    assert (heuristic_glimpses(EPE, 1.0, np.arange(50), T=5) != many).any()


def test_the_map_is_the_first_step_s(tmp_path: Path):
    epe = np.arange(9) / 8
    write_maps(tmp_path, epe)
    np.testing.assert_allclose(first_step_map(CORNER, tmp_path), epe)


def test_what_is_wrong_with_the_maps_is_said(tmp_path: Path):
    with pytest.raises(NogsError, match=r"has no EPE maps .* give --maps DIR"):
        first_step_map(CORNER, tmp_path)
    write_maps(tmp_path, np.full(9, np.nan))
    with pytest.raises(NogsError, match=r"train\.parquet: the first step's map has gaps"):
        first_step_map(CORNER, tmp_path)
    write_maps(tmp_path, np.zeros(9), steps=3)
    with pytest.raises(NogsError, match=r"have shape \(2, 3, 3\), got \(3, 3, 3\)"):
        first_step_map(CORNER, tmp_path)
    (tmp_path / "maps" / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(NogsError, match="damaged"):
        first_step_map(CORNER, tmp_path)


def test_it_reads_what_a_build_writes(tmp_path: Path, monkeypatch):
    folder = small_dataset.write(tmp_path / "d")
    known = small_dataset.annotations()
    first = int(np.argmin(known.index))  # rows are sorted by image
    expected = known.maps[first, 0].ravel().astype(np.float64)
    np.testing.assert_array_equal(first_step_map(small_dataset.TASK, folder), expected)
    # From the Hub it comes through `load`; here the same folder stands in for one.
    monkeypatch.setattr(heuristic, "load", lambda name, config: load(folder, config))
    np.testing.assert_array_equal(first_step_map(small_dataset.TASK, "owner/name"), expected)
