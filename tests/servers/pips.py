"""An environment with a pip of its own, on any machine that this project can be installed on."""

from __future__ import annotations

import importlib.util
import subprocess
import venv
from pathlib import Path

from internlm_setup.core.sidecar import python_with_pip


def make(folder: Path) -> Path:
    """Make it and return its Python. Debian's bare Python has no ensurepip, but a pip that can install one."""
    has_ensurepip = importlib.util.find_spec("ensurepip") is not None
    venv.create(folder, with_pip=has_ensurepip)
    python = folder / "bin" / "python"
    if not has_ensurepip:
        words = [python_with_pip(), "-m", "pip", "--python", str(python), "install", "--quiet", "pip"]
        subprocess.run(words, check=True, capture_output=True)
    return python
