"""From a model's name to a verified folder: `service` is the way in.

Importing this package puts it where the function `internlm_setup.fetch` was, since they share the name. So it can be
called, and does what the function does.
"""

import sys
from types import ModuleType

import internlm_setup


class _Callable(ModuleType):
    __call__ = staticmethod(vars(internlm_setup)["fetch"])  # the function: this package's name is bound only later


sys.modules[__name__].__class__ = _Callable
