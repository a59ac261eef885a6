"""What is written on disk: whole or not at all, with a record of what made it.

In come arrays, JSON values and folders; out come files that say themselves whether they are whole
(`artefact`, `arrays`, `checkpoint`), that one process holds at a time (`lock`), that a store keeps
too (`store`), and that are read without trust (`strictjson`, `npy`).
"""

from nogs_bench.files.arrays import (
    Arrays,
    map_arrays,
    read_arrays,
    sound_arrays,
    write_arrays,
)
from nogs_bench.files.artefact import (
    PROVENANCE,
    Provenance,
    digest_file,
    digest_json,
    naming_full_disk,
    package_version,
    read_provenance,
    replacing,
    stage_name,
    write_json,
    write_text,
)
from nogs_bench.files.checkpoint import load_checkpoint, resumed, save_checkpoint
from nogs_bench.files.hub import hub_errors, is_offline, is_owned, require_hub, require_visibility
from nogs_bench.files.lock import locked
from nogs_bench.files.npy import new_array, read_array, require_room, take_room
from nogs_bench.files.repairs import repaired, sweep
from nogs_bench.files.store import (
    Mirror,
    cache_folder,
    check_store,
    fetched,
    is_url,
)
from nogs_bench.files.strictjson import MalformedJson, parse_json
from nogs_bench.files.vacancy import require_empty, require_new, require_own, require_plain

__all__ = [
    "PROVENANCE",
    "Arrays",
    "MalformedJson",
    "Mirror",
    "Provenance",
    "cache_folder",
    "check_store",
    "digest_file",
    "digest_json",
    "fetched",
    "hub_errors",
    "is_offline",
    "is_owned",
    "is_url",
    "load_checkpoint",
    "locked",
    "map_arrays",
    "naming_full_disk",
    "new_array",
    "package_version",
    "parse_json",
    "read_array",
    "read_arrays",
    "read_provenance",
    "repaired",
    "replacing",
    "require_empty",
    "require_hub",
    "require_new",
    "require_own",
    "require_plain",
    "require_room",
    "require_visibility",
    "resumed",
    "save_checkpoint",
    "sound_arrays",
    "stage_name",
    "sweep",
    "take_room",
    "write_arrays",
    "write_json",
    "write_text",
]
