"""Rows as a notebook shows them."""

from __future__ import annotations

import copy
import pickle
import re

import nogs_bench


def test_rows_show_labels_and_places_and_stay_what_they_are() -> None:
    rows = nogs_bench.load("cluttered-digits", split="train[:8]")
    html = rows._repr_html_()
    assert "8 rows, the first 5" in html
    assert html.count("<tr>") == 6
    first = rows[0]
    places = "[" + " ".join(f"[{row} {col}]" for row, col in first["glimpses"]) + "]"
    cells = re.findall("<td>(.*?)</td>", html)
    assert cells[:2] == [str(first["index"]), str(first["label"])]
    assert places in cells
    assert max(map(len, cells)) < 110
    for other in (pickle.loads(pickle.dumps(rows)), copy.deepcopy(rows), rows.with_format("torch")):
        assert len(other) == 8
    assert rows.map(lambda row: {"twice": 2 * row["index"]})[3]["twice"] == 2 * rows[3]["index"]


def test_splits_and_images_are_named() -> None:
    html = nogs_bench.load("cluttered-digits", images=True)._repr_html_()
    assert "train, " in html
    assert "test, " in html
    assert "image, 28 x 28" in html
