"""Results as a page.

In come result files; out comes one HTML file that needs nothing else.
"""

from nogs_bench.leaderboard.page.document import build, render

__all__ = ["build", "render"]
