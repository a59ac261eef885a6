"""From sequences to a dataset folder that `load_dataset` reads, and from there to the Hub.

In come images, sequences and maps; out come parquet, a checked card, provenance and figures, which
`publish` sends.
"""

from nogs_bench.builders.dataset.folder import dataset_files, sweep_dataset, write_dataset
from nogs_bench.builders.dataset.maps import sharded_maps
from nogs_bench.builders.dataset.own_images import prepared_copies, with_images
from nogs_bench.builders.dataset.parquet import Annotations, LabelsOnly, Rows
from nogs_bench.builders.dataset.posterior import (
    DatasetPosterior,
    Networks,
    beliefs_along,
    load_posterior,
)
from nogs_bench.builders.dataset.publishing import Published, publish, publish_all
from nogs_bench.builders.dataset.vacancy import (
    IMPORTED,
    WORKSPACE,
    require_apart,
    require_own_images,
    require_vacant,
)

__all__ = [
    "IMPORTED",
    "WORKSPACE",
    "Annotations",
    "DatasetPosterior",
    "LabelsOnly",
    "Networks",
    "Published",
    "Rows",
    "beliefs_along",
    "dataset_files",
    "load_posterior",
    "prepared_copies",
    "publish",
    "publish_all",
    "require_apart",
    "require_own_images",
    "require_vacant",
    "sharded_maps",
    "sweep_dataset",
    "with_images",
    "write_dataset",
]
