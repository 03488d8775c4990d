"""Adapters by the real peft, their merges by the real LLaMA-Factory, and what the models say.

Runs in the training environment:

    .venv-train/bin/python tests/peft_adapters.py ASKED.json

`ASKED.json` holds `base`, `out`, `adapters` (by name, the words of a LoraConfig), `question`, `words` (the alarm's and
the normal one) and `windows` (lists of JPEG files). Under `out` come `adapters/NAME`, `merged/NAME` and `told.json`:
the probability of an alarm in each window, by the base, by base and adapter unmerged, and by the merged model.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from llamafactory.train.tuner import export_model
from peft import LoraConfig, PeftModel, get_peft_model
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.video_utils import VideoMetadata

FPS = 2.0


def load(folder: str) -> Any:
    """A model in float32."""
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()


def make_adapter(base: str, folder: Path, words: dict[str, Any]) -> None:
    """An adapter of the base: what it trains is moved by random numbers, as a training would move it."""
    torch.manual_seed(5)
    adapted = get_peft_model(load(base), LoraConfig(**words))
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad and "lora_A" not in name and "lora_embedding_A" not in name:
            size = parameter.data.std() if parameter.data.any() else 0.15
            parameter.data += torch.randn_like(parameter) * size
    adapted.save_pretrained(str(folder))


def merge(base: str, adapter: Path, out: Path) -> None:
    """As `vigil export` has it merged."""
    words = {"model_name_or_path": base, "adapter_name_or_path": str(adapter), "template": "qwen3_vl_nothink"}
    export_model(words | {"export_dir": str(out), "export_device": "cpu", "infer_dtype": "bfloat16", "export_size": 5})


def alarms(model: Any, processor: Any, asked: dict[str, Any]) -> list[float]:
    """The probability of an alarm in each window: of the two words' first tokens, the alarm's share."""
    ids = [processor.tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in asked["words"]]
    found = []
    for window in asked["windows"]:
        with torch.inference_mode():
            logits = model(**inputs(processor, model.config, asked["question"], window)).logits[0, -1].double()
        found.append(float(logits[ids].softmax(-1)[0]))
    return found


def inputs(processor: Any, config: Any, question: str, window: list[str]) -> dict[str, torch.Tensor]:
    """A window and its question as the model is trained on them."""
    frames = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in window])
    count = len(window)
    made = processor(
        text=[
            f"<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>{question}<|im_end|>\n<|im_start|>assistant\n"
        ],
        videos=[torch.from_numpy(frames).permute(0, 3, 1, 2)],
        video_metadata=[
            VideoMetadata(total_num_frames=count, fps=FPS, frames_indices=list(range(count)), duration=count / FPS)
        ],
        do_sample_frames=False,
        return_tensors="pt",
    )
    made["mm_token_type_ids"] = (made["input_ids"] == config.video_token_id).long() * 2
    return dict(made)


def tell(asked: dict[str, Any]) -> dict[str, Any]:
    """Makes, merges and asks everything."""
    base, out = asked["base"], Path(asked["out"])
    processor = AutoProcessor.from_pretrained(base)
    told: dict[str, Any] = {"base": alarms(load(base), processor, asked), "adapted": {}, "merged": {}}
    for name, words in asked["adapters"].items():
        adapter, merged = out / "adapters" / name, out / "merged" / name
        make_adapter(base, adapter, words)
        merge(base, adapter, merged)
        told["adapted"][name] = alarms(PeftModel.from_pretrained(load(base), str(adapter)).eval(), processor, asked)
        told["merged"][name] = alarms(load(str(merged)), processor, asked)
    return told


if __name__ == "__main__":
    wanted = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answer = json.dumps(tell(wanted))
    (Path(wanted["out"]) / "told.json").write_text(answer, encoding="utf-8")
