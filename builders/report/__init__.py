"""`report`: all about a dataset of sequences, in one page.

In comes a dataset folder; out comes a self-contained HTML file with its figures.
"""

from nogs_bench.builders.report.page import page_of, report

__all__ = [
    "page_of",
    "report",
]
