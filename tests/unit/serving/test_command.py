"""A plan becomes the command that serves a model as it was trained."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from model_folder import contract, make_adapter, make_environment, make_model
from vigil.config import config_root
from vigil.environments import Environment
from vigil.errors import UsageError
from vigil.judge.endpoint import ServerKey
from vigil.serving.command import ServePlan, context_tokens, serve_command, web_processes
from vigil.serving.foreground import shell_line
from vigil.serving.plan import plan_server
from vigil.serving.settings import load_serve_settings

KEY = ServerKey(value="very-secret", origin=".vigil/key")


def _runtime(folder: Path, distribution: str = "vllm") -> Environment:
    make_environment(folder / "env", distribution=distribution)
    return Environment("serve", folder / "env")


def _plan(folder: Path, runtime: Environment, *extra: str, adapters: tuple[str, ...] = ()) -> ServePlan:
    model = make_model(folder / "fight-2b", held=contract(fps=4, frames=8, max_pixels=65_536))
    settings = load_serve_settings(None, runtime)
    return plan_server(model, settings=settings, adapters=adapters, templates=folder / "run", extra=extra)


def _values(argv: tuple[str, ...], flag: str) -> list[str]:
    after = argv[argv.index(flag) + 1 :]
    ends = [place for place, word in enumerate(after) if word.startswith("--")]
    return list(after[: ends[0]] if ends else after)


def test_the_contract_decides_how_pictures_are_read(tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    argv = serve_command(_plan(tmp_path, runtime), runtime, KEY).argv
    assert json.loads(_values(argv, "--media-io-kwargs")[0]) == {"video": {"fps": 4.0, "num_frames": -1}}
    sizes = json.loads(_values(argv, "--mm-processor-kwargs")[0])
    assert sizes["videos_kwargs"]["size"] == {"shortest_edge": 4096, "longest_edge": 7680 * 2 * 32 * 32}
    assert _values(argv, "--served-model-name") == ["fight-2b"]
    assert Path(_values(argv, "--chat-template")[0]).read_text().count("<|vision_start|><|video_pad|>") == 0


@pytest.mark.parametrize(
    ("words", "tokens"),
    [((), 7680), (("--max-model-len", "2048"), 2048), (("--max_model_len=16K",), 16_384)]
    + [(("--max-model-len", word), 32_768) for word in ("auto", "-1")],
)
def test_a_video_is_bounded_by_what_the_context_holds(tmp_path: Path, words: tuple[str, ...], tokens: int) -> None:
    runtime = _runtime(tmp_path)
    plan = _plan(tmp_path, runtime, *words)
    sizes = json.loads(_values(serve_command(plan, runtime, KEY).argv, "--mm-processor-kwargs")[0])
    assert context_tokens(plan) == tokens
    assert sizes["videos_kwargs"]["size"]["longest_edge"] == tokens * 2 * 32 * 32


def test_a_models_own_ways_of_answering_are_left_out(tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    assert _values(serve_command(_plan(tmp_path, runtime), runtime, KEY).argv, "--generation-config") == ["vllm"]
    theirs = serve_command(_plan(tmp_path / "own", runtime, "--generation-config", "auto"), runtime, KEY).argv
    assert theirs.count("--generation-config") == 1 and _values(theirs, "--generation-config") == ["auto"]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_there_is_room_for_every_adapter_at_once(tmp_path: Path, count: int) -> None:
    runtime = _runtime(tmp_path)
    held = contract(fps=4, frames=8, max_pixels=65_536)
    adapters = tuple(f"a{index}={make_adapter(tmp_path / f'a{index}', held=held)}" for index in range(count))
    argv = serve_command(_plan(tmp_path, runtime, adapters=adapters), runtime, KEY).argv
    assert _values(argv, "--max-loras") == [str(count)]


def test_a_gpu_gets_the_numbers_that_people_know(tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    argv = serve_command(_plan(tmp_path, runtime), runtime, KEY).argv
    told = [_values(argv, flag)[0] for flag in ("--max-model-len", "--max-num-seqs", "--gpu-memory-utilization")]
    assert told == ["7680", "32", "0.95"]
    assert _values(argv, "--host") == ["127.0.0.1"]
    assert "--enforce-eager" not in argv
    assert "--skip-mm-profiling" not in argv  # a GPU's memory is measured out by the largest video


@pytest.mark.parametrize(
    ("features", "dtype", "value_bytes"),
    [
        ("fma avx f16c avx2", "float32", 4),
        ("avx2 avx512f avx512dq avx512bw avx512vl", "bfloat16", 2),
        ("asimd bf16 i8mm", "bfloat16", 2),
    ],
)
def test_the_cpu_build_computes_in_what_the_processor_is_quick_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, features: str, dtype: str, value_bytes: int
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : {features}\n")
    monkeypatch.setattr("vigil.environments.CPUINFO", cpuinfo)
    runtime = _runtime(tmp_path, "vllm-cpu")
    argv = serve_command(_plan(tmp_path, runtime), runtime, KEY).argv
    assert _values(argv, "--dtype") == [dtype]
    assert int(_values(argv, "--kv-cache-memory-bytes")[0]) == 32_768 * 28 * 2 * 8 * 128 * value_bytes


def test_the_cpu_build_gets_a_cache_of_the_size_it_needs_and_compiles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vigil.serving.settings.fast_cpu_dtype", lambda: "bfloat16")
    runtime = _runtime(tmp_path, "vllm-cpu")
    command = serve_command(_plan(tmp_path, runtime), runtime, KEY)
    per_token = 28 * 2 * 8 * 128 * 2
    assert int(_values(command.argv, "--kv-cache-memory-bytes")[0]) == 32_768 * per_token
    assert "--enforce-eager" in command.argv
    assert "--skip-mm-profiling" in command.argv
    assert "--gpu-memory-utilization" not in command.argv
    assert command.variables["TORCHDYNAMO_DISABLE"] == "1"


@pytest.mark.parametrize(("cores", "in_one"), [(1, True), (2, True), (3, False), (64, False)])
def test_on_two_cores_the_cpu_build_is_one_engine_process_with_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, in_one: bool
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    runtime = _runtime(tmp_path, "vllm-cpu")
    variables = serve_command(_plan(tmp_path, runtime), runtime, KEY).variables
    names = {"VLLM_ENABLE_V1_MULTIPROCESSING", "OMP_NUM_THREADS", "VIGIL_FORK_ENGINE"}
    assert names & variables.keys() == (names if in_one else set())


def test_threads_that_the_user_asked_for_stay_and_are_not_forked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    runtime = _runtime(tmp_path, "vllm-cpu")
    variables = serve_command(_plan(tmp_path, runtime), runtime, KEY).variables
    assert (variables["OMP_NUM_THREADS"], "VIGIL_FORK_ENGINE" in variables) == ("2", False)


def test_the_key_is_handed_over_in_the_environment_only(tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    command = serve_command(_plan(tmp_path, runtime), runtime, KEY)
    assert command.variables["VLLM_API_KEY"] == "very-secret"
    assert "very-secret" not in " ".join(command.argv)
    assert "very-secret" not in shell_line(command, KEY)
    assert 'VLLM_API_KEY="$(cat .vigil/key)"' in shell_line(command, KEY)


@pytest.mark.parametrize(
    ("words", "flag", "ours"),
    [
        (("--max-num-seqs", "4"), "--max-num-seqs", "32"),
        (("--max_model_len=2048",), "--max-model-len", "7680"),
        (("--limit-mm-per-prompt.image", "1"), "--limit-mm-per-prompt", '{"image"'),
        (("--host", "0.0.0.0"), "--host", "127.0.0.1"),
    ],
)
def test_what_the_user_writes_wins(tmp_path: Path, words: tuple[str, ...], flag: str, ours: str) -> None:
    runtime = _runtime(tmp_path)
    argv = serve_command(_plan(tmp_path, runtime, *words), runtime, KEY).argv
    theirs = argv.index(words[0])
    assert argv[theirs : theirs + len(words)] == words
    assert flag not in argv[:theirs]


def test_a_switch_is_taken_back_by_its_opposite(tmp_path: Path) -> None:
    runtime = _runtime(tmp_path, "vllm-cpu")
    argv = serve_command(_plan(tmp_path, runtime, "--no-enforce-eager"), runtime, KEY).argv
    assert "--enforce-eager" not in argv


def test_a_key_on_the_command_line_is_refused(tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    for words in (("--api-key", "x"), ("--api_key=x",)):
        plan = replace(_plan(tmp_path / words[0], runtime), extra=words)
        with pytest.raises(UsageError, match="seen by everybody who runs ps"):
            serve_command(plan, runtime, KEY)


def test_a_beginning_of_a_refused_flag_is_refused_too(tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    plan = _plan(tmp_path, runtime)
    for words in (("--api-k", "x"), ("--grpc",), ("--grpc-port", "9"), ("--grpc_p=9",)):
        with pytest.raises(UsageError, match=r"seen by everybody|without asking for the key"):
            serve_command(replace(plan, extra=words), runtime, KEY)
    with pytest.raises(UsageError, match="without asking for the key"):
        serve_command(replace(plan, settings=replace(plan.settings, vllm={"grpc": True})), runtime, KEY)


def test_the_guard_stays_around_any_middleware_of_the_users(tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    plan = _plan(tmp_path, runtime, "--middleware", "theirs.Counter")
    plan = replace(plan, settings=replace(plan.settings, vllm={"middleware": "other.Counter"}))
    argv = serve_command(plan, runtime, KEY).argv
    assert argv[-4:] == ("--middleware", "theirs.Counter", "--middleware", "vigil_front.Front")


def test_a_context_shorter_than_a_window_is_told_before_vllm_starts(tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    plan = _plan(tmp_path, runtime, "--max-model-len", "256")
    with pytest.raises(UsageError, match=r"a window needs about \d+ tokens .* --max-model-len \d+ or more"):
        serve_command(plan, runtime, KEY)


def test_a_context_longer_than_the_model_reads_is_refused_and_ours_is_shortened(tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    model = make_model(tmp_path / "small", held=contract(), max_positions=4096)
    plan = plan_server(model, settings=load_serve_settings(None, runtime), templates=tmp_path)
    assert _values(serve_command(plan, runtime, KEY).argv, "--max-model-len") == ["4096"]
    longer = replace(plan, extra=("--max-model-len", "8192"))
    with pytest.raises(UsageError, match="reads 4096 tokens at most"):
        serve_command(longer, runtime, KEY)


def test_an_adapter_is_served_under_its_name_and_for_older_clients_its_contract(tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    held = contract(fps=4, frames=8, max_pixels=65_536)
    adapter = make_adapter(tmp_path / "adapter", held=held, rank=24)
    plan = _plan(tmp_path, runtime, adapters=(f"fight={adapter}",))
    argv = serve_command(plan, runtime, KEY).argv
    assert [json.loads(word) for word in _values(argv, "--lora-modules")] == [{"name": "fight", "path": str(adapter)}]
    assert _values(argv, "--max-lora-rank") == ["32"]
    argv = serve_command(replace(plan, alias=True), runtime, KEY).argv
    modules = [json.loads(word) for word in _values(argv, "--lora-modules")]
    assert modules == [{"name": "fight", "path": str(adapter)}, {"name": held.alias_for("fight"), "path": str(adapter)}]
    assert _values(argv, "--served-model-name") == ["fight-2b", held.alias]


RUNTIME_LORA = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"


@pytest.mark.parametrize(
    "words", [("--api-server-count", "4"), ("--api_server_count=2",), ("--data-parallel-size", "2")]
)
def test_several_web_processes_cannot_have_adapters_loaded_while_they_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    runtime = _runtime(tmp_path)
    adapter = make_adapter(tmp_path / "adapter", held=contract(fps=4, frames=8, max_pixels=65_536))
    plan = _plan(tmp_path, runtime, *words, adapters=(f"fight={adapter}",))
    assert "--lora-modules" in serve_command(plan, runtime, KEY).argv
    monkeypatch.setenv(RUNTIME_LORA, "1")
    with pytest.raises(UsageError, match=r"web processes exclude each other .* --api-server-count 1 .*unset the"):
        serve_command(plan, runtime, KEY)
    monkeypatch.setenv(RUNTIME_LORA, "0")
    serve_command(plan, runtime, KEY)


def test_the_web_processes_of_the_settings_count_and_the_users_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = _runtime(tmp_path)
    monkeypatch.setenv(RUNTIME_LORA, "true")
    settings = load_serve_settings("gpu_80gb", runtime)
    plan = replace(_plan(tmp_path, runtime), settings=settings)
    assert web_processes(plan) == 4
    with pytest.raises(UsageError, match="4 web processes"):
        serve_command(plan, runtime, KEY)
    one = replace(plan, extra=("--api-server-count", "1"))
    assert web_processes(one) == 1
    assert _values(serve_command(one, runtime, KEY).argv, "--api-server-count") == ["1"]


def test_several_web_processes_have_an_engine_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    runtime = _runtime(tmp_path, "vllm-cpu")
    command = serve_command(_plan(tmp_path, runtime, "--api-server-count", "2"), runtime, KEY)
    assert not {"VLLM_ENABLE_V1_MULTIPROCESSING", "VIGIL_FORK_ENGINE"} & command.variables.keys()


def test_every_shipped_settings_file_is_read(tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    shipped = sorted((config_root() / "serve").glob("*.yaml"))
    assert {file.stem for file in shipped} >= {"default", "cpu", "gpu_24gb", "gpu_80gb"}
    for file in shipped:
        settings = load_serve_settings(file.stem, runtime)
        assert (settings.host, settings.port, settings.media_domains) == ("127.0.0.1", 8000, ())


def test_every_settings_file_says_what_it_is_for_what_it_needs_and_how_it_is_run() -> None:
    for file in sorted((config_root() / "serve").glob("*.yaml")):
        head = re.split(r"(?m)^(?!#)", file.read_text(), maxsplit=1)[0]
        assert all(word in head for word in ("Needs:", "Run:", "Override:", "./vllm.sh")), file
        assert head.startswith("# Serving "), file
        named = file.stem in {"default", "cpu"} or f"--config {file.stem}" in head
        assert named, file
        measured = file.stem == "cpu" or re.search(r"(?i)not\s+(#\s+)?measured", head)
        assert measured, file
