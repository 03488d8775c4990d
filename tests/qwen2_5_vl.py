"""A Qwen2.5-VL of the true architecture with few and small layers and random weights, as the hubs ship one.

Windowed and whole attention in the vision tower, M-RoPE that counts seconds, patches of 14 px. The tokenizer is the
tiny base's, whose vocabulary is a part of Qwen2.5-VL's own.
"""

import json
import shutil
import subprocess
from pathlib import Path

from vigil.environments import environment
from vigil.tiny import BASE_FOLDER

CONTEXT_TOKENS = 4096
PATCHES = {
    "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
    "rescale_factor": 1 / 255, "resample": 3, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
    "min_pixels": 3136, "max_pixels": 12_845_056,
    "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor",
}  # fmt: skip
"""preprocessor_config.json as published; there is no file for videos, and this one is read for them too."""

CHAT_TEMPLATE = """\
{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}<|im_end|>
{% else %}{% for content in message['content'] %}\
{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}\
<|vision_start|><|image_pad|><|vision_end|>\
{% elif content['type'] == 'video' or 'video' in content %}<|vision_start|><|video_pad|><|vision_end|>\
{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

SCRIPT = """
import sys
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer
folder, context = sys.argv[1], int(sys.argv[2])
tokenizer = Qwen2Tokenizer.from_pretrained(folder)
ids = tokenizer.convert_tokens_to_ids
text = dict(
    vocab_size=len(tokenizer), hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=context, tie_word_embeddings=True, max_window_layers=3,
    rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]},
    bos_token_id=ids("<|endoftext|>"), eos_token_id=ids("<|im_end|>"), pad_token_id=ids("<|endoftext|>"),
)
vision = dict(
    depth=4, hidden_size=64, intermediate_size=128, num_heads=4, out_hidden_size=128, fullatt_block_indexes=[1, 3],
    window_size=112, tokens_per_second=2,
)
config = Qwen2_5_VLConfig(
    text_config=text, vision_config=vision, tie_word_embeddings=True,
    image_token_id=ids("<|image_pad|>"), video_token_id=ids("<|video_pad|>"),
    vision_start_token_id=ids("<|vision_start|>"), vision_end_token_id=ids("<|vision_end|>"),
)
torch.manual_seed(25)
config.text_config.initializer_range = config.vision_config.initializer_range = config.initializer_range = 0.08
model = Qwen2_5_VLForConditionalGeneration(config)
model.to(torch.bfloat16).save_pretrained(folder)
"""


def write_qwen2_5_vl(folder: Path, *, context_tokens: int = CONTEXT_TOKENS) -> Path:
    """Writes the model, its tokenizer and its processor into a folder and returns it, by the training environment."""
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(BASE_FOLDER / name, folder / name)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": CHAT_TEMPLATE}))
    (folder / "preprocessor_config.json").write_text(json.dumps(PATCHES, indent=2))
    runtime = environment("train")
    made = subprocess.run(
        [str(runtime.python), "-c", SCRIPT, str(folder), str(context_tokens)],
        env=runtime.variables() | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr[-2000:]
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float32"}, indent=2) + "\n")
    return folder
