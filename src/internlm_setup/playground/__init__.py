"""Real protocols on loopback: hubs with a small stand-in model to try the tool on."""

from internlm_setup.playground.door import open_playground
from internlm_setup.playground.standin import make_standin

__all__ = ["make_standin", "open_playground"]
