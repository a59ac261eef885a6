"""Where things are computed: which device, and how a step is repeated on it.

In come a device's name, and steps that do not wait for it; out comes a name that torch knows here,
steps that a GPU does in one launch, and the same bytes each time where they are wanted.
"""

from nogs_bench.device.choice import choose_device, cores, device_kind, gpus_of
from nogs_bench.device.determinism import determined, is_determined
from nogs_bench.device.process import give_memory_back, in_turn, on_threads
from nogs_bench.device.products import tf32_products
from nogs_bench.device.replay import Repeated
from nogs_bench.device.transfer import sent

__all__ = [
    "Repeated",
    "choose_device",
    "cores",
    "determined",
    "device_kind",
    "give_memory_back",
    "gpus_of",
    "in_turn",
    "is_determined",
    "on_threads",
    "sent",
    "tf32_products",
]
