"""From files to labelled images: uint8 (n, channels, size, size) and int64 labels (n, labels).

In come folders, idx and npy files, and what `prepare` wrote; out come `LabelledImages`, split by
split, from an `ImageSource`. `store` keeps them once for all processes of a machine.
"""

from nogs_bench.images.clutter import (
    BLOCK,
    block_rng,
    draw_range,
    paint,
    window,
)
from nogs_bench.images.folder import ImageFolder
from nogs_bench.images.idx import read_idx
from nogs_bench.images.labelled import (
    ImageSource,
    LabelledImages,
    Sampler,
    data_folder,
)
from nogs_bench.images.labels import Label, Splits
from nogs_bench.images.prepared import (
    RECORD,
    PreparedFolder,
    open_array,
    read_record,
    verify,
)
from nogs_bench.images.store import (
    mapping_of,
    open_split,
    shared_images,
    sweep_store,
)

__all__ = [
    "BLOCK",
    "RECORD",
    "ImageFolder",
    "ImageSource",
    "Label",
    "LabelledImages",
    "PreparedFolder",
    "Sampler",
    "Splits",
    "block_rng",
    "data_folder",
    "draw_range",
    "mapping_of",
    "open_array",
    "open_split",
    "paint",
    "read_idx",
    "read_record",
    "shared_images",
    "sweep_store",
    "verify",
    "window",
]
