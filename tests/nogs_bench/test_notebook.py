"""What a notebook shows: small tables in which no text can become markup."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from corner_task import CORNER
from nogs_bench.notebook import html_facts, html_rows
from nogs_bench.results import score_runs
from results import run_result


class Cells(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag in ("td", "th", "caption"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        self.cells[-1] += data


def test_tables_hold_their_texts_and_no_other_tags() -> None:
    hostile = "<script>alert(1)</script>"
    facts = Cells(html_facts(hostile, {"a&b": hostile, "n": 3}))
    assert facts.cells == [hostile, "a&b", hostile, "n", "3"]
    rows = Cells(html_rows("t", ("x", "y"), [(1, hostile), (2, "b")]))
    assert rows.cells == ["t", "x", "y", "1", hostile, "2", "b"]
    assert "script" not in facts.tags | rows.tags


def test_a_task_says_what_it_is() -> None:
    cells = Cells(replace(CORNER, description="5 < 6")._repr_html_()).cells
    assert cells[0] == "corner, version 1"
    assert "5 < 6" in cells
    assert "2 of 4 x 4 pixels, at 9 places" in cells


def test_scores_show_a_row_for_each_method() -> None:
    runs = [
        run_result(method=method, seed=seed) for method in ("ram", "ps-nogs") for seed in (0, 1)
    ]
    scores = score_runs(runs)
    cells = Cells(scores._repr_html_()).cells
    names, ram, nogs = (cells[start : start + 7] for start in (1, 8, 15))
    assert names[1:3] == ["method", "rate"]
    assert [row[1:3] for row in (ram, nogs)] == [["ram", "0.0003"], ["ps-nogs", "0.0003"]]
    mean = sum(run.test.accuracy for run in runs[:2]) / 2
    assert ram[6].startswith(f"{100 * mean:.1f}")
