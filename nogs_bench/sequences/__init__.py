"""Glimpse sequences as users and trainers read them.

In comes a dataset folder, a task's name or a name on the Hub; it is found, checked against its
digests and joined with images; out come rows (`load`) or arrays (`load_annotations`). `shipped/`
holds the sequences that come with the package.
"""

from nogs_bench.sequences.annotations import (
    Annotations,
    load_annotations,
    own_sequences,
    write_annotations,
)
from nogs_bench.sequences.built import as_built, built_task
from nogs_bench.sequences.finding import SHIPPED, dataset_folder, posterior_folder
from nogs_bench.sequences.identity import first_other, identity_record, read_identity
from nogs_bench.sequences.joining import picture
from nogs_bench.sequences.loading import load
from nogs_bench.sequences.maps import load_maps, map_files, open_maps
from nogs_bench.sequences.pictured import load_pictured
from nogs_bench.sequences.recorded import recorded_grid, require_digest, require_file

__all__ = [
    "SHIPPED",
    "Annotations",
    "as_built",
    "built_task",
    "dataset_folder",
    "first_other",
    "identity_record",
    "load",
    "load_annotations",
    "load_maps",
    "load_pictured",
    "map_files",
    "open_maps",
    "own_sequences",
    "picture",
    "posterior_folder",
    "read_identity",
    "recorded_grid",
    "require_digest",
    "require_file",
    "write_annotations",
]
