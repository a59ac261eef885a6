"""A cache of one's own for every test run, no network, and one thread."""

from __future__ import annotations

import os
import tempfile

# Before anything imports `datasets` or `huggingface_hub`, which read these once.
_CACHE = tempfile.TemporaryDirectory(prefix="nogs-bench-tests-")
os.environ["HF_HOME"] = _CACHE.name
os.environ["NOGS_BENCH_CACHE"] = os.path.join(_CACHE.name, "nogs-bench")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
# Threads that wait for each other on a busy machine are far slower than one.
os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Iterator  # noqa: E402

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# The same cases on every machine, however slow.
settings.register_profile("shared", deadline=None, derandomize=True, database=None)
settings.load_profile("shared")


@pytest.fixture(autouse=True, scope="module")
def _own_tasks_of_modules() -> Iterator[None]:
    """A task that a module's fixture registers is forgotten after the module."""
    from nogs_bench.tasks.task import TASKS

    TASKS.names()  # entry points too
    held = dict(TASKS._entries)
    yield
    TASKS._entries.clear()
    TASKS._entries.update(held)


@pytest.fixture(autouse=True)
def _own_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that a test registers is forgotten after it."""
    from nogs_bench.tasks.task import TASKS

    TASKS.names()  # entry points too
    monkeypatch.setattr(TASKS, "_entries", dict(TASKS._entries))
