"""Near-optimal glimpse sequences: a dataset and a benchmark for hard visual attention.

Names are imported when they are first used, so that `import nogs_bench` is quick; `__init__.pyi`
lists them.
"""

from importlib.metadata import version
from pathlib import Path

import lazy_loader

# Python that runs in a copy of the repository takes the package from there, where `builders` and
# `leaderboard` lie beside it instead of in it.
_copy = Path(__file__).parents[1]
if (_copy / "builders" / "pipeline").is_dir():
    __path__.append(str(_copy))

_lazy, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    return version("nogs-bench") if name == "__version__" else _lazy(name)
