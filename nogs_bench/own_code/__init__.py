"""A user's own Python files: run when the user names them, and known by what they import.

In comes `FILE.py:NAME`, or files; out come the object of that name, and a digest of the code.
"""

from nogs_bench.own_code.imports import imported, in_library, joint_digest, own_files, source_digest
from nogs_bench.own_code.loading import load_object, running_file

__all__ = [
    "imported",
    "in_library",
    "joint_digest",
    "load_object",
    "own_files",
    "running_file",
    "source_digest",
]
