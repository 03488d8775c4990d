"""What a training checks before it starts, how it resumes, and how it stops: on real files and a real child process."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from made_dataset import make_dataset
from model_folder import LORA_MODULE, WEIGHTS, make_adapter
from tensors import random_values, write_adapter
from vigil.cli.main import main
from vigil.environments import Environment
from vigil.errors import ConfigError, DatasetError, EnvironmentMissing, JobError, UsageError
from vigil.models.base_model import base_digest, check_checkpoint
from vigil.models.weight_files import tensors_in
from vigil.tiny import BASE_FOLDER
from vigil.training import TrainingPlan, plan_training
from vigil.training.config import (
    adapt_to_machine,
    check_hardware,
    complete_from_dataset,
    dataset_names,
    known_keys,
    launch_environment,
    load_training_config,
    with_absolute_paths,
)
from vigil.training.data import read_training_data
from vigil.training.llamafactory import LlamaFactoryProcess, TrainerLog, TrainingStopped, plain_adapter, speed_of_run
from vigil.training.output import RunRecord, last_checkpoint, lock_output, prepare_output, write_run_record
from waiting import until

RUN = RunRecord(settings={"learning_rate": 1e-3, "save_steps": 50}, data_digest="d", base_digest="b")


def test_every_shipped_config_has_known_keys_and_a_header() -> None:
    configs = sorted((Path(__file__).resolve().parents[3] / "configs" / "train").glob("*.yaml"))
    assert len(configs) == 9
    for config in configs:
        load_training_config(config)
        header = config.read_text(encoding="utf-8").split("###")[0]
        assert all(word in header for word in ("Needs first:", "Run:", "Override:", config.stem)), config


def test_overrides_win_and_numbers_are_numbers() -> None:
    settings = load_training_config("tiny_lora", ["learning_rate=1e-4", "output_dir=elsewhere"])
    assert settings["learning_rate"] == 1e-4
    assert settings["output_dir"] == "elsewhere"


def test_unknown_keys_are_all_named_with_the_nearest_that_exist() -> None:
    with pytest.raises(ConfigError) as caught:
        load_training_config("tiny_lora", ["learning_rat=1", "lr=2", "lora_rnk=3"])
    message = str(caught.value)
    assert "learning_rat" in message and "'learning_rate'" in message and "'lora_rank'" in message
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("text", ["@x", "2026-11-25", "1", "a: b", "null x", "{a", "x/night #3", "[a]"])
def test_a_path_stays_as_it_was_written(text: str) -> None:
    assert load_training_config("tiny_lora", [f"output_dir={text}"])["output_dir"] == text


def test_paths_in_a_config_are_text_whatever_yaml_makes_of_them(tmp_path: Path) -> None:
    config = tmp_path / "own.yaml"
    config.write_text('model_name_or_path: 7\ndataset: a\noutput_dir: 2026-11-25\nlearning_rate: "1e-4"\n')
    settings = load_training_config(config)
    assert (settings["model_name_or_path"], settings["output_dir"]) == ("7", "2026-11-25")
    assert settings["learning_rate"] == 1e-4


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("lora_target={a", "the value of lora_target cannot be read as YAML"),
        ("cutoff_len=abc", "cutoff_len must be a number, not 'abc'"),
        ("video_maxlen=null", "video_maxlen must be a number, not None"),
        ("learning_rate=1e-4 #slow", "learning_rate must be '1e-4' alone, not '1e-4 #slow'"),
        ("plot_loss=false # none", "plot_loss must be 'false' alone"),
        ("model_name_or_path=7", "there is no model at 7"),
    ],
)
def test_a_value_that_makes_no_sense_is_told_on_one_line(
    capsys: pytest.CaptureFixture[str], word: str, said: str
) -> None:
    assert main(["train", "tiny_lora", word, "--dry-run"]) in {1, 2}
    told = capsys.readouterr().err
    assert said in told and len(told.splitlines()) == 1


@pytest.mark.parametrize("name", ["a,b", " a", "a "])
def test_an_adapter_that_would_be_taken_for_several_is_handed_over_under_a_plain_name(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "adapter_config.json").write_text("{}")
    named = str(tmp_path / name) if "," in name else name
    with plain_adapter({"adapter_name_or_path": named, "stage": "sft"}) as plain:
        given = plain["adapter_name_or_path"]
        assert "," not in given and given == given.strip() and plain["stage"] == "sft"
        assert Path(given).resolve() == Path(named).absolute()
    assert not Path(given).exists() and (tmp_path / name / "adapter_config.json").exists()


def test_an_adapter_of_an_ordinary_name_is_handed_over_as_it_is() -> None:
    for settings in ({"adapter_name_or_path": "saves/夜 #3"}, {"adapter_name_or_path": None}, {}):
        with plain_adapter(settings) as plain:
            assert plain == settings


def test_an_output_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="name another"), lock_output(folder):
            pass


def test_a_config_that_reads_tokens_from_a_cache_is_refused() -> None:
    with pytest.raises(ConfigError, match="in silence"):
        load_training_config("tiny_lora", ["tokenized_path=cache"])


def test_an_unknown_config_lists_what_there_is() -> None:
    with pytest.raises(UsageError, match="tiny_lora"):
        load_training_config("tinny")


def test_the_contract_fills_what_the_config_leaves_out(tmp_path: Path) -> None:
    dataset = read_training_data(make_dataset(tmp_path / "data"), ["anomaly-train"])
    full = complete_from_dataset({"dataset_dir": "data"}, dataset)
    assert full["template"] == "qwen3_vl_nothink"
    assert (full["video_fps"], full["video_maxlen"], full["video_max_pixels"]) == (2.0, 6, 12_288)
    assert full["cutoff_len"] % 256 == 0 and full["cutoff_len"] >= dataset.longest_tokens
    assert full["media_dir"] == "data"


@pytest.mark.parametrize("edited", ["anomaly-train.json", "frames/alarm/clip001/000-0.jpg"])
def test_an_edited_dataset_is_another_one_to_train_on(tmp_path: Path, edited: str) -> None:
    data = make_dataset(tmp_path)
    before = read_training_data(data, ["anomaly-train"]).manifest.data_digest
    assert read_training_data(data, ["anomaly-train"]).manifest.data_digest == before
    (data / edited).write_bytes((data / edited).read_bytes() + b" ")
    assert read_training_data(data, ["anomaly-train"]).manifest.data_digest != before


def test_a_dataset_file_of_ones_own_counts_in_the_digest(tmp_path: Path) -> None:
    data = make_dataset(tmp_path, name="mine")
    before = read_training_data(data, ["mine"]).manifest.data_digest
    (data / "mine.json").write_text((data / "mine.json").read_text() + " ")
    assert read_training_data(data, ["mine"]).manifest.data_digest != before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("template", "qwen3_vl"),
        ("video_fps", 1.0),
        ("video_maxlen", 4),
        ("video_max_pixels", 1024),
        ("video_min_pixels", 65_536),
        ("cutoff_len", 64),
    ],
)
def test_settings_that_contradict_the_dataset_are_refused(tmp_path: Path, key: str, value: object) -> None:
    dataset = read_training_data(make_dataset(tmp_path / "data", examples=2), ["anomaly-train"])
    with pytest.raises(ConfigError, match=key):
        complete_from_dataset({"dataset_dir": "data", key: value}, dataset)


def test_tokens_are_counted_from_above(tmp_path: Path) -> None:
    dataset = read_training_data(make_dataset(tmp_path, examples=2), ["anomaly-train"])
    assert dataset.sizes_wh == {(128, 96)}
    assert dataset.visual_tokens == 3 * 4 * 3
    assert dataset.longest_tokens > dataset.visual_tokens


def test_a_folder_that_is_no_dataset_says_how_to_build_one(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="vigil dataset build"):
        read_training_data(tmp_path, ["anomaly-train"])


def test_a_missing_entry_names_those_there_are(tmp_path: Path) -> None:
    make_dataset(tmp_path, examples=2)
    with pytest.raises(DatasetError, match="it has anomaly-train"):
        read_training_data(tmp_path, ["anomaly-tain"])


def test_missing_frames_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    make_dataset(tmp_path, examples=2)
    (tmp_path / "frames/normal/clip000/000-3.jpg").unlink()
    with pytest.raises(DatasetError, match=r"1 of 12 frames are missing, first .*000-3\.jpg"):
        read_training_data(tmp_path, ["anomaly-train"])


def test_a_damaged_frame_is_named(tmp_path: Path) -> None:
    make_dataset(tmp_path, examples=2)
    (tmp_path / "frames/normal/clip000/000-0.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"000-0\.jpg is no readable picture"):
        read_training_data(tmp_path, ["anomaly-train"])


def test_examples_with_whole_videos_are_refused(tmp_path: Path) -> None:
    make_dataset(tmp_path, examples=2)
    path = tmp_path / "anomaly-train.json"
    path.write_text(json.dumps([{"messages": [], "videos": ["a.mp4"]}]), encoding="utf-8")
    with pytest.raises(DatasetError, match="pre-cut frames"):
        read_training_data(tmp_path, ["anomaly-train"])


def test_an_empty_dataset_is_refused(tmp_path: Path) -> None:
    make_dataset(tmp_path, examples=2)
    (tmp_path / "anomaly-train.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DatasetError, match="holds no example"):
        read_training_data(tmp_path, ["anomaly-train"])


def test_a_model_that_is_not_there_says_how_to_fetch_it(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentMissing, match=r"download_model\.sh Qwen/Qwen3-VL-2B-Instruct"):
        check_checkpoint(tmp_path / "Qwen3-VL-2B-Instruct")


def test_a_half_fetched_model_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model-1.safetensors").write_bytes(b"1")
    with pytest.raises(EnvironmentMissing, match=r"model-2\.safetensors is missing"):
        check_checkpoint(tmp_path)


def test_a_model_cut_short_is_told_before_anything_is_started(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS[:-1])
    with pytest.raises(EnvironmentMissing, match=r"damaged: model\.safetensors ends after .*download_model\.sh"):
        check_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("tokenizer.json", None, "has no tokenizer"),
        ("model.safetensors", None, "only as pytorch_model"),
        ("config.json", '{"auto_map": {"AutoModel": "x.X"}}', "code of its own"),
        ("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": ["x.X", null]}}', "code of its own"),
        ("config.json", "{", "cannot be read"),
        ("config.json", '{"vision_config": {}}', "nothing says how they are prepared"),
    ],
)
def test_a_base_that_cannot_be_loaded_is_told_before_anything_is_started(
    tmp_path: Path, file: str, content: str | None, words: str
) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    check_checkpoint(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(content)
    with pytest.raises(EnvironmentMissing, match=words):
        check_checkpoint(tmp_path)


def _goes_on_from(adapter: Path, data: Path) -> TrainingPlan:
    arguments = [f"model_name_or_path={BASE_FOLDER}", "use_cpu=true", "bf16=false", f"dataset_dir={make_dataset(data)}"]
    return plan_training("tiny_lora", [*arguments, f"output_dir={data / 'out'}", f"adapter_name_or_path={adapter}"])


def test_an_adapter_to_go_on_from_is_looked_at_before_anything_is_started(tmp_path: Path) -> None:
    adapter, data = make_adapter(tmp_path / "adapter"), tmp_path / "data"
    with pytest.raises(UsageError, match=r"does not fit .*trained layers\.0\.self_attn\.q_proj.*adapter_name_or_path"):
        _goes_on_from(adapter, data)
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(UsageError, match=r"weights there: adapter_model\.bin"):
        _goes_on_from(adapter, data)
    with pytest.raises(UsageError, match="no LoRA adapter"):
        _goes_on_from(tmp_path / "nowhere", data)


def test_an_adapter_that_fits_is_gone_on_from(tmp_path: Path) -> None:
    rows, values = tensors_in([BASE_FOLDER / "model.safetensors"])[f"{LORA_MODULE}.weight"].shape
    parts = {"A": random_values(1, 2, values), "B": random_values(2, rows, 2)}
    tensors = {f"{LORA_MODULE}.lora_{part}.weight": matrix for part, matrix in parts.items()}
    adapter = write_adapter(tmp_path / "adapter", tensors)
    plan = _goes_on_from(adapter, tmp_path / "data")
    assert plan.settings["adapter_name_or_path"] == str(adapter)


def test_the_digest_of_a_base_changes_with_its_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"one")
    before = base_digest(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"two")
    assert base_digest(tmp_path) != before


def test_settings_for_a_gpu_are_refused_without_one() -> None:
    for settings in ({"bf16": True}, {"quantization_bit": 4}):
        with pytest.raises(EnvironmentMissing, match="tiny_lora"):
            check_hardware(settings, gpus=0)
        check_hardware(settings, gpus=1)
    check_hardware({"bf16": True, "use_cpu": True}, gpus=0)


def test_a_local_ray_is_given_the_cpus_that_llamafactory_asks_for() -> None:
    settings = adapt_to_machine({"ray_num_workers": 2}, gpus=2, environ={})
    assert settings["ray_init_kwargs"]["num_cpus"] >= 20
    assert "ray_init_kwargs" not in adapt_to_machine({"ray_num_workers": 2}, gpus=2, environ={"RAY_ADDRESS": "auto"})


def test_launching_tells_llamafactory_how_and_leaves_what_is_set() -> None:
    assert launch_environment({"deepspeed": "z2.json"}, gpus=1, environ={})["FORCE_TORCHRUN"] == "1"
    assert launch_environment({"ray_num_workers": 2}, gpus=1, environ={})["USE_RAY"] == "1"
    assert launch_environment({}, gpus=1, environ={"HF_HUB_OFFLINE": "0"})["HF_HUB_OFFLINE"] == "0"


def test_paths_are_made_absolute_and_dataset_names_split() -> None:
    assert Path(with_absolute_paths({"dataset_dir": "data"})["dataset_dir"]).is_absolute()
    assert dataset_names({"dataset": "a, b"}) == ["a", "b"]
    assert "video_fps" in known_keys()


def test_an_output_folder_goes_from_new_to_resumable_to_finished(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert prepare_output(folder, RUN, fresh=False).checkpoint is None
    write_run_record(folder, RUN)
    for step in (50, 100):
        (folder / f"checkpoint-{step}").mkdir()
        (folder / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert prepare_output(folder, RUN, fresh=False).checkpoint == folder / "checkpoint-100"
    (folder / "checkpoint-100" / "checkpoint-is-incomplete.txt").touch()
    assert last_checkpoint(folder) == folder / "checkpoint-50"
    (folder / "vigil.json").write_text("{}")
    assert prepare_output(folder, RUN, fresh=False).finished


def test_other_settings_do_not_go_on_in_the_same_folder(tmp_path: Path) -> None:
    write_run_record(tmp_path, RUN)
    other = RunRecord(settings={"learning_rate": 1e-4, "save_steps": 10}, data_digest="e", base_digest="b")
    with pytest.raises(UsageError, match=r"learning_rate was 0\.001, is 0\.0001; the dataset has changed"):
        prepare_output(tmp_path, other, fresh=False)
    harmless = RunRecord(settings={"learning_rate": 1e-3, "save_steps": 10}, data_digest="d", base_digest="b")
    assert not prepare_output(tmp_path, harmless, fresh=False).finished
    prepare_output(tmp_path, other, fresh=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_things_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="do not belong to a training"):
        prepare_output(tmp_path, RUN, fresh=True)
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize("fresh", [True, False])
def test_a_training_that_somebody_else_ran_is_never_emptied(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "checkpoint-50").mkdir()
    for name in ("trainer_state.json", "checkpoint-50/trainer_state.json", "adapter_model.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(UsageError, match=r"did not start.*stays as it is"):
        prepare_output(tmp_path, RUN, fresh=fresh)
    assert len(list(tmp_path.rglob("*"))) == 4


def test_what_somebody_wrote_beside_a_training_outlives_it(tmp_path: Path) -> None:
    write_run_record(tmp_path, RUN)
    for name in ("checkpoint-50/trainer_state.json", "adapter_config.json", "train.log", "training_eval_loss.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    for name in ("notes.md", "ablation/table.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("years of work")
    prepare_output(tmp_path, RUN, fresh=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ablation", "notes.md"]
    write_run_record(tmp_path, RUN)
    assert prepare_output(tmp_path, RUN, fresh=False).checkpoint is None


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    with lock_output(tmp_path), pytest.raises(JobError, match="another training"), lock_output(tmp_path):
        pass


def test_progress_reads_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "trainer_log.jsonl"
    log = TrainerLog(path)
    assert list(log.read_new()) == []
    line = json.dumps({"current_steps": 5, "total_steps": 10, "loss": 0.5, "epoch": 0.5, "elapsed_time": "0:00:05"})
    path.write_text(line + "\n" + line[:20])
    assert [progress.step for progress in log.read_new()] == [5]
    with path.open("a") as file:
        file.write(line[20:] + "\nnonsense\n")
    assert [progress.step for progress in log.read_new()] == [5]


def make_trainer(folder: Path, script: str) -> Environment:
    """An environment whose llamafactory-cli is this shell script, also where Python starts it."""
    (folder / "bin").mkdir(parents=True)
    for name, started in (("llamafactory-cli", ""), ("python", "shift\n")):
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\n{started}{script}\n")
        program.chmod(0o755)
    return Environment("train", folder)


def make_job(folder: Path, script: str) -> LlamaFactoryProcess:
    trainer = make_trainer(folder / "env", script)
    return LlamaFactoryProcess(
        environment=trainer, arguments=("train", "x.yaml"), log=folder / "log", variables={"COLOUR": "blue"}
    )


def test_what_remains_after_a_resume_is_guessed_from_the_steps_since(tmp_path: Path) -> None:
    log = tmp_path / "trainer_log.jsonl"
    line = {"current_steps": 90, "total_steps": 100, "elapsed_time": "0:01:00", "remaining_time": "0:00:06"}
    log.write_text(json.dumps(line | {"epoch": 1.0}) + "\n")
    told = {at: next(TrainerLog(log, from_start=True, begun_at=at).read_new()).remaining for at in (0, 80, 90)}
    assert told == {0: "0:00:06", 80: "0:01:00", 90: "0:00:06"}
    log.write_text(json.dumps(line | {"elapsed_time": "1 day, 1:00:00"}) + "\n")
    assert next(TrainerLog(log, from_start=True, begun_at=80).read_new()).remaining == "1 day, 1:00:00"


@pytest.mark.parametrize(("begun_at", "speed"), [(0, 132.0), (90, 13.2), (50, 66.0), (100, None)])
def test_the_speed_after_a_resume_counts_the_samples_since(begun_at: int, speed: float | None) -> None:
    assert speed_of_run(132.0, steps=100, begun_at=begun_at) == speed
    assert speed_of_run(None, steps=100, begun_at=begun_at) is None


def test_a_job_gets_its_words_and_variables(tmp_path: Path) -> None:
    make_job(tmp_path, 'echo "$1 $2 $COLOUR"').run()
    assert (tmp_path / "log").read_text() == "train x.yaml blue\n"


def test_a_failed_job_tells_its_last_error_and_what_to_do(tmp_path: Path) -> None:
    job = make_job(tmp_path, "echo 'torch.OutOfMemoryError: CUDA out of memory. Tried 2 GiB'; exit 3")
    with pytest.raises(JobError, match=r"code 3; torch\.OutOfMemoryError.*lower per_device.*log") as caught:
        job.run()
    assert "\n" not in str(caught.value)


def test_a_killed_job_says_so(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="SIGKILL"):
        make_job(tmp_path, "kill -9 $$").run()


def test_a_missing_program_says_which_environment_to_make(tmp_path: Path) -> None:
    job = LlamaFactoryProcess(
        environment=Environment("train", tmp_path), arguments=("train",), log=tmp_path / "log", variables={}
    )
    with pytest.raises(EnvironmentMissing, match=r"setup\.sh train"):
        job.run()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_stops_it_the_child_is_asked_to_stop_and_waited_for(tmp_path: Path, sign: signal.Signals) -> None:
    script = "trap 'echo saved; exit 0' TERM\necho ready\nwhile :; do sleep 0.05; done"
    job = make_job(tmp_path, script)
    timer = threading.Thread(target=_interrupt_when_ready, args=(tmp_path / "log", sign))
    timer.start()
    with pytest.raises(TrainingStopped):
        job.run()
    timer.join()
    assert "saved" in (tmp_path / "log").read_text()


LAUNCHER = """
import subprocess, threading
TRAINER = "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
thread = threading.Thread(target=subprocess.run, args=(["sh", "-c", TRAINER],))
thread.start()
thread.join()
"""


def test_a_trainer_that_a_thread_of_its_launcher_started_is_asked_to_stop_itself(tmp_path: Path) -> None:
    """As torchrun's: the launcher would end at once, and the trainer with it, without a checkpoint."""
    (tmp_path / "launcher.py").write_text(LAUNCHER)
    job = replace(make_job(tmp_path, f"exec {sys.executable} {tmp_path}/launcher.py"), forks=True)
    timer = threading.Thread(target=_interrupt_when_ready, args=(tmp_path / "log", signal.SIGTERM))
    timer.start()
    with pytest.raises(TrainingStopped):
        job.run()
    timer.join()
    assert (tmp_path / "log").read_text() == "ready\nsaved\n"


