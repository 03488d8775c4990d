"""The tiny base's tokenizer: a byte-level BPE of about a thousand tokens with Qwen's special tokens.

Each verdict word is one token, also right after `assistant` and a new line and before a comma, because the
probability of an alarm is read from the first token of an answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vigil.tiny.questions import every_text

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer

VERDICT_WORDS: Final = ("是的", "没有", "Yes", "No", "yes", "no")
SPECIAL_TOKENS: Final = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
PLAIN_ADDED_TOKENS: Final = (
    "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>",
)  # fmt: skip
_SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Everyday words of a watcher's prompts, so that a prompt somebody writes is not all single bytes.
_EVERYDAY: Final = (
    "请分析这个视频,是否有人在走路等行为。如果有,请回答“是的”,如果没有,请回答“没有”,然后对视频进行描述和分析",
    "这是监控画面，请判断视频中是否有人在做什么，回答是或者不是，然后说明原因。根据以上内容，只回答。",
    "请看这段监控视频。他们正在一起，没有异常，正常。出现了什么行为？如果有，请先回答再描述。地面上的人，时间，位置。",
    "视频中人员活动正常,没有发现。画面里的人在行走或站立,动作平缓,没有异常行为。现场秩序正常,人与人之间。",
    "可以看到日常活动,画面平稳,迹象。至少两个人互相,需要立即关注。人员身体接触,动作快速,挥动手臂他人,人群中,被推,属于。",
    'Look at this video: is there unusual behaviour? Answer "Yes" if there is, "No" if there is not, '
    "then describe and analyse what happens.",
    "You are watching a surveillance camera. Please answer yes or no first, then describe what the people do. "
    "Is there any one in this video? The video shows some persons who are near the door. Answer with one word. "
    "In these frames, does anything unusual happen? If so, say where and when, in one short sentence.",
    "People walk or stand calmly. Everyday activity is seen. Everyone moves quickly with their arms on the ground.",
    "system\nuser\nassistant\n0.2 seconds 1.2 seconds 2.2 seconds",
)
_VOCABULARY_SIZE: Final = 960


def train_tokenizer() -> Tokenizer:
    """Train the BPE from the questions and answers alone; the same texts always give the same merges."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    size = _VOCABULARY_SIZE - len(SPECIAL_TOKENS) - len(PLAIN_ADDED_TOKENS)
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=[], show_progress=False)
    tokenizer.train_from_iterator(_corpus(), trainer)
    return tokenizer


def _added() -> list[AddedToken]:
    from tokenizers import AddedToken

    special = [AddedToken(text, special=True, normalized=False) for text in SPECIAL_TOKENS]
    return special + [AddedToken(text, special=False, normalized=False) for text in PLAIN_ADDED_TOKENS]


def _corpus() -> list[str]:
    words = [f"{word}\n" for word in (*VERDICT_WORDS, "assistant", "user", "system") for _ in range(400)]
    return words + 10 * every_text() + 20 * list(_EVERYDAY)


def save_tokenizer(folder: Path) -> None:
    """Write tokenizer.json and its configuration in the form that transformers reads as Qwen2's."""
    from transformers import Qwen2Tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    model = json.loads(train_tokenizer().to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]],
        eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token=None, model_max_length=4096,
        additional_special_tokens=list(SPECIAL_TOKENS),
    )  # fmt: skip
    tokenizer.add_tokens(_added())
    tokenizer.save_pretrained(str(folder))
