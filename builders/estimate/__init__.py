"""What a build will make and cost, before it is begun.

In come a plan and measured rates (`rates.json`); out come files, bytes and hours, stage by stage.
"""

from nogs_bench.builders.estimate.cost import BuildEstimate, estimate_build
from nogs_bench.builders.estimate.rates import Rates, image_name

__all__ = [
    "BuildEstimate",
    "Rates",
    "estimate_build",
    "image_name",
]
