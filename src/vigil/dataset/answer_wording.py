"""From whom the words of a dataset are, and what a model that is trained on it will answer with."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from vigil.dataset.answers import taught
from vigil.dataset.clips import Split
from vigil.dataset.examples import KINDS, SPLITS, TrainingExample
from vigil.manifest import Manifest


def authors(examples: Iterable[TrainingExample]) -> dict[str, int]:
    """How many answers have words, by whose they are; those without any as `none`."""
    counts = Counter(example.author for example in examples)
    known = [kind for kind in KINDS if counts[kind]]
    return {kind: counts[kind] for kind in [*known, *sorted(counts.keys() - KINDS)]}


def authors_text(counts: Mapping[str, int]) -> str:
    """The same for people to read, as in `human 12, model 300, none 4`."""
    return ", ".join(f"{kind} {count}" for kind, count in counts.items())


def worded(manifest: Manifest, splits: Mapping[Split, Sequence[TrainingExample]]) -> Manifest:
    """The manifest with what these answers make of it: the contract's `answers`, and whose words they are."""
    texts = [example.answer for example in splits["train"] or splits["test"]]
    contract = replace(manifest.contract, answers=taught(texts, manifest.contract.alarm_word))
    told = manifest.training.get("dataset", {})
    words = {split: authors(splits[split]) for split in SPLITS if splits[split]}
    return replace(manifest, contract=contract, training=manifest.training | {"dataset": told | {"words": words}})
