import logging
import subprocess
from pathlib import Path

import pytest
from app.http.tls import Certificate, certificate

from vigil.errors import UsageError


def made(folder: Path, name: str, *more: str) -> tuple[Path, Path]:
    cert, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    words = f"req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {cert} -days 1 -subj /CN=localhost".split()
    subprocess.run(["openssl", *words, *more], check=True, capture_output=True)
    return cert, key


def test_a_certificate_and_its_key_are_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cert, key = made(tmp_path, "a")
    key.chmod(0o600)
    assert certificate(cert, key) == Certificate(cert, key)
    assert certificate(None, None) is None
    assert caplog.records == []
    key.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        certificate(cert, key)
    assert "chmod 600" in caplog.text


def test_what_cannot_serve_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    cert, key = made(tmp_path, "a")
    _, other = made(tmp_path, "b")
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "rsa", "-aes256", "-passout", "pass:secret", "-in", str(key), "-out", str(locked)],
        check=True,
        capture_output=True,
    )
    empty = tmp_path / "empty.pem"
    empty.touch()
    for pair in ((cert, other), (cert, locked), (empty, key), (cert, empty), (key, cert)):
        with pytest.raises(UsageError, match="--tls-cert"):
            certificate(*pair)
    with pytest.raises(UsageError, match="there is no file"):
        certificate(cert, tmp_path / "none.pem")
    with pytest.raises(UsageError, match="go together"):
        certificate(cert, None)
