"""Files that a command did not write are not replaced without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from nogs_bench.errors import NogsError
from nogs_bench.files import require_own
from nogs_bench.leaderboard.page import build
from places import ROOT

MARKS = {"index.html": "<title>mine</title>"}


def test_own_files_and_empty_folders_may_be_written(tmp_path: Path) -> None:
    require_own(tmp_path / "none", MARKS)
    require_own(tmp_path, MARKS)
    (tmp_path / "index.html").write_text("<html><title>mine</title></html>")
    (tmp_path / "other.html").write_text("anything")
    require_own(tmp_path, MARKS)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    page.write_text("<title>my home page</title>")
    with pytest.raises(NogsError, match=r"index\.html is there.*--replace"):
        require_own(tmp_path, MARKS)
    require_own(tmp_path, MARKS, replace=True)
    with pytest.raises(NogsError, match="is a file; give a folder"):
        require_own(page, MARKS, replace=True)


def test_the_leaderboard_s_page_replaces_its_own_alone(tmp_path: Path) -> None:
    results, page = ROOT / "leaderboard" / "results", tmp_path / "index.html"
    page.write_text("<title>my home page</title>")
    with pytest.raises(NogsError, match=r"index\.html is there"):
        build(results, tmp_path)
    assert page.read_text() == "<title>my home page</title>"
    build(results, tmp_path, replace=True)
    build(results, tmp_path)
    assert "nogs-bench leaderboard" in page.read_text()
