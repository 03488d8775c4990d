"""Which TLS certificates are trusted, and a readable message for one that is not.

All clients of an endpoint (aiohttp, httpx2, the openai package) share one context, so they trust the same authorities:
the system's, or those of `$SSL_CERT_FILE` or else `$SSL_CERT_DIR` instead, plus those of a `--ca-file`.
"""

import os
import ssl
from functools import lru_cache
from pathlib import Path

import aiohttp
import httpx2

from vigil.errors import UsageError

CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")

NAME_DIFFERS = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""

EXPIRED = 10
NOT_YET_VALID = 9


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """The TLS context described above; raises UsageError if a named file or folder has no certificate."""
    named_file, named_folder = (os.environ.get(variable, "") for variable in CA_VARIABLES)
    if named_file and not Path(named_file).is_file():
        raise UsageError(_misnamed("SSL_CERT_FILE", named_file, "which is no file"))
    if named_folder and not named_file and not Path(named_folder).is_dir():
        raise UsageError(_misnamed("SSL_CERT_DIR", named_folder, "which is no folder"))
    return _context(ca_file, _changed_ns(ca_file), (named_file, named_folder))


def _misnamed(variable: str, value: str, why: str) -> str:
    return f"${variable} names {value}, {why}; name the authority's certificate, or unset it"


def _changed_ns(ca_file: Path | None) -> int:
    try:
        return 0 if ca_file is None else ca_file.stat().st_mtime_ns
    except OSError as error:
        raise UsageError(f"the certificates in {ca_file} cannot be read: {_reason(error)}") from error


@lru_cache(maxsize=16)
def _context(ca_file: Path | None, changed_ns: int, named: tuple[str, str]) -> ssl.SSLContext:
    """Created once per set of authorities: loading them takes 40 ms of CPU."""
    try:
        context = httpx2.create_ssl_context()
    except OSError as error:
        raise UsageError(_misnamed("SSL_CERT_FILE", named[0], f"which cannot be read ({_reason(error)})")) from error
    if ca_file is not None:
        _add(context, ca_file)
    return context


def _add(context: ssl.SSLContext, ca_file: Path) -> None:
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:
        raise UsageError(f"the certificates in {ca_file} cannot be read: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    # SSLError is a subclass of OSError; here it means that the file holds no PEM certificate.
    return "it holds no PEM certificate" if isinstance(error, ssl.SSLError) else error.strerror or str(error)


def tls_fault(error: BaseException | None) -> str:
    """The certificate or encryption problem behind an error, and what to do about it; empty if there is none."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            error = error.certificate_error
        if isinstance(error, ssl.SSLCertVerificationError):
            return _refused_certificate(error)
        if isinstance(error, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
            return "it does not use TLS; is its address http:// rather than https://?"
        error = error.__cause__ or error.__context__
    return ""


def _refused_certificate(error: ssl.SSLCertVerificationError) -> str:
    reason = " ".join((error.verify_message or "it cannot be checked").split()).rstrip(".")
    return f"its certificate is not trusted ({reason}); {_advice(error.verify_code)}"


def _advice(code: int) -> str:
    if code in NAME_DIFFERS:
        return "use the name in the certificate as the address, or have it issued for this address"
    if code == EXPIRED:
        return "have it renewed"
    if code == NOT_YET_VALID:
        return "set the clock of this machine"
    return "name the file of the authority that signed it with --ca-file or in $SSL_CERT_FILE"
