"""Where a server takes pictures from: the requests themselves, unless its operator names domains.

vLLM fetches whatever address a request holds, and follows where that leads: whoever has the key could look around in
the server's network. An empty list of domains means all of them to vLLM, so none is spelt as one that no address has.
"""

import logging
import os
import re
from collections.abc import Sequence

log = logging.getLogger(__name__)

CLOSED = "(none: send data: URLs)"
"""A host that vLLM finds in no address, as a host outside brackets holds no colon; vLLM's refusals show it."""

DOMAINS_FLAG = "--allowed-media-domains"
OPENING_FLAGS = (DOMAINS_FLAG, "--allowed-local-media-path")
VARIABLES = {"VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0", "VLLM_MEDIA_CONNECTOR": "vigil"}
"""No redirects, as they leave the domains that are named; and the connector of `inside/vigil_media.py`."""

HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def allowed_domains(domains: Sequence[str]) -> tuple[str, ...]:
    """The values of vLLM's flag: the domains that may be fetched from, or what stands for none."""
    return tuple(domains) or (CLOSED,)


def unfit_domain(domains: Sequence[str]) -> str:
    """The complaint about the first of `media_domains` that is no host name; empty when all are."""
    for domain in domains:
        if not HOST.fullmatch(domain):
            return f"media_domains holds host names in lower case, as cdn.example.com, not {domain!r}"
    return ""


def media_variables() -> dict[str, str]:
    """What vLLM is told by its environment; a variable that the user has set stays."""
    return {name: os.environ.get(name, value) for name, value in VARIABLES.items()}


def warn_of_openings(domains: Sequence[str], flags: Sequence[str]) -> None:
    """Logs what lets the holders of the key make the server fetch something; `flags` are the user's opening ones."""
    opened = list(flags)
    opened += [f"${name}={os.environ[name]}" for name, ours in VARIABLES.items() if os.environ.get(name, ours) != ours]
    if domains and DOMAINS_FLAG not in flags:
        opened.insert(0, f"media_domains: {', '.join(domains)}")
    if opened:
        log.warning("whoever has the key can make this server fetch pictures, as you allow by %s", "; ".join(opened))
