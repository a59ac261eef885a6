"""How sequences are searched: completions, and how many."""

from __future__ import annotations

from nogs_bench.tasks.own.facts import Facts
from nogs_bench.tasks.own.rules.parts import avp_images
from nogs_bench.tasks.own.rules.rates import BESIDE, TRIED, rates_of
from nogs_bench.tasks.own.rules.rule import Chosen, between, rounded, rule
from nogs_bench.tasks.values import ANY, NUMBER

SHARE_OF_TIME = 0.9  # with the AVP's training
CORES = 2
LEAST_SAMPLES, MOST_SAMPLES = 50, 500


@rule(
    "effective_samples",
    "a tenth of the bank. Completions must fit what was seen, and there must be enough of them to "
    "average over",
    "10 .. 100, half of a smaller bank",
    kind=float,
    allowed=NUMBER,
)
def effective_samples(facts: Facts, chosen: Chosen) -> tuple[float, str]:
    bank = chosen["bank_images"]
    least = max(1, min(10, bank // 2))
    return float(rounded(between(bank / 10, least, 100))), f"a tenth of the bank's {bank:,}"


@rule(
    "search",
    "always a race: all cells are tried with few completions, and those that are surely worse drop "
    "out",
    "racing",
    kind=str,
    allowed=ANY,
)
def search(facts: Facts, chosen: Chosen) -> tuple[str, str]:
    return "racing", "few completions for most cells, many for the best"


@rule(
    "samples",
    "the minutes: as many as the AVP's training leaves time for, of nine tenths of them, on two "
    "cores, shared among the labels that are searched for. The best of many noisy estimates is "
    "mostly luck, so the more the better",
    "50 .. 500",
)
def samples(facts: Facts, chosen: Chosen) -> tuple[int, str]:
    rates = rates_of(*(chosen[name] for name in ("network", "image_size", "glimpse", "channels")))
    training = chosen["epochs"] * avp_images(facts, chosen) / rates.training
    seconds = max(0.0, 60 * SHARE_OF_TIME * chosen.minutes - training) * CORES
    races = chosen["annotated"] * (chosen["glimpses"] - 1) * chosen.labels
    raced = seconds * rates.evaluations / max(1, races * chosen.cells)
    affordable = (raced - TRIED) / BESIDE
    wanted = rounded(between(affordable, LEAST_SAMPLES, MOST_SAMPLES))
    left = f"{SHARE_OF_TIME:.0%} of {chosen.minutes:g} minutes, less the AVP's"
    if chosen.labels > 1:
        left += f", shared among {chosen.labels} labels"
    return wanted, f"{left}; 500 at most" if wanted == MOST_SAMPLES else left
