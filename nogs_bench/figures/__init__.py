"""Tables and pictures for people.

In come scores, results, datasets; out come tables for the terminal and figures in files.
"""

from nogs_bench.figures.bars import plot_bars
from nogs_bench.figures.canvas import address, drawing, png_address, require_figure
from nogs_bench.figures.curves import plot_curves
from nogs_bench.figures.epe import EpeCase, draw_epe, plot_epe
from nogs_bench.figures.eval_results import HUB_SCORES, HubScore, hub_scores
from nogs_bench.figures.families import of_families
from nogs_bench.figures.maps import (
    CHOSEN,
    UNSEEN,
    draw_locations,
    draw_map,
    frame,
    observed,
    plot_locations,
)
from nogs_bench.figures.page import rendered
from nogs_bench.figures.tables import (
    choices_table,
    empty_table,
    methods_table,
    print_tables,
    quality_table,
    scores_tables,
    tasks_tables,
)
from nogs_bench.figures.texts import (
    NOT_LEARNED,
    duration,
    estimate_text,
    method_text,
    percent,
    points,
    rank_text,
    rate_text,
    span_text,
    spans_text,
    target,
    times,
    whole,
)

__all__ = [
    "CHOSEN",
    "HUB_SCORES",
    "NOT_LEARNED",
    "UNSEEN",
    "EpeCase",
    "HubScore",
    "address",
    "choices_table",
    "draw_epe",
    "draw_locations",
    "draw_map",
    "drawing",
    "duration",
    "empty_table",
    "estimate_text",
    "frame",
    "hub_scores",
    "method_text",
    "methods_table",
    "observed",
    "of_families",
    "percent",
    "plot_bars",
    "plot_curves",
    "plot_epe",
    "plot_locations",
    "png_address",
    "points",
    "print_tables",
    "quality_table",
    "rank_text",
    "rate_text",
    "rendered",
    "require_figure",
    "scores_tables",
    "span_text",
    "spans_text",
    "target",
    "tasks_tables",
    "times",
    "whole",
]
