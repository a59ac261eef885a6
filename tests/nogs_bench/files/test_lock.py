from __future__ import annotations

from pathlib import Path

import pytest

from nogs_bench.files import lock


def test_where_the_system_has_no_locks_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on Windows, which lacks the module."""
    monkeypatch.setattr(lock, "fcntl", None)
    with lock.locked(tmp_path / "new" / "lock", "busy"), lock.locked(tmp_path / "lock", "busy"):
        assert (tmp_path / "new").is_dir()
    assert capsys.readouterr().err.count("cannot be locked: let one call at a time use it") == 2
