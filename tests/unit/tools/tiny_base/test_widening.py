"""New tokens for a base that is trained: run by the training environment's Python (`-m train_env`)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vigil.tiny import BASE_FOLDER

pytestmark = [pytest.mark.train_env, pytest.mark.filterwarnings("ignore")]
KNOWN = "请分析这个视频,是否有人跌倒"
NEW = "图书馆里有一只鹦鹉。"


def test_a_widened_base_cuts_new_texts_truly_and_says_what_it_said_before(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the training environment (scripts/setup.sh train)")
    transformers = pytest.importorskip("transformers", reason="needs the training environment")
    from tools.tiny_base.vocabulary import load_vocabulary
    from tools.tiny_base.widening import widen

    def logits(folder: Path) -> dict[str, float]:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
        model = transformers.Qwen3VLForConditionalGeneration.from_pretrained(str(folder), dtype=torch.float32)
        with torch.no_grad():
            last = model(torch.tensor([tokenizer.encode(KNOWN)])).logits[0, -1]
        return {token: last[number].item() for token, number in tokenizer.get_vocab().items()}

    base = shutil.copytree(BASE_FOLDER, tmp_path / "base")
    before = logits(base)
    assert widen(base, [KNOWN]) == 0
    assert widen(base, [NEW]) > 0
    after = logits(base)
    assert max(abs(after[token] - value) for token, value in before.items()) < 1e-4
    cut = transformers.AutoTokenizer.from_pretrained(str(base)).tokenize(NEW)
    assert cut == load_vocabulary().tokenizer().encode(NEW).tokens
    assert sorted(path.name for path in base.iterdir()) == sorted(path.name for path in BASE_FOLDER.iterdir())
