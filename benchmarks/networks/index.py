"""All networks of the prediction benchmark."""

from __future__ import annotations

from functools import cache

from .fetched import fetched
from .fresh import fresh_networks
from .images import classifiers
from .network import Network
from .others import others
from .texts import transformers


@cache
def networks() -> tuple[Network, ...]:
    """Every network, names unique, always in this order; nothing is made or fetched before it is asked for."""
    found = (*classifiers(), *transformers(), *others(), *fetched(), *fresh_networks())
    names = [network.name for network in found]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return found
