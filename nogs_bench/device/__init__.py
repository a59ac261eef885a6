"""Where things are computed: which device, and how a step is repeated on it.

In come a device's name, and steps that do not wait for it; out comes a name that torch knows here,
and steps that a GPU does in one launch.
"""

from nogs_bench.device.choice import choose_device, cores, gpus_of
from nogs_bench.device.products import tf32_products
from nogs_bench.device.replay import Repeated
from nogs_bench.device.transfer import sent

__all__ = ["Repeated", "choose_device", "cores", "gpus_of", "sent", "tf32_products"]
