"""Datasets that `datasets` loads, of the Hub or on this machine, as labelled images.

In comes a name; columns are found by type, splits kept, the revision resolved; out come
`HubImages`, decoded once by this package's decoder.
"""

from nogs_bench.images.hub.dataset import OpenedDataset, open_dataset
from nogs_bench.images.hub.repository import OPEN_LICENCES
from nogs_bench.images.hub.source import HubImages

__all__ = ["OPEN_LICENCES", "HubImages", "OpenedDataset", "open_dataset"]
