"""An authority of one's own and what it signs, made by openssl: for servers with TLS on the loopback."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority whose certificate is in `file`."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        """A new one in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder)
        _openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Vigil's test authority"),
            *("-keyout", folder / "ca.key", "-out", made.file),
        )
        return made

    @property
    def file(self) -> Path:
        """The authority's certificate, PEM."""
        return self.folder / "ca.pem"

    def server(self, *, name: str = "IP:127.0.0.1", days: int = 1) -> ssl.SSLContext:
        """What a server needs that shows a certificate of this authority, made out to a name."""
        key, asked, signed, names = (self.folder / f"server.{end}" for end in ("key", "csr", "pem", "cnf"))
        names.write_text(f"subjectAltName={name}\n", encoding="utf-8")
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server", "-keyout", key, "-out", asked)
        _openssl(
            *("x509", "-req", "-in", asked, "-CA", self.file, "-CAkey", self.folder / "ca.key", "-CAcreateserial"),
            *("-days", str(days), "-extfile", names, "-out", signed),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(signed, key)
        return context


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
