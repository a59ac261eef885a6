"""What looks at a dataset takes a name as `load` does: the shipped sequences by their task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nogs_bench.builders.posterior import read_calibration
from nogs_bench.builders.report import report
from nogs_bench.errors import NogsError
from nogs_bench.figures import plot_locations
from nogs_bench.sequences import SHIPPED, load_pictured

NAME = "cluttered-digits"


def test_locations_and_calibration_of_a_name_are_those_of_its_folder(tmp_path: Path) -> None:
    by_name = plot_locations(NAME, tmp_path / "a.png").read_bytes()
    assert by_name == plot_locations(SHIPPED / NAME, tmp_path / "b.png").read_bytes()
    assert by_name == plot_locations(SHIPPED / NAME, tmp_path / "c.png", NAME).read_bytes()
    with pytest.raises(NogsError, match="no results folder"):
        plot_locations(tmp_path / "absent", tmp_path / "d.png", NAME)
    record = json.loads((SHIPPED / NAME / "provenance.json").read_text(encoding="utf-8"))
    errors = record["calibration"]["expected_calibration_error"]
    assert [curve.expected_error for curve in read_calibration(NAME)] == pytest.approx(errors)


def test_a_report_of_a_name_is_written_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = report(NAME)
    assert page.resolve() == tmp_path / "report.html"
    assert "The areas that the sequences of 10 images observe." in page.read_text(encoding="utf-8")
    assert not (SHIPPED / NAME / "report.html").exists()


def test_images_that_are_not_here_are_left_out() -> None:
    assert load_pictured(NAME, images=False) is None
    rows = load_pictured(NAME)
    assert rows is not None
    assert rows[0]["image"].size == (28, 28)


def test_no_such_name_is_said(tmp_path: Path) -> None:
    with pytest.raises(NogsError, match="no dataset 'nothing'"):
        plot_locations("nothing", tmp_path / "a.png")
