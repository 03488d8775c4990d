"""A server fetches nothing, unless its operator says from where."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from model_folder import contract, make_environment, make_model
from vigil.environments import Environment
from vigil.errors import ConfigError, UsageError
from vigil.judge.endpoint import ServerKey
from vigil.serving.command import ServerCommand, serve_command
from vigil.serving.media_domains import CLOSED
from vigil.serving.plan import plan_server
from vigil.serving.settings import ServeSettings, load_serve_settings

KEY = ServerKey(value="very-secret", origin=".vigil/key")


@pytest.fixture
def runtime(tmp_path: Path) -> Environment:
    make_environment(tmp_path / "env", distribution="vllm")
    return Environment("serve", tmp_path / "env")


def _command(folder: Path, runtime: Environment, *extra: str, settings: ServeSettings | None = None) -> ServerCommand:
    model = make_model(folder / "fight", held=contract())
    plan = plan_server(model, settings=settings or ServeSettings(), templates=folder / "run", extra=extra)
    return serve_command(plan, runtime, KEY)


def _domains(command: ServerCommand) -> list[str]:
    after = command.argv[command.argv.index("--allowed-media-domains") + 1 :]
    end = next(place for place, word in enumerate(after) if word.startswith("--"))
    return list(after[:end])


def test_no_domain_is_spelt_as_one_that_no_address_has(
    tmp_path: Path, runtime: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    command = _command(tmp_path, runtime)
    assert _domains(command) == [CLOSED] and ":" in CLOSED
    assert command.variables["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] == "0"
    assert "--allowed-local-media-path" not in command.argv
    assert caplog.text == ""


def test_named_domains_are_opened_with_a_warning(
    tmp_path: Path, runtime: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("media_domains: [cdn.example.com, 10.0.0.7]\n")
    command = _command(tmp_path, runtime, settings=load_serve_settings(config, runtime))
    assert _domains(command) == ["cdn.example.com", "10.0.0.7"]
    assert command.variables["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] == "0"
    assert "can make this server fetch media" in caplog.text and "cdn.example.com, 10.0.0.7" in caplog.text


@pytest.mark.parametrize(
    "words",
    [
        ("--allowed-media-domains", "a.example"),
        ("--allowed_media_domains=a.example",),
        ("--allowed-media-dom", "a.example"),
        ("--allowed-local-media-path", "/srv/clips"),
    ],
)
def test_a_flag_of_the_users_wins_and_is_warned_of(
    tmp_path: Path, runtime: Environment, caplog: pytest.LogCaptureFixture, words: tuple[str, ...]
) -> None:
    command = _command(tmp_path, runtime, *words)
    assert " ".join(words) in " ".join(command.argv[-len(words) - 2 :])
    assert "can make this server fetch media" in caplog.text
    assert len(caplog.records) == 1


def test_an_open_flag_in_the_settings_is_warned_of_too(
    tmp_path: Path, runtime: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(ServeSettings(), vllm={"allowed_local_media_path": "/srv/clips"})
    assert "--allowed-local-media-path" in _command(tmp_path, runtime, settings=settings).argv
    assert "--allowed-local-media-path" in caplog.text


def test_redirects_that_the_environment_allows_stay_and_are_warned_of(
    tmp_path: Path, runtime: Environment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VLLM_MEDIA_URL_ALLOW_REDIRECTS", "1")
    with caplog.at_level(logging.WARNING):
        command = _command(tmp_path, runtime)
    assert command.variables["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] == "1"
    assert "$VLLM_MEDIA_URL_ALLOW_REDIRECTS=1" in caplog.text


@pytest.mark.parametrize("domain", ["https://cdn.example/", "cdn.example:80", "*.example", "CDN.example", "[::1]", ""])
def test_what_is_no_host_name_is_refused(domain: str) -> None:
    with pytest.raises(UsageError, match="media_domains holds host names"):
        ServeSettings(media_domains=(domain,))


def test_a_misspelt_key_names_the_nearest(tmp_path: Path, runtime: Environment) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("media_domain: [cdn.example.com]\n")
    with pytest.raises(ConfigError, match=r"unknown key 'media_domain' \(did you mean 'media_domains'\?\)"):
        load_serve_settings(config, runtime)
