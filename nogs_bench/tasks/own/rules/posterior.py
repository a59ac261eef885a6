"""The attentional variational posterior: which network, and for how long it is trained."""

from __future__ import annotations

from nogs_bench.tasks.own.facts import Facts
from nogs_bench.tasks.own.rules.parts import avp_images
from nogs_bench.tasks.own.rules.rates import rates_of
from nogs_bench.tasks.own.rules.rule import Chosen, between, rounded, rule
from nogs_bench.tasks.own.rules.sizes import SMALL_SIDE
from nogs_bench.tasks.values import ANY, NUMBER

SHARE_OF_TIME = 0.6
FEW = 1_000  # images that train it
LEAST_EPOCHS, MOST_EPOCHS = 5, 100
BEST_RATES = {
    "local": (2e-3, "best for convolutions"),
    "patch-sum": (1e-3, "best for glimpses alone"),
}
MOST_SEEN = 2_000_000  # images, all epochs together: more is of little use


@rule(
    "network",
    "the image size, and how many images train it. Small images: two convolutions whose kernels "
    "fit the grid, so that a candidate changes only a small window. If fewer than a thousand train "
    "it: a narrow network of the glimpses alone, which learns what a glimpse shows once for all "
    "places. Photographs: a wider network of the glimpses alone, whose cost does not grow with the "
    "image",
    "local:... or patch-sum",
    kind=str,
    allowed=ANY,
)
def network(facts: Facts, chosen: Chosen) -> tuple[str, str]:
    step = chosen["stride"]
    if chosen["image_size"] > SMALL_SIDE:
        return "patch-sum:256x2", "photographs: its cost does not grow with the image"
    count = avp_images(facts, chosen)
    if count < FEW:
        return "patch-sum:128x2", f"some {count:,} images train it: the same for all places"
    wide = (24, 48) if chosen["channels"] == 1 else (32, 64)
    spec = f"local:{wide[0]}k{step}s{step}-{wide[1]}k3s2p1-256"
    return spec, f"small images: its kernels are {step} wide, as the grid's step"


@rule(
    "mirrored",
    "the image size. Photographs are also shown reversed left to right, which doubles their "
    "number. Set it to false where left and right matter, as in writing",
    "true for photographs",
    kind=bool,
    allowed=ANY,
)
def mirrored(facts: Facts, chosen: Chosen) -> tuple[bool, str]:
    photographs = chosen["image_size"] > SMALL_SIDE
    return photographs, "photographs, shown reversed too" if photographs else "not for small images"


@rule(
    "avp_batch",
    "64, or 32 where fewer than a thousand images train it, and never more than half of them",
    "up to 64",
)
def avp_batch(facts: Facts, chosen: Chosen) -> tuple[int, str]:
    count = avp_images(facts, chosen)
    half = 2 ** ((count // 2).bit_length() - 1) if count > 1 else 1
    return min(32 if count < FEW else 64, half), f"some {count:,} images train it"


@rule(
    "avp_rate",
    "the network: the rate at which each was best on the tasks that need no download",
    "1e-3 or 2e-3",
    kind=float,
    allowed=NUMBER,
)
def avp_rate(facts: Facts, chosen: Chosen) -> tuple[float, str]:
    return BEST_RATES.get(chosen["network"].partition(":")[0], (1e-3, "not tried for this network"))


@rule(
    "epochs",
    "the minutes: as many epochs as three fifths of them allow, and no more than two million "
    "images in all",
    "5 .. 100",
)
def epochs(facts: Facts, chosen: Chosen) -> tuple[int, str]:
    count = avp_images(facts, chosen)
    seconds = 60 * SHARE_OF_TIME * chosen.minutes
    rates = rates_of(*(chosen[name] for name in ("network", "image_size", "glimpse", "channels")))
    affordable = seconds * rates.training / count
    wanted = between(min(affordable, MOST_SEEN / count), LEAST_EPOCHS, MOST_EPOCHS)
    why = f"{SHARE_OF_TIME:.0%} of {chosen.minutes:g} minutes, for {count:,} images"
    most = min(MOST_SEEN / count, MOST_EPOCHS)
    return rounded(wanted), f"{why}; more would not help" if wanted >= most else why
