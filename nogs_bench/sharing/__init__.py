"""A trained network for others: on the Hub, as a page, and for small devices.

In comes what `load_network` reads; out come a model repository with its card, a static page where
one watches the network look, and an ONNX step that any device can take.
"""

from nogs_bench.sharing.export import export_network
from nogs_bench.sharing.publishing import PublishedNetwork, publish_network

__all__ = ["PublishedNetwork", "export_network", "publish_network"]
