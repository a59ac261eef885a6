"""From files to labelled images: uint8 (n, channels, size, size) and int64 labels (n, labels).

In come folders, idx and npy files, and what `prepare` wrote; out come `LabelledImages`, split by
split, from an `ImageSource`. Every picture goes through the one `decoder`; `cache` keeps what it
made, and `store` keeps a task's images once for all processes of a machine.
"""

from nogs_bench.images.cache import Item, decoded, file_state, writable
from nogs_bench.images.clutter import Canvas, Pool
from nogs_bench.images.decoder import (
    WHITE,
    Colour,
    background_of,
    planes,
    quietly,
    read_picture,
    shown,
    size_of,
    squared,
    stretched,
)
from nogs_bench.images.folder import ImageFolder
from nogs_bench.images.hub import OPEN_LICENCES, HubImages, OpenedDataset, open_dataset
from nogs_bench.images.idx import read_idx
from nogs_bench.images.labelled import (
    BadRows,
    ImageSource,
    LabelledImages,
    Sampler,
    data_folder,
    digest_of_splits,
    first_copies,
    joined,
    picture_digest,
)
from nogs_bench.images.labels import EVERY_SPLIT, Label, Splits
from nogs_bench.images.listing import (
    SPLIT_NAMES,
    Listing,
    list_images,
    list_pictures,
    refuse_unread,
    say,
)
from nogs_bench.images.prepared import (
    RECORD,
    PreparedFolder,
    open_array,
    read_record,
    verify,
)
from nogs_bench.images.store import (
    check_unused,
    mapping_of,
    open_split,
    picked,
    shared_images,
    stores_in,
    sweep_store,
)

__all__ = [
    "EVERY_SPLIT",
    "OPEN_LICENCES",
    "RECORD",
    "SPLIT_NAMES",
    "WHITE",
    "BadRows",
    "Canvas",
    "Colour",
    "HubImages",
    "ImageFolder",
    "ImageSource",
    "Item",
    "Label",
    "LabelledImages",
    "Listing",
    "OpenedDataset",
    "Pool",
    "PreparedFolder",
    "Sampler",
    "Splits",
    "background_of",
    "check_unused",
    "data_folder",
    "decoded",
    "digest_of_splits",
    "file_state",
    "first_copies",
    "joined",
    "list_images",
    "list_pictures",
    "mapping_of",
    "open_array",
    "open_dataset",
    "open_split",
    "picked",
    "picture_digest",
    "planes",
    "quietly",
    "read_idx",
    "read_picture",
    "read_record",
    "refuse_unread",
    "say",
    "shared_images",
    "shown",
    "size_of",
    "squared",
    "stores_in",
    "stretched",
    "sweep_store",
    "verify",
    "writable",
]
