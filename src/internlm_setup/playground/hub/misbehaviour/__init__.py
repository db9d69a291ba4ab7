"""Everything a server can do wrong, as values and one table.

`KINDS` has a row for each: a name, the replies it can strike, and a function from the right reply
to the wrong one. A new kind of misbehaviour is one function and one row. `faults.py` decides when
one strikes.
"""

from internlm_setup.playground.hub.misbehaviour.fault import Asking, Fault, FaultKind, Scene
from internlm_setup.playground.hub.misbehaviour.kinds import KINDS, Kind

__all__ = ["KINDS", "Asking", "Fault", "FaultKind", "Kind", "Scene"]
