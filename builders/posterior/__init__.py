"""What the label may be, given the glimpses seen (section 4.1).

In come training images; out comes a `Posterior`: the attentional variational posterior (`avp`), or
a labelled bank's own (`oracle`), which gives log-probabilities for any cells of any images.
`reliability` measures whether it is as sure as it should be.
"""

from nogs_bench.builders.posterior import (  # noqa: F401  (they register)
    patches,
    tokens,
)
from nogs_bench.builders.posterior.avp import Avp
from nogs_bench.builders.posterior.embedded import EmbeddedBank, embedded_bytes
from nogs_bench.builders.posterior.glimpse_networks import (
    GLIMPSE_NETWORKS,
    check_network,
    network_code,
)
from nogs_bench.builders.posterior.interface import (
    Posterior,
    Prepared,
    along_each,
    log_along,
    prepare,
)
from nogs_bench.builders.posterior.networks import AVP_NETWORKS, keyed
from nogs_bench.builders.posterior.oracle import BankPosterior, exact_epe, fit_bank_sigma
from nogs_bench.builders.posterior.reliability import (
    calibration,
    calibration_record,
    draw_reliability,
    fixed_cells,
    plot_reliability,
    read_calibration,
)
from nogs_bench.builders.posterior.training import (
    seconds_per_epoch,
    train_avp,
    validate_avp,
)

__all__ = [
    "AVP_NETWORKS",
    "GLIMPSE_NETWORKS",
    "Avp",
    "BankPosterior",
    "EmbeddedBank",
    "Posterior",
    "Prepared",
    "along_each",
    "calibration",
    "calibration_record",
    "check_network",
    "draw_reliability",
    "embedded_bytes",
    "exact_epe",
    "fit_bank_sigma",
    "fixed_cells",
    "keyed",
    "log_along",
    "network_code",
    "plot_reliability",
    "prepare",
    "read_calibration",
    "seconds_per_epoch",
    "train_avp",
    "validate_avp",
]
