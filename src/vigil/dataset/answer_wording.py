"""Who wrote the descriptions of a dataset, and whether a model trained on it will answer with one."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from vigil.dataset.answers import taught
from vigil.dataset.clips import Split
from vigil.dataset.examples import KINDS, SPLITS, TrainingExample
from vigil.manifest import Manifest


def authors(examples: Iterable[TrainingExample]) -> dict[str, int]:
    """Number of answers by author (one of KINDS first); answers without a description count as `none`."""
    counts = Counter(example.author for example in examples)
    known = [kind for kind in KINDS if counts[kind]]
    return {kind: counts[kind] for kind in [*known, *sorted(counts.keys() - KINDS)]}


def authors_text(counts: Mapping[str, int]) -> str:
    """The counts as text: `human 12, model 300, none 4`."""
    return ", ".join(f"{kind} {count}" for kind, count in counts.items())


def worded(manifest: Manifest, splits: Mapping[Split, Sequence[TrainingExample]]) -> Manifest:
    """The manifest with the contract's `answers` and the authors per split, as these examples have them."""
    texts = [example.answer for example in splits["train"] or splits["test"]]
    contract = replace(manifest.contract, answers=taught(texts, *manifest.contract.alarm_words))
    recorded = manifest.training.get("dataset", {})
    words = {split: authors(splits[split]) for split in SPLITS if splits[split]}
    return replace(manifest, contract=contract, training=manifest.training | {"dataset": recorded | {"words": words}})