def test_a_lost_connection_does_not_end_what_nohup_protects(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        make_job(tmp_path, f"kill -HUP {os.getpid()}; sleep 0.3; echo done").run()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (tmp_path / "log").read_text() == "done\n"


def test_what_a_child_leaves_behind_is_ended(tmp_path: Path) -> None:
    make_job(tmp_path, "sleep 600 & echo $!").run()
    left = int((tmp_path / "log").read_text())
    until(lambda: is_gone(left))


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped counts as ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def test_a_trainer_that_outlives_its_command_keeps_its_folder(tmp_path: Path) -> None:
    make_trainer(tmp_path / "env", 'echo $$ >"$(dirname "$2")/pid"; exec sleep 600')
    data, folder = make_dataset(tmp_path / "data"), tmp_path / "out"
    arguments = ["train", "tiny_lora", f"dataset_dir={data}", f"output_dir={folder}"]
    environ = os.environ | {"VIGIL_TRAIN_PYTHON": str(tmp_path / "env/bin/python")}
    command = subprocess.Popen([sys.executable, "-m", "vigil", *arguments], env=environ)
    written = folder / "pid"
    until(lambda: command.poll() is not None or (written.exists() and written.read_text()))
    assert command.poll() is None
    command.kill()
    command.wait()
    orphan = int(written.read_text())
    try:
        with pytest.raises(JobError, match=f"process {orphan}; `kill {orphan}` ends it"), lock_output(folder):
            pass
    finally:
        os.kill(orphan, signal.SIGKILL)
    until(lambda: is_gone(orphan))
    with lock_output(folder):
        pass


def _interrupt_when_ready(log: Path, sign: signal.Signals) -> None:
    until(lambda: log.exists() and "ready" in log.read_text())
    os.kill(os.getpid(), sign)
