"""Builds the vLLM command that serves a model with the conditions it was trained under.

The contract determines frame rate, image sizes, chat template and the contract declared to clients. `configs/serve`
determines memory, context length and concurrency. Options given by the user override both.
"""

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from vigil.environments import Environment
from vigil.errors import UsageError
from vigil.frames import FrameSampling
from vigil.gpus import CUDA_PACKAGES, check_driver
from vigil.judge.endpoint import VLLM_KEY_VARIABLE, ServerKey
from vigil.manifest import Contract
from vigil.models.checkpoint import Checkpoint, LoraAdapter, common_lora_rank
from vigil.models.tokens import window_tokens
from vigil.serving.declared_contracts import CONTRACTS_VARIABLE, declared_contracts
from vigil.serving.media_domains import DOMAINS_FLAG, OPENING_FLAGS, allowed_domains, media_variables, warn_of_openings
from vigil.serving.settings import ServeSettings, is_cpu_build
from vigil.serving.vllm_flags import AUTO, Flags, as_arguments, as_tokens, flags_of, given_flags, given_value, means

INSIDE = Path(__file__).parents[1] / "serving_env"
MIB = 1024 * 1024
FEW_CORES = 2
IN_ONE_PROCESS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1"}
"""Engine and worker in one process: ready in 13 s instead of 19 s, a third more windows per second, 1.7 GiB instead of
2.2. vLLM's CPU build uses two processes in order to pin threads to cores, which is pointless with one thread."""
FORK_ENGINE = "VIGIL_FORK_ENGINE"
RUNTIME_LORA = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"
FRONT = ("--middleware", "vigil_front.Front")
"""The API key check. It is the last middleware given, and therefore the outermost, around any of the user's."""

