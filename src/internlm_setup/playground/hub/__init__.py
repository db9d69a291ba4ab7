"""A hub on loopback that speaks the protocols of Hugging Face, ModelScope and OpenXLab.

Shipped, because `playground` and `tour` use it, and used by the tests as the server that misbehaves
on request.
"""

from internlm_setup.playground.hub.faults import Faults
from internlm_setup.playground.hub.library import Access
from internlm_setup.playground.hub.log import Request, RequestLog
from internlm_setup.playground.hub.misbehaviour import KINDS, Asking, Fault, FaultKind
from internlm_setup.playground.hub.repository import Entry, Repository
from internlm_setup.playground.hub.server import HubServer

__all__ = [
    "KINDS",
    "Access",
    "Asking",
    "Entry",
    "Fault",
    "FaultKind",
    "Faults",
    "HubServer",
    "Repository",
    "Request",
    "RequestLog",
]
