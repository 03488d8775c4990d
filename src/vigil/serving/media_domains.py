"""Restricts where a server fetches media from: nowhere (requests contain the data) unless its operator names domains.

vLLM fetches any URL in a request and follows redirects, so anyone with the key could probe the server's network. vLLM
reads an empty list of domains as all domains; instead, one is passed that no URL can have.
"""

import logging
import os
import re
from collections.abc import Sequence

log = logging.getLogger(__name__)

CLOSED = "(none: send data: URLs)"
"""A host that no URL can have, because a host outside brackets contains no colon; vLLM's refusals show it."""

DOMAINS_FLAG = "--allowed-media-domains"
OPENING_FLAGS = (DOMAINS_FLAG, "--allowed-local-media-path")
VARIABLES = {"VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0", "VLLM_MEDIA_CONNECTOR": "vigil"}
"""No redirects, because they leave the named domains; and the connector of `serving_env/vigil_media.py`."""

HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def allowed_domains(domains: Sequence[str]) -> tuple[str, ...]:
    """The values of vLLM's flag: the domains that may be fetched from, or a placeholder for none."""
    return tuple(domains) or (CLOSED,)


def unfit_domain(domains: Sequence[str]) -> str:
    """The complaint about the first of `media_domains` that is not a host name; empty if all are valid."""
    for domain in domains:
        if not HOST.fullmatch(domain):
            return f"media_domains holds host names in lower case, as cdn.example.com, not {domain!r}"
    return ""


def media_variables() -> dict[str, str]:
    """The environment variables for vLLM; a variable that the user has set is kept."""
    return {name: os.environ.get(name, value) for name, value in VARIABLES.items()}


def warn_of_openings(domains: Sequence[str], flags: Sequence[str]) -> None:
    """Logs a warning for every setting that allows the server to fetch media; `flags` are the user's flags that do."""
    opened = list(flags)
    opened += [f"${name}={os.environ[name]}" for name, ours in VARIABLES.items() if os.environ.get(name, ours) != ours]
    if domains and DOMAINS_FLAG not in flags:
        opened.insert(0, f"media_domains: {', '.join(domains)}")
    if opened:
        log.warning("anyone with the key can make this server fetch media, as you allow by %s", "; ".join(opened))