UNGUARDED = ("--grpc", "--grpc-port")
"""vLLM interfaces that middleware does not protect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServePlan:
    """What to serve, and how; `extra` are the user's own vLLM options.

    `contracts` is the file of the contracts declared to clients; with `alias` the model list declares them too.
    """

    model: Checkpoint
    name: str
    contract: Contract | None
    sampling: FrameSampling
    settings: ServeSettings
    adapters: tuple[LoraAdapter, ...] = ()
    template: Path | None = None
    contracts: Path | None = None
    alias: bool = False
    extra: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The served names of the model: its own and, with `alias`, its encoded contract."""
        return (self.name, self.contract.alias) if self.alias and self.contract else (self.name,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerCommand:
    """A process to start: its arguments, and the environment variables to add."""

    argv: tuple[str, ...]
    variables: Mapping[str, str]


def serve_command(plan: ServePlan, server: Environment, key: ServerKey) -> ServerCommand:
    """Returns the command that serves a plan; raises UsageError for unsafe options or a context that is too short."""
    others = flags_of(plan.settings.vllm)
    given = given_flags(plan.extra)
    check_doors({*given, *others})
    check_processes(plan)
    check_context_fits(plan)
    warn_of_openings(plan.settings.media_domains, [flag for flag in OPENING_FLAGS if means(flag, {*given, *others})])
    cpu = is_cpu_build(server)
    flags = _place(plan) | _limits(plan, cpu=cpu) | _pictures(plan) | _adapters(plan)
    flags |= dict(plan.model.family.serving_flags) | others
    kept = {flag: values for flag, values in flags.items() if flag not in given}
    argv = (str(server.program("python")), str(INSIDE / "vigil_server.py"), *as_arguments(kept), *plan.extra, *FRONT)
    return ServerCommand(argv=argv, variables=_variables(plan, key, cpu=cpu))


def check_gpus(server: Environment) -> None:
    """Raises EnvironmentMissing if the GPU driver is too old for vLLM's CUDA build."""
    if not is_cpu_build(server):
        without = "serve without the GPU: VIGIL_SERVE=cpu scripts/setup.sh serve"
        check_driver(server.versions(CUDA_PACKAGES), instead=without)


def check_doors(given: Collection[str]) -> None:
    """Raises UsageError for a flag that exposes the key or opens an interface without authentication."""
    if means("--api-key", given):
        raise UsageError("a key on the command line is seen by everybody who runs ps; use $VIGIL_API_KEY or --key-file")
    if unguarded := [flag for flag in UNGUARDED if means(flag, given)]:
        raise UsageError(f"{unguarded[0]} answers without asking for the key; leave it out, and serve over HTTP")


def web_processes(plan: ServePlan) -> int:
    """Returns the number of vLLM's API server processes: as configured, else one per replica."""
    flags = ("--api-server-count", "--data-parallel-size")
    values = [
        given_value(plan.extra, flag) or given_value(as_arguments(flags_of(plan.settings.vllm)), flag) for flag in flags
    ]
    return next((count for count in map(as_tokens, values) if count), 1)


def check_processes(plan: ServePlan) -> None:
    """Raises UsageError for several API server processes if adapters can be loaded at run time, into only one."""
    count = web_processes(plan)
    if count > 1 and os.environ.get(RUNTIME_LORA, "0").strip().lower() in {"1", "true"}:
        raise UsageError(
            f"${RUNTIME_LORA} and {count} web processes exclude each other in vLLM: an adapter would be loaded into "
            "one of them only; serve with --api-server-count 1 (and --renderer-num-workers 4, threads that read "
            "pictures), or unset the variable and name adapters with --lora"
        )


def check_context_fits(plan: ServePlan) -> None:
    """Raises UsageError if the context is too short for a window and its question, or exceeds the model's."""
    length = context_tokens(plan)
    question = "" if plan.contract is None else plan.contract.question
    needed = window_tokens(plan.model.family, plan.sampling, question)
    if needed > length:
        raise UsageError(
            f"a window needs about {needed} tokens ({plan.sampling.frames} frames of up to {plan.sampling.max_pixels} "
            f"pixels, and the question), and the context has {length}; serve with "
            f"--max-model-len {needed + 256} or more"
        )
    if 0 < plan.model.max_positions < length:
        raise UsageError(
            f"{plan.model.path} reads {plan.model.max_positions} tokens at most, not --max-model-len {length}"
        )


def context_tokens(plan: ServePlan) -> int:
    """Returns the context length in tokens: the user's, else that of the settings, limited by the model's."""
    given = given_value(plan.extra, "--max-model-len")
    all_that_it_reads = plan.model.max_positions if given in AUTO else None
    return as_tokens(given) or all_that_it_reads or _context(plan)


def _place(plan: ServePlan) -> Flags:
    return {
        "--model": (str(plan.model.path),),
        "--served-model-name": plan.names,
        "--host": (plan.settings.host,),
        "--port": (str(plan.settings.port),),
        DOMAINS_FLAG: allowed_domains(plan.settings.media_domains),
        "--disable-uvicorn-access-log": (),
    }


def _limits(plan: ServePlan, *, cpu: bool) -> Flags:
    settings = plan.settings
    flags: Flags = {
        "--max-model-len": (str(_context(plan)),),
        "--max-num-seqs": (str(settings.max_num_seqs),),
        "--dtype": (settings.dtype,),
        "--mm-processor-cache-gb": (f"{settings.mm_processor_cache_gb:g}",),
        # A model's generation_config.json may enable sampling, repetition penalties or early stops; a judge must not.
        "--generation-config": ("vllm",),
        # JSON without white space: where it is allowed, a model may write nothing else until its answer is cut off.
        "--structured-outputs-config": (json.dumps({"backend": "xgrammar", "disable_any_whitespace": True}),),
    }
    if settings.enforce_eager:
        flags["--enforce-eager"] = ()
    if cpu:
        # The CPU build does not need the profile, and compiling it would process a video as long as the context.
        flags["--skip-mm-profiling"] = ()
    if settings.gpu_memory_utilization is not None and not cpu:
        flags["--gpu-memory-utilization"] = (f"{settings.gpu_memory_utilization:g}",)
    if settings.kv_cache_tokens is not None and plan.model.kv_bytes_per_token:
        tokens = max(settings.kv_cache_tokens, _context(plan))
        bytes_per_token = plan.model.kv_bytes_per_token * (2 if settings.dtype == "float32" else 1)
        mebibytes = -(-tokens * bytes_per_token // MIB)
        flags["--kv-cache-memory-bytes"] = (str(mebibytes * MIB),)
    return flags


def _context(plan: ServePlan) -> int:
    return min(plan.settings.max_model_len, plan.model.max_positions or plan.settings.max_model_len)


def _pictures(plan: ServePlan) -> Flags:
    """Image settings: as in training, and limited so that start-up does not profile a 16-megapixel image."""
    sampling, settings, family = plan.sampling, plan.settings, plan.model.family
    sizes = {
        "videos_kwargs": {"size": family.video_size(context_tokens(plan))},
        "images_kwargs": {"size": family.image_size(max(settings.image_max_pixels, sampling.max_pixels))},
    }
    # -1: use every frame that is sent. The default of 32 silently drops the rest.
    media = {"video": {"fps": sampling.fps, "num_frames": -1}}
    flags: Flags = {
        "--media-io-kwargs": (json.dumps(media),),
        "--mm-processor-kwargs": (json.dumps(sizes),),
        "--limit-mm-per-prompt": (json.dumps({"image": settings.images, "video": settings.videos}),),
    }
    if plan.template is not None:
        flags["--chat-template"] = (str(plan.template),)
    return flags


def _adapters(plan: ServePlan) -> Flags:
    if not plan.adapters:
        return {}
    named = [(adapter.name, adapter.path) for adapter in plan.adapters]
    if plan.alias:
        contracts = declared_contracts(plan.name, plan.contract, plan.sampling, plan.adapters)
        declared = [(adapter, contracts[adapter.name]) for adapter in plan.adapters]
        named += [(contract.alias_for(adapter.name), adapter.path) for adapter, contract in declared if contract]
    # As JSON, because the contract's alias contains equals signs.
    modules = [json.dumps({"name": name, "path": str(path)}) for name, path in dict.fromkeys(named)]
    return {
        "--enable-lora": (),
        "--max-loras": (str(len(plan.adapters)),),
        "--max-lora-rank": (str(common_lora_rank(plan.adapters)),),
        "--lora-modules": tuple(modules),
    }


def _variables(plan: ServePlan, key: ServerKey, *, cpu: bool) -> dict[str, str]:
    variables = {
        VLLM_KEY_VARIABLE: key.value,
        "PYTHONPATH": str(INSIDE),
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_USE_RUST_FRONTEND": "0",  # it has no middleware, hence no key check
        **media_variables(),
        **({} if plan.contracts is None else {CONTRACTS_VARIABLE: str(plan.contracts)}),
    }
    if cpu and plan.settings.enforce_eager:
        # Otherwise the first request for log probabilities compiles a small function, which takes six seconds and
        # needs a C++ compiler that may be missing.
        variables["TORCHDYNAMO_DISABLE"] = "1"
    # On two cores vLLM reserves one for itself and computes with one thread.
    if cpu and (os.cpu_count() or 1) <= FEW_CORES and web_processes(plan) == 1:
        variables |= {name: os.environ.get(name, value) for name, value in IN_ONE_PROCESS.items()}
        if IN_ONE_PROCESS.items() <= variables.items():
            variables[FORK_ENGINE] = "1"
    return variables
