from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from board import board_run
from nogs_bench.errors import NogsError
from nogs_bench.figures.bars import plot_bars
from nogs_bench.figures.curves import plot_curves
from nogs_bench.figures.epe import plot_epe
from nogs_bench.figures.maps import _cell_edges, plot_locations
from nogs_bench.results.entries import save_entries
from nogs_bench.results.storage import save_result
from nogs_bench.sequences import SHIPPED
from nogs_bench.tasks.task import get_task
from results import run_result
from small_dataset import TASK, annotations, write


def test_figure_2_is_drawn_in_both_formats_and_is_reproducible(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    for suffix in ("png", "svg"):
        first = plot_epe(folder, 7, tmp_path / f"a.{suffix}")
        again = plot_epe(folder, 7, tmp_path / f"b.{suffix}")
        other = plot_epe(folder, 3, tmp_path / f"c.{suffix}")
        assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 300
    words = (tmp_path / "a.svg").read_text()
    known = annotations().maps[0].astype(np.float32)
    for word in ("t = 1", "t = 2", "image 7", *(f"{value:.2f}" for value in known.min((1, 2)))):
        assert f"<!-- {word}" in words


def test_shipped_sequences_are_drawn_by_their_task_s_name(tmp_path: Path) -> None:
    words = plot_epe("cluttered-digits", None, tmp_path / "a.svg").read_text()
    (file,) = (SHIPPED / "cluttered-digits" / "maps").glob("*.parquet")
    first = pq.read_table(file).slice(0, 1).to_pylist()[0]
    least = np.array(first["epe_map"], np.float32).min((1, 2))
    for word in (f"image {first['index']}", *(f"{value:.2f}" for value in least)):
        assert f"<!-- {word}" in words
    assert words.count("<image") >= 6 + 5  # the digit, what was seen of it, and the maps
    alone = plot_epe("cluttered-digits", None, tmp_path / "b.svg", images=False).read_text()
    assert alone.count("<image") < words.count("<image")


def test_a_cell_of_the_map_surrounds_the_centre_of_its_glimpse() -> None:
    edges = _cell_edges(TASK.grid.rows, TASK.grid)
    assert edges.tolist() == [0, 4, 8, 12]
    celeba = get_task("celeba-hq-male").grid
    centres = np.array(celeba.rows) + celeba.glimpse_size / 2
    edges = _cell_edges(celeba.rows, celeba)
    assert (edges[0], edges[-1]) == (0, 224)
    assert ((edges[:-1] < centres) & (centres < edges[1:])).all()


@pytest.mark.parametrize(
    ("index", "out", "message"),
    [
        (0, "a.png", "is not annotated"),
        (400, "a.png", r"training images 0\.\.399"),
        (3, "a.jpg", r"written as \.png or \.svg"),
    ],
)
def test_what_cannot_be_drawn_is_said(tmp_path: Path, index: int, out: str, message: str) -> None:
    folder = write(tmp_path / "d")
    with pytest.raises(NogsError, match=message):
        plot_epe(folder, index, tmp_path / out)
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_curves_have_a_line_for_each_method(tmp_path: Path) -> None:
    results = tmp_path / "results"
    for method in ("ram", "ps-nogs"):
        for seed in range(2):
            save_result(run_result(method=method, seed=seed), results)
    words = plot_curves(results, tmp_path / "curves.svg").read_text()
    drawn = re.findall(r"<!-- (.*?) -->", words)
    assert "ram (2 seeds)" in drawn
    assert "ps-nogs (2 seeds)" in drawn
    assert "target" in drawn
    assert drawn.index("ram (2 seeds)") < drawn.index("ps-nogs (2 seeds)"), "the baseline first"
    with pytest.raises(NogsError, match="no results folder"):
        plot_curves(tmp_path / "absent", tmp_path / "a.svg")


def test_runs_at_two_rates_are_two_lines_and_two_bars(tmp_path: Path) -> None:
    from nogs_bench.figures.lines import line_names

    runs = [run_result(method, seed) for method in ("ram", "ps-nogs") for seed in range(2)]
    for run in runs[:2]:
        faster = run.hyperparameters.model_copy(update={"learning_rate": 3e-3})
        runs.append(run.model_copy(update={"hyperparameters": faster}))
    save_entries(runs, tmp_path / "results")
    lines = {(run.method, run.hyperparameters.learning_rate) for run in runs}
    assert list(line_names(lines).values()) == ["ram at 3e-4", "ram at 3e-3", "ps-nogs"]
    for plot in (plot_curves, plot_bars):
        words = plot(tmp_path / "results", tmp_path / "x.svg").read_text()
        for name in line_names(lines).values():
            assert f"<!-- {name}" in words, plot


@pytest.mark.parametrize("plot", [plot_curves, plot_bars, plot_locations])
def test_runs_that_were_made_differently_are_not_drawn_as_one(tmp_path: Path, plot: Any) -> None:
    runs = [board_run("ram", seed).model_copy(update={"images": "1" * 64}) for seed in range(2)]
    for run in (runs[0], runs[1].model_copy(update={"images": "2" * 64})):
        save_result(run, tmp_path / "results")
    with pytest.raises(NogsError, match=r"seed1 has images 222.*, .*seed0 111"):
        plot(tmp_path / "results", tmp_path / "x.png")


def test_runs_at_two_rates_looked_apart(tmp_path: Path) -> None:
    runs = [board_run("ps-nogs", 0), board_run("ram", 0)]
    faster = runs[0].hyperparameters.model_copy(update={"learning_rate": 1e-2})
    runs.append(runs[0].model_copy(update={"hyperparameters": faster}))
    save_entries(runs, tmp_path / "results")
    words = plot_locations(tmp_path / "results", tmp_path / "x.svg").read_text()
    drawn = [word for word in re.findall(r"<!-- (.*?) -->", words) if word.startswith("ps-nogs")]
    assert drawn == ["ps-nogs at 3e-3", "ps-nogs at 1e-2"]
    assert words.count("<!-- t = 1 -->") == 3


def test_methods_of_one_colour_have_lines_and_bars_of_their_own(tmp_path: Path) -> None:
    from nogs_bench.figures.lines import colour_of

    assert colour_of("ram") == colour_of("ps-nogs-anneal")
    save_entries([run_result(method) for method in ("ram", "ps-nogs-anneal")], tmp_path / "runs")
    words = plot_curves(tmp_path / "runs", tmp_path / "x.svg").read_text()
    grey = [style for style in re.findall(r'style="([^"]+)"', words) if "#4c566a" in style]
    drawn = [style for style in grey if "stroke-width: 1.6" in style]
    assert {"stroke-dasharray" in style for style in drawn} == {True, False}
    words = plot_bars(tmp_path / "runs", tmp_path / "x.svg").read_text()
    assert "pattern" in words
