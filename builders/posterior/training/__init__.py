"""Training the AVP: images, labels, cells and t in batches, epoch by epoch, weights averaged."""

from nogs_bench.builders.posterior.training.epochs import (
    seconds_per_epoch,
    train_avp,
    validate_avp,
)

__all__ = ["seconds_per_epoch", "train_avp", "validate_avp"]
