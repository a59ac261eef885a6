"""Image, glimpse, grid and number of glimpses."""

from __future__ import annotations

from nogs_bench.tasks.own.facts import Facts
from nogs_bench.tasks.own.rules.rule import Chosen, between, rule

LEAST_SIDE, MOST_SIDE = 16, 96
SMALL_SIDE = 64  # up to here images are looked at whole, above they are photographs
FEW = 2_000  # images
A_GLIMPSE, A_LARGE_ONE = 6, 5  # of these make a side


@rule(
    "image_size",
    "the median of the images' shorter sides, rounded down to a multiple of 4, so that no pixel is "
    "made up. Work grows with the square of it, so large photographs are made smaller",
    "16 .. 96 pixels",
)
def image_size(facts: Facts, chosen: Chosen) -> tuple[int, str]:
    side = int(between(facts.side // 4 * 4, LEAST_SIDE, MOST_SIDE))
    return side, f"the images' shorter side is {facts.side}; {MOST_SIDE} at most"


@rule("channels", "whether any of some forty images shows a colour", "1 or 3")
def channels(facts: Facts, chosen: Chosen) -> tuple[int, str]:
    return (1, "no image shows a colour") if facts.grey else (3, "the images have colours")


@rule(
    "glimpse",
    "a sixth of the side, rounded to a multiple of 4 (of 2 below 7). Five glimpses then see a "
    "seventh of the image, so it matters where they are. With fewer than two thousand images it is "
    "a fifth: from smaller glimpses the AVP would learn nothing",
    "4 .. 20 pixels",
)
def glimpse(facts: Facts, chosen: Chosen) -> tuple[int, str]:
    side = chosen["image_size"]
    parts = A_LARGE_ONE if facts.images < FEW else A_GLIMPSE
    exact = side / parts
    unit = 4 if exact >= 7 else 2
    size = int(max(4, unit * int(exact / unit + 0.5)))
    return min(size, side), f"about a {parts}th of the side, as there are {facts.images:,} images"


@rule(
    "stride",
    "half a glimpse, so that any place can be in the middle of one",
    "from 2 pixels on",
)
def stride(facts: Facts, chosen: Chosen) -> tuple[int, str]:
    return max(1, chosen["glimpse"] // 2), "half a glimpse"


@rule("glimpses", "always five, as the paper's tasks have it", "5")
def glimpses(facts: Facts, chosen: Chosen) -> tuple[int, str]:
    return 5, "as in the paper"
