"""Tables and pictures for people.

In come scores, results, datasets; out come tables for the terminal and figures in files.
"""

from nogs_bench.figures.canvas import drawing
from nogs_bench.figures.plots import (
    CHOSEN,
    UNSEEN,
    EpeCase,
    cell_edges,
    draw_epe,
    plot_curves,
    plot_epe,
    recorded_grid,
)
from nogs_bench.figures.study_plots import plot_bars, plot_locations
from nogs_bench.figures.tables import (
    empty_table,
    estimate_text,
    methods_table,
    print_tables,
    quality_table,
    rank_text,
    scores_tables,
    tasks_tables,
)

__all__ = [
    "CHOSEN",
    "UNSEEN",
    "EpeCase",
    "cell_edges",
    "draw_epe",
    "drawing",
    "empty_table",
    "estimate_text",
    "methods_table",
    "plot_bars",
    "plot_curves",
    "plot_epe",
    "plot_locations",
    "print_tables",
    "quality_table",
    "rank_text",
    "recorded_grid",
    "scores_tables",
    "tasks_tables",
]
