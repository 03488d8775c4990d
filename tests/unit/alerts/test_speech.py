"""Speech by the real espeak-ng, commands as real processes."""

import json
import wave
from pathlib import Path

import pytest

from alerting import alarm, alerts_to, save, settled
from vigil.alerts import Outbox
from vigil.alerts.message import compose
from vigil.alerts.settings import AlertSettings, CommandSettings, Language, SpeechSettings
from vigil.errors import UsageError
from vigil.store import CameraRecord, Store


def seconds(path: Path) -> float:
    with wave.open(str(path)) as spoken:
        return spoken.getnframes() / spoken.getframerate()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_alarm_is_spoken_into_a_file_and_played(store: Store, tmp_path: Path, language: Language) -> None:
    played = tmp_path / "played"
    sink = SpeechSettings(
        name="voice", folder=tmp_path / "wav", language=language, player=("sh", "-c", f'echo "$0" > {played}')
    )
    with Outbox(alerts_to(sink), store) as outbox:
        event = save(store, alarm(), outbox)
        assert [each.state for each in settled(store)] == ["delivered"]
    [path] = (tmp_path / "wav").iterdir()
    assert event.id in path.name and seconds(path) > 1.0
    assert played.read_text(encoding="utf-8").strip() == str(path)


@pytest.mark.parametrize(
    ("language", "place", "said"),
    [
        ("zh", "东北区域", "检测到打架，东北区域摄像头C3，14:32:15"),
        ("zh", "", "检测到打架，摄像头C3，14:32:15"),
        ("en", "north-east", "Detected a fight, north-east, camera C3, 14:32:15"),
        ("en", "", "Detected a fight, camera C3, 14:32:15"),
    ],
)
def test_the_sentence_says_what_where_and_when(store: Store, language: Language, place: str, said: str) -> None:
    camera = store.cameras.register(CameraRecord(id="", name="C3", identity="c" * 24, place=place))
    sink = CommandSettings(name="s", argv=("true",))
    # 06:32:15 UTC
    with Outbox(alerts_to(sink), store) as outbox:
        save(store, alarm(camera_id=camera.id, source="C3", epoch_s=1_795_933_935.0), outbox)
        [delivery] = settled(store)
    alerts = AlertSettings(timezone="Asia/Shanghai")
    assert compose(delivery, alerts, camera=camera).spoken(language) == said


def test_a_command_gets_the_event_and_no_shell_sees_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIL_API_KEY", "s3cr3t")
    out = tmp_path / "out"
    program = (
        f"import json, os, sys; json.dump([sys.argv[1:], sys.stdin.read(), dict(os.environ)], open({str(out)!r}, 'w'))"
    )
    text = "$(touch pwned); `touch pwned` && \0 二人"
    sink = CommandSettings(name="siren", argv=("python3", "-c", program, "$VIGIL_TEXT; touch pwned"))
    monkeypatch.chdir(tmp_path)
    with Outbox(alerts_to(sink), store) as outbox:
        event = save(store, alarm(text=text), outbox)
        assert [each.state for each in settled(store)] == ["delivered"]
    argv, data, environment = json.loads(out.read_text(encoding="utf-8"))
    assert argv == ["$VIGIL_TEXT; touch pwned"] and not (tmp_path / "pwned").exists()
    assert json.loads(data)["id"] == environment["VIGIL_ID"] == event.id
    assert (environment["VIGIL_CAMERA"], environment["VIGIL_TIER"], environment["VIGIL_STATE"]) == (
        "door",
        "high",
        "alarm",
    )
    assert "$(touch pwned)" in environment["VIGIL_TEXT"] and "VIGIL_API_KEY" not in environment


def test_a_command_that_fails_says_why_and_is_tried_again(store: Store, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    script = f"[ -e {flag} ] && exit 0; touch {flag}; echo no such siren >&2; exit 3"
    with Outbox(alerts_to(CommandSettings(name="siren", argv=("sh", "-c", script))), store) as outbox:
        save(store, alarm(), outbox)
        [delivery] = settled(store)
    attempts = store.deliveries.get(delivery.id)[1]
    assert [each.outcome for each in attempts] == ["failed", "delivered"]
    assert "exit code 3: no such siren" in attempts[0].detail


def test_a_program_that_is_missing_is_named_at_the_start(store: Store) -> None:
    with pytest.raises(UsageError, match="no-such-siren"):
        Outbox(alerts_to(CommandSettings(name="siren", argv=("no-such-siren",))), store)
