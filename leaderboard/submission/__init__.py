"""From somebody's results to a pull request, and what it changes.

In come result files; out come the checked files, the message and the Hub's own format (`folder`),
a clone that is ready to push (`clones`), and who moves where (`ranks`).
"""

from nogs_bench.leaderboard.submission.clones import git_lines
from nogs_bench.leaderboard.submission.folder import MESSAGE, build_cost, submit
from nogs_bench.leaderboard.submission.ranks import Moves, describe, moves

__all__ = [
    "MESSAGE",
    "Moves",
    "build_cost",
    "describe",
    "git_lines",
    "moves",
    "submit",
]
