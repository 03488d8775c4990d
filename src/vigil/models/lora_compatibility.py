"""Reasons why an adapter cannot be served, merged or verified, found before anything is started with it.

vLLM rejects some adapters only half a minute after its start, and silently ignores a trained vision tower. A few
adapters cannot be merged correctly, and for some no merge can be verified.
"""

import math
from collections.abc import Iterator, Mapping

from vigil.models.lora_adapter import AdapterWeights, is_embedding
from vigil.models.merge_check import HEAD
from vigil.models.weight_files import Tensor

LANGUAGE = frozenset({"layers", "embed_tokens", "lm_head", "norm"})
"""First parts of the plain module names of a language model."""

LARGEST_RANK = 512
PLAIN_STARTS = frozenset({"gaussian", "eva", "orthogonal", "mica", "lora_ga"})
"""Initialisations that leave the base unchanged; the others (PiSSA, OLoRA, ...) subtract from it what they add."""

KINDS = {
    "alora_invocation_tokens": "an activated LoRA",
    "layer_replication": "replicated layers",
    "use_bdlora": "a block-diagonal LoRA",
    "use_qalora": "QALoRA",
    "trainable_token_indices": "single trained tokens",
    "arrow_config": "Arrow routing",
}
"""peft settings under which an adapter is more than the base plus a product."""


def why_unservable(adapter: AdapterWeights, *, with_tower: bool = False) -> list[str]:
    """The reasons why vLLM cannot serve an adapter beside its base; empty if it can.

    `with_tower` says that vLLM is set to load what was trained outside the language model, too.
    """
    return [*_other_kinds(adapter), *_beyond_vllm(adapter, with_tower=with_tower)]


def why_unmergeable(adapter: AdapterWeights, *, tied: bool) -> list[str]:
    """The reasons why a merged model would differ from base plus adapter; `tied` if it shares head and embedding."""
    if tied and any(is_embedding(module) for module in adapter.modules):
        return ["a LoRA on the token table, which this base shares with its head: merged it would change both"]
    return []


def why_unprovable(adapter: AdapterWeights) -> list[str]:
    """The reasons why a merge of the adapter cannot be verified."""
    reasons = list(_other_kinds(adapter))
    if adapter.settings.get("use_dora") and any(map(is_embedding, adapter.modules)):
        reasons.append("DoRA on a token table")
    if adapter.unknown:
        reasons.append(f"tensors of another kind ({adapter.unknown[0]})")
    return reasons


def why_misfit(adapter: AdapterWeights, base: Mapping[str, Tensor], *, tied: bool) -> str:
    """What an adapter trained that its base does not have, as "trained ..."; "" if everything fits.

    `base` holds tensors by plain name. peft and vLLM ignore such modules silently.
    """
    shapes = {f"{module}.weight": _shape(tensors) for module, tensors in adapter.modules.items()}
    shapes |= {name: _flat(tensor.shape) for name, tensor in adapter.saved.items()}
    for name, shape in shapes.items():
        if name not in base and not (tied and name == HEAD) and ".experts" not in name:
            return f"trained {name}, which the base does not have"
        if name in base and shape not in (_flat(base[name].shape), _flat(base[name].shape)[::-1]):
            return f"trained {name} of {shape[0]} x {shape[1]}, and the base's is {base[name].shape}"
    return ""


def _shape(tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    return tensors["b"].shape[0], _flat(tensors["a"].shape)[1]


def _flat(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[0] if shape else 1, math.prod(shape[1:])


def _other_kinds(adapter: AdapterWeights) -> Iterator[str]:
    kind = str(adapter.settings.get("peft_type", "LORA")).upper()
    if kind != "LORA":
        yield f"an adapter of the kind {kind}, not LoRA"
    start = adapter.settings.get("init_lora_weights", True)
    if isinstance(start, str) and start.lower() not in PLAIN_STARTS:
        yield f"a start of the kind {start}, which changes the base (LLaMA-Factory: train with pissa_convert: true)"
    yield from (name for key, name in KINDS.items() if adapter.settings.get(key))


def _beyond_vllm(adapter: AdapterWeights, *, with_tower: bool) -> Iterator[str]:
    if adapter.settings.get("use_dora"):
        yield "DoRA"
    if adapter.saved or adapter.settings.get("modules_to_save"):
        whole = adapter.settings.get("modules_to_save") or sorted(adapter.saved)[:2]
        yield f"modules trained whole ({', '.join(whole)})"
    if adapter.settings.get("lora_bias") or adapter.settings.get("bias", "none") != "none":
        yield "trained biases"
    if any(map(is_embedding, adapter.modules)):
        yield "a trained token table"
    outside = [module for module in adapter.modules if module.partition(".")[0] not in LANGUAGE]
    if outside and not with_tower:
        yield f"a trained vision tower ({len(outside)} modules, as {outside[0]})"
    if adapter.rank > LARGEST_RANK:
        yield f"rank {adapter.rank}, above its {LARGEST_RANK}"
