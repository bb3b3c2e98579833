"""Networks that the prediction benchmark makes or fetches itself, and their int8, fp16 and int4 forms."""

from .index import networks
from .network import Network

__all__ = ["Network", "networks"]
