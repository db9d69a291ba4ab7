"""Mirror sites on loopback: a package index, conda channels, an npm registry and apt trees, each real and tiny."""

from internlm_setup.playground.mirror.server import Mirrors
from internlm_setup.playground.mirror.site import MirrorSite, Rule

__all__ = ["MirrorSite", "Mirrors", "Rule"]
