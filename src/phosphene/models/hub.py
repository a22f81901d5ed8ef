"""The hub of Hugging Face, asked before its own client is: that retries for most of a minute without a network."""

from __future__ import annotations

import importlib
import urllib.error
import urllib.request

HUB_TIMEOUT = 10.0  # seconds to wait for a sign of life


def in_hub_cache(repository: str, file: str) -> str | None:
    """Where a file of a repository is on this machine; None where it was never downloaded.

    Needs a package that brings the hub's client along, such as timm or transformers.
    """
    hub = importlib.import_module("huggingface_hub")
    found = hub.try_to_load_from_cache(repository, file)
    return found if isinstance(found, str) else None


def hub_answers() -> bool:
    """Whether the hub can be reached."""
    hub = importlib.import_module("huggingface_hub")
    if hub.constants.HF_HUB_OFFLINE:
        return False
    request = urllib.request.Request(hub.constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=HUB_TIMEOUT).close()
    except urllib.error.HTTPError:
        return True  # it answered
    except OSError:
        return False
    return True
