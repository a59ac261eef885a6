"""Where work is done: one object, of which each command takes what it uses."""

from __future__ import annotations

import pytest

from chores import load_asking
from nogs_bench.device import is_determined
from nogs_bench.errors import NogsError
from nogs_bench.executors import LocalExecutor, Where


def test_arguments_stand_for_fields() -> None:
    where = Where(device="cpu").using("build", ["device", "workers"], {"workers": 3})
    assert where == Where(device="cpu", workers=3)
    assert where.open("cpu").workers == 3
    own = LocalExecutor(2)
    assert Where(executor=own).open("cpu") is own


def test_what_a_command_has_no_use_for_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"prepare\(\) got an unexpected keyword argument 'woekers'"
    ):
        Where().using("prepare", ["workers"], {"woekers": 3})
    with pytest.raises(NogsError, match="prepare has no use for device; it uses workers"):
        Where(device="cuda").using("prepare", ["workers"], {})
    with pytest.raises(NogsError, match="workers must be at least 1"):
        Where(workers=0).open("cpu")


@pytest.mark.parametrize(("workers", "wanted"), [(1, False), (1, True), (2, True)])
def test_every_worker_is_deterministic_where_that_is_wanted(workers: int, wanted: bool) -> None:
    executor = Where(workers=workers, deterministic=wanted).open("cpu")
    assert executor.workers == workers
    assert [said for _, said in executor.run(load_asking, [0, 1])] == [[wanted, wanted]] * 2
    assert not is_determined()
