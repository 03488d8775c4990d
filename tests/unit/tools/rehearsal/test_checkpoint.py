"""The folder with random weights is the published model's in shape and vocabulary."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tools.rehearsal.shapes import SHAPES, ModelShape

pytestmark = pytest.mark.train_env

ROOT = Path(__file__).resolve().parents[4]
MEBIBYTE = 1 << 20
LITTLE = ModelShape(
    size="2b", name="little", train_config="", parameters=0, hidden_size=256, intermediate_size=256, layers=3, heads=8
)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_each_shape_has_the_parameters_of_the_published_model(shape: ModelShape) -> None:
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    with torch.device("meta"):
        model = Qwen3VLForConditionalGeneration(Qwen3VLConfig.from_dict(shape.model_config))
    assert sum(weight.numel() for weight in model.parameters()) == shape.parameters


def test_a_folder_is_read_as_the_model_that_it_says_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from tools.rehearsal import checkpoint
    from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

    monkeypatch.setattr(checkpoint, "SHARD_BYTES", 100 * MEBIBYTE)
    checkpoint.write_checkpoint(LITTLE, tmp_path / "model")
    index = json.loads((tmp_path / "model" / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2
    model = Qwen3VLForConditionalGeneration.from_pretrained(tmp_path / "model")
    assert model.dtype == torch.bfloat16
    assert model.lm_head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr()
    assert model.get_input_embeddings().weight.float().std().item() == pytest.approx(0.02, rel=0.01)
    tokenizer = AutoProcessor.from_pretrained(tmp_path / "model").tokenizer
    assert tokenizer("是的没有<|video_pad|>")["input_ids"] == [20412, 9370, 80443, 151656]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


FILLS_THE_DISK = f"""
import resource, sys
from tools.rehearsal.checkpoint import main
from tools.rehearsal.shapes import SHAPES, ModelShape
SHAPES["little"] = {LITTLE}
resource.setrlimit(resource.RLIMIT_FSIZE, ({64 * MEBIBYTE}, {64 * MEBIBYTE}))
sys.exit(main("little", sys.argv[1]))
"""


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILLS_THE_DISK, str(tmp_path / "model")]
    variables = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    told = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert told.returncode == 1, told.stderr
    assert told.stderr.splitlines()[-1].startswith(f"the model cannot be written to {tmp_path / 'model'}: ")
    assert "Traceback" not in told.stderr
    assert list(tmp_path.iterdir()) == []
