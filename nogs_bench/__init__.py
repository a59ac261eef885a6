"""Near-optimal glimpse sequences: a dataset and a benchmark for hard visual attention.

Names are imported when they are first used, so that `import nogs_bench` is quick; `__init__.pyi`
lists them.
"""

from importlib.metadata import version

import lazy_loader

_lazy, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    return version("nogs-bench") if name == "__version__" else _lazy(name)
