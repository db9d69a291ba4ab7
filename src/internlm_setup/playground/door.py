"""The playground's door: a stand-in model, and a hub that serves it under the real names."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from internlm_setup.playground.hub import Access, HubServer, Repository
from internlm_setup.playground.standin import make_modelscope_extras, make_standin

MODEL_IDS = {
    "huggingface": "internlm/internlm-chat-7b",
    "modelscope": "Shanghai_AI_Laboratory/internlm-chat-7b",
    "openxlab": "OpenLMLab/InternLM-chat-7b",
}


@contextmanager
def open_playground(
    *,
    weights_bytes: int = 24 << 20,
    seed: int = 7,
    tokens: Mapping[str, str] | None = None,
    access: Access | None = None,
    page_size: int = 1000,
) -> Iterator[HubServer]:
    """Serve a stand-in for internlm-chat-7b at all three hubs until the block ends.

    The same bytes under each hub's own name; ModelScope's has a `configuration.json` more, as the
    real one does. The files live in a temporary folder that is removed afterwards.

    Args:
        weights_bytes: Size of all weight files together.
        seed: Another seed gives other weights.
        tokens: Hub id to the one token it takes; a hub that is not named takes any.
        access: The key pair OpenXLab's login takes; None takes any.
        page_size: Rows per page of Hugging Face's listing.

    Yields:
        The running server; add repositories or faults to it as needed.

    Example:
        with open_playground() as hub:
            subprocess.run(["internlm-setup", "fetch", "internlm-chat-7b"], env=os.environ |
            hub.environment())
    """
    with tempfile.TemporaryDirectory(prefix="internlm-playground-") as temporary:
        folder = make_standin(Path(temporary, "model"), weights_bytes=weights_bytes, seed=seed)
        extras = make_modelscope_extras(Path(temporary, "modelscope"))
        repository = Repository(MODEL_IDS, folder, overlays={"modelscope": extras})
        with HubServer([repository], tokens=tokens, access=access, page_size=page_size) as server:
            yield server
