"""Verifies that a merged model is base plus adapter: tensor by tensor, a few rows at a time, in bounded memory.

The correct result is known exactly. peft computes `base + scale * B A` in float32 on the bfloat16 base and rounds once
to bfloat16, so every value must be the bfloat16 nearest to that sum. If the sum lies halfway between two of them,
within float32's precision, either is correct: such a value may be off by one unit in the last place. No other
deviation is accepted, so a missing adapter is detected even if it moves the weights by less than that unit.
"""

import json
import math
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vigil.errors import JobError
from vigil.models.bfloat16 import Bits, rounded, to_float32, ulps_between
from vigil.models.lora_adapter import AdapterWeights, plain_name
from vigil.models.weight_delta import WeightDelta, deviation
from vigil.models.weight_files import FLOATS, Tensor, tensors_in, weight_files

SLICE_VALUES = 1 << 18
"""Values compared at once if nothing is multiplied: 1 MB, which stays in a processor's cache."""

PRODUCT_VALUES = 1 << 15
"""Values compared at once if an adapter's matrices are multiplied. For larger products BLAS uses threads that wait for
each other while our own threads occupy the cores: ten times slower on two busy cores.
"""

THREADS = 8
HEAD, EMBEDDING = "lm_head.weight", "embed_tokens.weight"
UNREAD = ("mtp.", "rotary_emb.inv_freq")
"""Tensors that transformers neither reads nor writes: Qwen3.5's heads for speculative decoding, and buffers that old
releases stored although they can be computed.
"""

MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeTally:
    """Counts so far; squares are sums over the values of tensors that the adapter changes."""

    tensors: int = 0
    values: int = 0
    adapted: int = 0
    adapted_values: int = 0
    changed_values: int = 0
    either_way: int = 0
    base_square: float = 0.0
    move_square: float = 0.0
    problems: tuple[str, ...] = ()

    def __add__(self, other: "MergeTally") -> "MergeTally":
        return MergeTally(**{name: getattr(self, name) + getattr(other, name) for name in self.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeReport:
    """The report of a merge that is correct.

    `largest_ulp` is the largest deviation from base plus adapter, in units in the last place of bfloat16, and
    `either_way` the number of values that deviate. `moved` is how far the adapter moved its tensors, relative to their
    size (2-norms); `changed` is the share of their values that it changed.
    """

    tensors: int
    adapted: int
    values: int
    largest_ulp: int
    either_way: int
    moved: float
    changed: float

    def __str__(self) -> str:
        where = f", in {self.either_way} values that lie between two" if self.either_way else ""
        return (
            f"{self.tensors} tensors are base plus adapter, {self.adapted} of them adapted; largest deviation "
            f"{self.largest_ulp} units in the last place of bfloat16{where}; the adapter moved its tensors by "
            f"{self.moved:.2g} of their size and changed {self.changed:.1%} of their values"
        )


def compare_merge(base: Path, adapter: AdapterWeights, merged: Path) -> MergeReport:
    """Compares every tensor of a merged model with base plus adapter.

    Raises JobError naming the tensors that differ, are missing, or are unexpected.
    """
    merge = _Merge.of(base, adapter, merged)
    problems = [*merge.missing(), *merge.unasked(), *merge.unapplied()]
    stop = threading.Event()
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        try:
            found = list(pool.map(partial(merge.compare, stop=stop), merge.names()))
        finally:
            stop.set()
    tally = reduce(lambda left, right: left + right, found, MergeTally(problems=tuple(problems)))
    if tally.problems:
        raise JobError(f"the merged model is not base plus adapter: {_some(tally.problems)}")
    return _report(tally)


def _report(tally: MergeTally) -> MergeReport:
    return MergeReport(
        tensors=tally.tensors,
        adapted=tally.adapted,
        values=tally.values,
        largest_ulp=int(tally.either_way > 0),
        either_way=tally.either_way,
        moved=math.sqrt(tally.move_square / tally.base_square) if tally.base_square else 0.0,
        changed=tally.changed_values / max(1, tally.adapted_values),
    )


def _some(problems: tuple[str, ...]) -> str:
    more = f"; and {len(problems) - MOST_NAMED} more" if len(problems) > MOST_NAMED else ""
    return "; ".join(problems[:MOST_NAMED]) + more


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """The tensors of a model by plain name.

    Raises JobError if it is incomplete or two tensors share a name, EnvironmentMissing if its index cannot be read.
    """
    named: dict[str, Tensor] = {}
    for name, tensor in tensors_in(folder / file for file in weight_files(folder)).items():
        if plain_name(name) in named:
            raise JobError(f"{folder} holds both {named[plain_name(name)].name} and {name}, which cannot be told apart")
        named[plain_name(name)] = tensor
    return named


def ties_embeddings(folder: Path) -> bool:
    """Whether a model's head is its token embedding, according to its config.json."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config") or {}
    return bool(config.get("tie_word_embeddings", text.get("tie_word_embeddings", False)))


def untie(folder: Path) -> None:
    """Records in a merged model's config.json that head and token embedding are no longer one, if one was trained.

    The merge then writes both tensors but leaves the base's setting that they are tied: vLLM would drop the head.
    """
    if not ties_embeddings(folder) or not {HEAD, EMBEDDING} <= read_tensors(folder).keys():
        return
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"tie_word_embeddings": False}
    if "tie_word_embeddings" in config.get("text_config", {}):
        config["text_config"]["tie_word_embeddings"] = False
    path.write_text(
        json.dumps(config, ensure_ascii=False, indent=2) + "\n", encoding="utf-8", errors="backslashreplace"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Merge:
    """The tensors of base, adapter and merged model, by plain name; a head missing in one model is its token embedding.

    `shared` says that head and embedding were trained as one.
    """

    base: Mapping[str, Tensor]
    merged: Mapping[str, Tensor]
    adapter: AdapterWeights = field(repr=False)
    shared: bool

    @classmethod
    def of(cls, base: Path, adapter: AdapterWeights, merged: Path) -> Self:
        theirs, found = read_tensors(base), read_tensors(merged)
        base_ties, merged_ties = ties_embeddings(base), ties_embeddings(merged)
        has_head = HEAD in found or HEAD in adapter.saved or not merged_ties
        if base_ties and EMBEDDING in theirs and has_head:
            theirs = {HEAD: theirs[EMBEDDING]} | theirs
        if merged_ties and EMBEDDING in found and HEAD in theirs:
            found = {HEAD: found[EMBEDDING]} | found
        shared = base_ties and bool(adapter.settings.get("ensure_weight_tying"))
        return cls(base=theirs, merged=found, adapter=adapter, shared=shared)

    def missing(self) -> Iterator[str]:
        for name in self.base.keys() - self.merged.keys():
            if not name.startswith(UNREAD[0]) and not name.endswith(UNREAD[1]):
                yield f"{self.base[name].name} is missing"

    def unasked(self) -> Iterator[str]:
        for name in self.merged.keys() - self.base.keys():
            yield f"{self.merged[name].name} is in it, but not in the base"

    def unapplied(self) -> Iterator[str]:
        """What the adapter trained that does not exist in the base."""
        trained = {f"{module}.weight" for module in self.adapter.modules} | self.adapter.saved.keys()
        for name in trained - self.base.keys():
            yield f"the adapter trained {name}, which the base does not have"

    def names(self) -> list[str]:
        """The names in both models, the largest tensor first, so that no thread is left with a large one at the end."""
        common = self.base.keys() & self.merged.keys()
        return sorted(common, key=lambda name: -self.base[name].rows * self.base[name].row_values)

    def compare(self, name: str, *, stop: threading.Event) -> MergeTally:
        base, merged = self.base[name], self.merged[name]
        wrong = _wrong_form(base, merged)
        if wrong:
            return MergeTally(problems=(f"{merged.name} {wrong}",))
        if base.dtype not in FLOATS:
            same = all(np.array_equal(base.read(*rows), merged.read(*rows)) for rows in _slices(base))
            problem = () if same else (f"{merged.name} is not the base's",)
            return MergeTally(tensors=1, values=base.rows * base.row_values, problems=problem)
        return _compare(base, merged, self._change(name, base), stop)

    def _change(self, name: str, base: Tensor) -> WeightDelta | None:
        trained = EMBEDDING if name == HEAD and self.shared and HEAD not in self.adapter.saved else name
        module, _, kind = trained.rpartition(".")
        saved = self.adapter.saved.get(trained)
        low_rank, bias = None, None
        if kind == "weight" and module in self.adapter.modules:
            low_rank = self.adapter.low_rank(module, base.shape)
        if kind == "bias" and module in self.adapter.modules:
            bias = self.adapter.bias(module)
        if saved is None and low_rank is None and bias is None:
            return None
        return WeightDelta(saved=saved, low_rank=low_rank, bias=bias)


def _wrong_form(base: Tensor, merged: Tensor) -> str:
    if merged.shape != base.shape:
        return f"has the shape {merged.shape}, not {base.shape}"
    expected = "BF16" if base.dtype in FLOATS else base.dtype
    return "" if merged.dtype == expected else f"is of type {merged.dtype}, not {expected}"


def _slices(tensor: Tensor, *, values: int = SLICE_VALUES) -> Iterator[tuple[int, int]]:
    step = max(1, values // max(1, tensor.row_values))
    for first in range(0, tensor.rows, step):
        yield first, min(first + step, tensor.rows)


def _compare(base: Tensor, merged: Tensor, change: WeightDelta | None, stop: threading.Event) -> MergeTally:
    tally = MergeTally(tensors=1, adapted=int(change is not None))
    for first, last in _slices(base, values=SLICE_VALUES if change is None else PRODUCT_VALUES):
        if stop.is_set():
            break
        tally += _compare_rows(base, merged, change, first, last)
        if tally.problems:
            break
    return tally


def _compare_rows(base: Tensor, merged: Tensor, change: WeightDelta | None, first: int, last: int) -> MergeTally:
    start = base.read(first, last) if base.dtype == "BF16" else rounded(base.read_float32(first, last))
    found = merged.read(first, last)
    if change is None:
        either_way, wrong = 0, "" if np.array_equal(start, found) else _unlike(start, found)
        return MergeTally(values=found.size, problems=(f"{merged.name} {wrong}",) if wrong else ())
    before = to_float32(start)
    expected = change.apply(before, first)
    either_way, wrong = deviation(expected, found)
    move = expected.values - before
    if wrong:
        return MergeTally(problems=(f"{merged.name} {wrong}{_share(move, to_float32(found) - before)}",))
    return MergeTally(
        values=found.size,
        adapted_values=found.size,
        changed_values=int(np.count_nonzero(start != found)),
        either_way=either_way,
        base_square=_square(before),
        move_square=_square(move),
    )


def _unlike(start: Bits, found: Bits) -> str:
    steps = ulps_between(start, found)
    return (
        f"is not the base's, though the adapter leaves it alone: {np.count_nonzero(steps)} of {found.size} values "
        f"differ, by up to {steps.max()} units in the last place"
    )


def _share(move: NDArray[np.float32], moved: NDArray[np.float32]) -> str:
    """How much of the adapter's update is in the model, if that can be computed: 0 if missing, 2 if applied twice."""
    size = _square(move)
    if not size:
        return ""
    return f"; it holds {float(np.vdot(move, moved)) / size:.2f} times what the adapter adds"


def _square(values: NDArray[np.float32]) -> float:
    return float(np.vdot(values, values))
