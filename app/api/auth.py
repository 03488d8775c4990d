"""Who may use which route: the least role, and the scope that a key needs; what is done is written down.

The gate (`app.access`) has found out who it is before a request comes here.
"""

from typing import Annotated, Any

from fastapi import Depends, Request

from vigil.store.users import Role

from .. import audit_log
from ..principal import Principal
from ..problems import ForbiddenError


def principal_of(request: Request) -> Principal:
    """The caller of a request."""
    found: Principal = request.scope["vigil_principal"]
    return found


def allow(role: Role, scope: str) -> Any:
    """A dependency that returns the caller, or refuses one with a lower role or a key without the scope."""

    async def check(request: Request) -> Principal:
        caller = principal_of(request)
        if not caller.role.includes(role):
            _write_down_refusal(request, caller)
            raise ForbiddenError(f"{caller.name} is {caller.role}; this needs the role {role}")
        if not caller.has_scope(scope):
            _write_down_refusal(request, caller)
            raise ForbiddenError(f"{caller.name} has the scopes {' '.join(caller.scopes)}; this needs {scope}")
        return caller

    return Depends(check)


def _write_down_refusal(request: Request, caller: Principal) -> None:
    if request.method != "GET":
        path = str(request.url.path)
        audit_log.record("refused", user=caller.name, address=caller.address, method=request.method, path=path)


def write_down(act: str, caller: Principal, **details: str) -> None:
    """Writes an act into the audit log, and so into the store's audit table."""
    audit_log.record(act, user=caller.name, address=caller.address, **details)


AnyCaller = Annotated[Principal, allow(Role.VIEWER, "")]
CameraReader = Annotated[Principal, allow(Role.VIEWER, "cameras")]
CameraOperator = Annotated[Principal, allow(Role.OPERATOR, "cameras")]
CameraAdmin = Annotated[Principal, allow(Role.ADMIN, "cameras")]
EventReader = Annotated[Principal, allow(Role.VIEWER, "events")]
EventOperator = Annotated[Principal, allow(Role.OPERATOR, "events")]
JudgeCaller = Annotated[Principal, allow(Role.VIEWER, "judge")]
LiveReader = Annotated[Principal, allow(Role.VIEWER, "live")]
MetricsReader = Annotated[Principal, allow(Role.VIEWER, "metrics")]
AuditReader = Annotated[Principal, allow(Role.ADMIN, "audit")]
