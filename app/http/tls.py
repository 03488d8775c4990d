"""The TLS certificate of the pages, checked before any port is opened."""

import logging
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

from vigil.errors import UsageError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate chain and its private key, both as PEM files."""

    certificate: Path
    key: Path


def certificate(certificate_file: Path | None, key_file: Path | None) -> Certificate | None:
    """The certificate of `--tls-cert` and `--tls-key`, None without both; raises UsageError if they cannot be used."""
    if certificate_file is None and key_file is None:
        return None
    if certificate_file is None or key_file is None:
        raise UsageError("--tls-cert and --tls-key go together: a certificate and its private key")
    for option, path in (("--tls-cert", certificate_file), ("--tls-key", key_file)):
        if not path.is_file():
            raise UsageError(f"{option}: there is no file {path}")
    try:
        # OpenSSL would ask for the password of an encrypted key on the terminal, in the middle of the start.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate_file, key_file, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--tls-cert {certificate_file} and --tls-key {key_file} cannot be used together ({error}); both must be "
            "PEM, belong to each other, and the key must have no password"
        ) from error
    if stat.S_IMODE(key_file.stat().st_mode) & stat.S_IRWXO:
        log.warning("--tls-key: %s can be read by every user of this machine; run: chmod 600 %s", key_file, key_file)
    return Certificate(certificate_file, key_file)
