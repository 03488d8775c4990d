"""The gate: what every request passes before the pages or the service see it, the same for both."""

from fastapi import FastAPI

from .access import AccessMiddleware, AccessOptions
from .http.body_limits import BodyLimits
from .trusted_proxies import ForwardedHeaders
from .web.context import SiteOptions
from .web.framing import OneLength
from .web.root_path import BelowRootPath

FORM_BYTES = 64 * 1024
"""Allowance for the multipart framing around uploaded files."""


def add_gate(app: FastAPI, options: SiteOptions, *, takes_uploads: bool) -> None:
    """Puts the gate before an application; what is added later stands before the gate, and must not.

    A request passes, in this order: one length of its body, who it comes from (trusted proxies), where the site lies,
    who may go where, and the limits of its body.
    """
    limits = options.upload_limits
    app.add_middleware(
        BodyLimits,
        upload_bytes=limits.visitor_bytes + FORM_BYTES if takes_uploads else 0,
        judge_bytes=limits.file_bytes + FORM_BYTES,
    )
    access = AccessOptions(
        users=options.users,
        accounts=options.accounts,
        session_s=options.session_s,
        port=options.port,
        root=options.root,
    )
    app.add_middleware(AccessMiddleware, options=access)
    app.add_middleware(BelowRootPath, root=options.root)
    app.add_middleware(ForwardedHeaders, trusted=options.trusted_proxies)
    app.add_middleware(OneLength)
