from dataclasses import dataclass
from pathlib import Path

import pytest

from vigil.config import load_config
from vigil.errors import VigilError, redact


@dataclass(frozen=True, kw_only=True)
class Settings:
    sources: tuple[str, ...] = ()


def test_what_is_no_secret_stays() -> None:
    said = "cannot open 'rtsp://u:hunter2@h/x?a=1': p=0.93, key frames at 3; password=hunter2"
    assert redact(said) == "cannot open 'rtsp://h/x?***': p=0.93, key frames at 3; password=***"


@pytest.mark.parametrize(
    "text",
    [
        "'rtsp://u:hunter2@h/x'",
        "1rtsp://u:hunter2@h/x",
        "a=rtsp://u:hun@ter2hunter2@h/x",
        "rtsp://u:pa'hunter2@h/x",
        "http://h/x?channel=1&p%61ss=hunter2",
        "http://h/x;KEY=hunter2",
        "client_secret=hunter2",
        *(f"{key}=hunter2" for key in ("loginpas", "psw", "pswd", "pas", "jwt", "hash", "session")),
        *(f"10.0.0.7/v?{key}=hunter2" for key in ("s", "key", "user")),
        "GET http://h/hunter2/live.m3u8 failed",
        "'http://h/live?x=1,hunter2'",
        "rtsp://a:1/hunter2@h/x",
        "http://h/x?mail=a@hunter2",
    ],
)
def test_secrets_go(text: str) -> None:
    assert "hunter2" not in redact(text)


def test_a_text_that_means_harm_is_read_to_its_end() -> None:
    """Read anew from each of its characters it would take hours, and the test's own time limit would end it.

    How much longer a longer text takes is reported by benchmarks/redact.py.
    """
    for harm in (
        "x" * 1_000_000,
        "pass" * 250_000,
        "a=" * 300_000,
        "://" * 300_000,
        "@" * 500_000,
        "x://h/" + "/1'" * 300_000,
    ):
        redact(harm)


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("sources: rtsp://a:hunter2@h/x", []),
        ("sources: [rtsp://a:hunter2@h/x", []),
        ("rtsp://a:hunter2@h/x: 1", []),
        ("sources: []", ["rtsp://a:hunter2@h/x"]),
        ("sources: []", ["rtsp://a:hunter2@h/x?channel=1"]),
        ("sources: []", ["sources=rtsp://a:hunter2@h/x"]),
    ],
)
def test_a_configuration_that_is_refused_shows_no_password(tmp_path: Path, yaml: str, words: list[str]) -> None:
    path = tmp_path / "watch.yaml"
    path.write_text(yaml, encoding="utf-8")
    with pytest.raises(VigilError) as refused:
        load_config(Settings, path, words)
    assert "hunter2" not in str(refused.value)
