"""Parts of a build side by side: completions, posteriors, the sequences that posteriors choose.

In come a task and names; out come measures of each on held-out images.
"""

from nogs_bench.builders.compare.avp import AvpMeasure, compare_avp, speeds
from nogs_bench.builders.compare.completions import CompletionMeasure, compare_completions

__all__ = [
    "AvpMeasure",
    "CompletionMeasure",
    "compare_avp",
    "compare_completions",
    "speeds",
]
