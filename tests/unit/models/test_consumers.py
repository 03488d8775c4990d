"""Everything that depends on a family reads it from the family: cutting, building, training, serving, the chat."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from made_dataset import make_dataset
from model_folder import contract, make_adapter, make_model
from qwen2_5_vl import CHAT_TEMPLATE
from vigil.chat.attachment import Attachment, attach_picture, attach_video
from vigil.cli.dataset_options import chosen_family
from vigil.cli.main import app
from vigil.dataset.build import BuildSettings, build_dataset
from vigil.dataset.check import check_dataset
from vigil.dataset.extract import ExtractSettings
from vigil.environments import environment
from vigil.errors import ConfigError, ManifestError, UsageError
from vigil.frames import Frame, FrameSampling, fit_size, min_side_px
from vigil.judge.endpoint import ServerKey
from vigil.manifest import read_manifest
from vigil.models import FAMILIES, QWEN2_5_VL, QWEN3_VL, registry
from vigil.questions import load_question
from vigil.serving.command import ServePlan, serve_command
from vigil.serving.declared_contracts import declared_contracts
from vigil.serving.plan import ContractOverrides, plan_server
from vigil.serving.settings import ServeSettings
from vigil.synth.dataset import write_synth_dataset as draw_clips
from vigil.training.config import complete_from_dataset
from vigil.training.data import read_training_data
from vigil.training.run import check_family, check_processes
from vigil.windows import iter_windows

TASK = load_question("fight")
SAMPLING = FrameSampling(max_pixels=12_288, **QWEN2_5_VL.grid)
QWEN2_5_CONTRACT = replace(contract(), sampling=SAMPLING)


def served(model: Path, overrides: ContractOverrides | None = None, adapters: tuple[str, ...] = ()) -> ServePlan:
    return plan_server(
        model, settings=ServeSettings(), overrides=overrides, adapters=adapters, templates=model.parent / "run"
    )


def qwen2_5_model(folder: Path, **more: object) -> Path:
    model = make_model(folder, model_type="qwen2_5_vl", **more)  # type: ignore[arg-type]
    (model / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return model


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("max_pixels", [4096, 12_288, 131_072, 589_824])
@pytest.mark.parametrize("shape_wh", [(1920, 1080), (640, 480), (1080, 1920), (90, 50), (3000, 40), (17, 1)])
def test_frames_are_sized_in_the_grid_of_their_family(
    family: registry.ModelFamily, max_pixels: int, shape_wh: tuple[int, int]
) -> None:
    width, height = FrameSampling(max_pixels=max_pixels, **family.grid).fit(*shape_wh)
    assert width % family.pixel_multiple == height % family.pixel_multiple == 0
    assert min(width, height) >= family.min_side_px == min_side_px(family.pixel_multiple)
    assert width * height <= max_pixels
    assert fit_size(width, height, max_pixels=max_pixels, pixel_multiple=family.pixel_multiple) == (width, height)


@pytest.mark.parametrize(("group", "count", "repeated"), [(2, 5, 1), (3, 5, 1), (4, 5, 3), (1, 5, 0)])
def test_a_window_is_filled_up_to_whole_groups(group: int, count: int, repeated: int) -> None:
    sampling = FrameSampling(frames=12, frames_per_group=group)
    frames = [Frame(np.zeros((64, 64, 3), np.uint8), index / 2) for index in range(count)]
    (window,) = iter_windows(frames, sampling)
    assert (window.repeated, len(window.shots)) == (repeated, count + repeated)


def test_a_window_must_hold_whole_groups() -> None:
    with pytest.raises(UsageError, match="frames must be a multiple of 4"):
        FrameSampling(frames=6, frames_per_group=4)
    with pytest.raises(UsageError, match="at least 1"):
        FrameSampling(pixel_multiple=0)
    assert FrameSampling(max_pixels=3136, **QWEN2_5_VL.grid).fit(640, 480) == (56, 56)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw_clips(folder, clips=4, seed=1, fps=8, size_wh=(192, 144), difficulty=0.2, workers=1)
    return folder


def test_a_dataset_is_for_the_family_of_the_base_that_is_named(clips: Path, tmp_path: Path) -> None:
    words = ("--base", qwen2_5_model(tmp_path / "model"), "--max-pixels", 12288, "--test-share", 0, "--jobs", 1)
    built = ("dataset", "build", clips, "--out", tmp_path / "data", *words)
    done = CliRunner().invoke(app, [str(word) for word in built])
    assert done.exit_code == 0, done.output
    manifest = read_manifest(tmp_path / "data")
    assert (manifest.family, manifest.template, manifest.contract.sampling) == ("qwen2_5_vl", "qwen2_vl", SAMPLING)
    report = check_dataset(tmp_path / "data")
    assert [finding for finding in report.errors if "multiples" in finding.what or "number" in finding.what] == []
    assert {size for facts in report.splits.values() for size in facts.sizes_wh} == {(112, 84)}


def test_the_family_is_the_named_one_that_of_the_base_or_the_first(tmp_path: Path) -> None:
    model = qwen2_5_model(tmp_path / "model")
    assert chosen_family("qwen2_5_vl", None) is chosen_family(None, model) is QWEN2_5_VL
    assert chosen_family("qwen2_5_vl", model) is QWEN2_5_VL
    assert chosen_family(None, None) is QWEN3_VL


def test_two_families_at_once_or_an_unknown_one_are_refused(tmp_path: Path, clips: Path) -> None:
    model = make_model(tmp_path / "model")
    for words, said in (
        (["--base", str(model), "--family", "qwen2_5_vl"], "leave one of them out"),
        (["--family", "qwen9"], "no model family"),
        (["--base", str(tmp_path)], "no model folder"),
    ):
        done = CliRunner().invoke(app, ["dataset", "build", str(clips), "--out", str(tmp_path / "data"), *words])
        assert done.exit_code != 0 and said in str(done.exception)
    assert not (tmp_path / "data").exists()


def test_frames_of_another_grid_are_not_built_for_a_family(clips: Path, tmp_path: Path) -> None:
    plan = BuildSettings(
        clips=clips,
        out=tmp_path / "data",
        task=TASK,
        extract=ExtractSettings(sampling=FrameSampling()),
        family=QWEN2_5_VL,
    )
    with pytest.raises(UsageError, match=r"Qwen2\.5-VL is cut with pixel_multiple=28"):
        build_dataset(plan)


def test_frames_of_another_grid_are_found_by_the_check(tmp_path: Path) -> None:
    data = make_dataset(tmp_path)
    held = read_manifest(data)
    replace(held, contract=replace(held.contract, sampling=SAMPLING), family="qwen2_5_vl").write(data)
    found = [finding.what for finding in check_dataset(data).errors]
    assert any("sides that are not multiples of 28" in what for what in found)


def qwen2_5_dataset(folder: Path) -> Path:
    data = make_dataset(folder)
    held = read_manifest(data)
    replace(held, contract=replace(held.contract, sampling=SAMPLING), family="qwen2_5_vl").write(data)
    return data


def test_a_training_gets_the_template_of_its_family(tmp_path: Path) -> None:
    dataset = read_training_data(qwen2_5_dataset(tmp_path / "data"), ["anomaly-train"])
    assert complete_from_dataset({"dataset_dir": "data"}, dataset)["template"] == "qwen2_vl"
    assert dataset.visual_tokens == 3 * 5 * 4
    with pytest.raises(ConfigError, match="'qwen3_vl_nothink' but this dataset needs 'qwen2_vl'"):
        complete_from_dataset({"dataset_dir": "data", "template": "qwen3_vl_nothink"}, dataset)


def test_the_options_of_a_family_are_set_and_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thinking = replace(QWEN2_5_VL, training_options={"enable_thinking": False})
    monkeypatch.setattr(registry, "FAMILIES", (QWEN3_VL, thinking))
    dataset = read_training_data(qwen2_5_dataset(tmp_path / "data"), ["anomaly-train"])
    assert complete_from_dataset({"dataset_dir": "data"}, dataset)["enable_thinking"] is False
    with pytest.raises(ConfigError, match="enable_thinking is True"):
        complete_from_dataset({"dataset_dir": "data", "enable_thinking": True}, dataset)


def test_a_base_of_another_family_is_refused_with_what_to_do(tmp_path: Path) -> None:
    dataset = read_training_data(qwen2_5_dataset(tmp_path / "data"), ["anomaly-train"])
    check_family(qwen2_5_model(tmp_path / "right"), dataset)
    with pytest.raises(UsageError, match=r"28 px\) and .* is of Qwen3-VL \(32 px\).*--family qwen3_vl"):
        check_family(make_model(tmp_path / "wrong"), dataset)


@pytest.mark.parametrize(("settings", "gpus"), [({"deepspeed": "z2.json"}, 1), ({"ray_num_workers": 2}, 1), ({}, 2)])
def test_trainers_of_their_own_are_refused_where_positions_count_seconds(
    settings: dict[str, object], gpus: int
) -> None:
    with pytest.raises(UsageError, match=r"in one process only.*CUDA_VISIBLE_DEVICES=0"):
        check_processes(settings, QWEN2_5_VL, gpus=gpus)
    check_processes(settings, QWEN3_VL, gpus=gpus)
    check_processes({}, QWEN2_5_VL, gpus=1)


def test_a_server_reads_frames_as_its_family_does(tmp_path: Path) -> None:
    plan = served(qwen2_5_model(tmp_path / "model", held=QWEN2_5_CONTRACT))
    assert plan.template is None and plan.sampling == SAMPLING
    command = serve_command(plan, environment("serve"), ServerKey(value="k", origin="k")).argv
    sizes = json.loads(command[command.index("--mm-processor-kwargs") + 1])
    assert sizes["videos_kwargs"]["size"] == {"shortest_edge": 56 * 56, "longest_edge": 7680 * 28 * 28}
    assert sizes["images_kwargs"]["size"]["shortest_edge"] == 56 * 56
    assert "--chat-template" not in command


def test_a_base_without_a_manifest_is_served_in_its_own_grid(tmp_path: Path) -> None:
    plan = served(qwen2_5_model(tmp_path / "base"), ContractOverrides(task=TASK, max_pixels=12_288))
    assert plan.sampling == SAMPLING
    assert plan.contract is not None and plan.contract.alias.endswith(":pixel_multiple=28")


def test_a_contract_of_another_grid_than_the_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"multiples of 28 px .* its contract says 32 px"):
        served(qwen2_5_model(tmp_path / "model", held=contract()))
    with pytest.raises(ManifestError, match=r"multiples of 32 px .* its contract says 28 px"):
        served(make_model(tmp_path / "other", held=QWEN2_5_CONTRACT))


def test_a_model_of_no_known_family_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'llava'.* qwen3_vl \(Qwen3-VL\), qwen2_5_vl"):
        served(make_model(tmp_path / "model", model_type="llava", held=contract()))


@pytest.mark.parametrize(
    ("old", "new"),
    [("You are a helpful assistant.", "You are Qwen."), ("<|video_pad|>", "<|video|>"), ("<|vision_end|>", "")],
)
def test_a_template_that_lays_out_otherwise_than_trained_is_refused(tmp_path: Path, old: str, new: str) -> None:
    model = qwen2_5_model(tmp_path / "model", held=QWEN2_5_CONTRACT)
    (model / "chat_template.jinja").write_text(CHAT_TEMPLATE.replace(old, new))
    with pytest.raises(ManifestError, match=r"does not fit Qwen2\.5-VL"):
        served(model)
    (model / "chat_template.jinja").unlink()
    with pytest.raises(ManifestError, match="has no chat template"):
        served(model)


def test_adapters_are_refused_where_vllm_serves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hybrid = replace(QWEN3_VL, supports_runtime_lora=False, serving_flags={"--some-flag": ("x",)})
    model, adapter = make_model(tmp_path / "base"), make_adapter(tmp_path / "adapter", held=contract())
    assert served(model, adapters=(str(adapter),)).adapters
    monkeypatch.setattr(registry, "FAMILIES", (hybrid,))
    with pytest.raises(UsageError, match=r"merge it with \./export\.sh"):
        served(model, adapters=(str(adapter),))
    command = serve_command(
        served(model, ContractOverrides(task=TASK)), environment("serve"), ServerKey(value="k", origin="k")
    )
    assert command.argv[command.argv.index("--some-flag") + 1] == "x"


def test_a_server_tells_its_grid(tmp_path: Path) -> None:
    plan = served(qwen2_5_model(tmp_path / "model", held=QWEN2_5_CONTRACT))
    told = declared_contracts(plan.name, plan.contract, plan.sampling, ())["model"]
    assert told is not None and told.sampling.pixel_multiple == 28
    assert plan.contracts is not None
    assert json.loads(plan.contracts.read_text())["sampling"]["pixel_multiple"] == 28


def test_the_chat_shows_and_counts_what_the_family_reads(clips: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    shown = next((clips / "fight").glob("*.mp4"))
    video = attach_video(shown, SAMPLING, most_frames=20)
    assert video.size_wh == (112, 84) and len(video.jpegs) % 2 == 0
    assert video.tokens == len(video.jpegs) // 2 * 12 + 2
    write_picture(picture)
    look = attach_picture(picture, family=QWEN2_5_VL)
    assert all(side % 28 == 0 for side in look.size_wh) and isinstance(look, Attachment)


def write_picture(path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (300, 200)).save(path)
