"""Rows of their own for label words: run by the training environment's Python (`-m train_env`)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vigil.questions import load_question
from vigil.tiny import BASE_FOLDER

pytestmark = [pytest.mark.train_env, pytest.mark.filterwarnings("ignore")]


def test_the_words_of_nine_classes_differ_in_the_shipped_base_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the training environment (scripts/setup.sh train)")
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from tools.tiny_base.apart import ROWS_NAME, WEIGHTS_NAME, set_apart
    from tools.tiny_base.texts import label_words, read_and_said

    base = shutil.copytree(BASE_FOLDER, tmp_path / "base")
    rows = load_file(base / WEIGHTS_NAME)[ROWS_NAME].float()
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    # 异常 stands in the question of `fight`, and its row stays as it was.
    words = [word for word in load_question("anomaly9").words().values() if word != "异常声响"]
    first = torch.nn.functional.normalize(rows[[tokenizer.encode(word).ids[0] for word in words]], dim=1)
    alike = first @ first.T - torch.eye(len(words))
    assert float(alike.max()) < 0.85
    assert set_apart(base, label_words(), kept=read_and_said()) == 0


def test_only_tokens_that_were_never_read_or_said_change(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs the training environment (scripts/setup.sh train)")
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from tools.tiny_base.apart import ROWS_NAME, WEIGHTS_NAME, set_apart
    from tools.tiny_base.texts import read_and_said

    base = shutil.copytree(BASE_FOLDER, tmp_path / "base")
    before = load_file(base / WEIGHTS_NAME)
    changed = set_apart(base, ["抽烟", "着火"], kept=read_and_said())
    after = load_file(base / WEIGHTS_NAME)
    differing = (before[ROWS_NAME] != after[ROWS_NAME]).any(dim=1).nonzero().flatten().tolist()
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    read = {number for text in read_and_said() for number in tokenizer.encode(text).ids}
    assert len(differing) == changed > 0 and not read & set(differing)
    assert all(torch.equal(before[name], after[name]) for name in before if name != ROWS_NAME)
