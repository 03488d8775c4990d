"""What the processor of this machine is quick in."""

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
FAST_BFLOAT16 = frozenset({"avx512bw", "avx512_bf16", "amx_bf16", "bf16"})
"""Features of x86 and ARM processors of which one is enough to multiply matrices in bfloat16 quickly."""


def fast_cpu_dtype() -> str:
    """bfloat16 where the processor has instructions for it, else float32, which is then many times as fast."""
    try:
        features = set(CPUINFO.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return "bfloat16"
    return "bfloat16" if features & FAST_BFLOAT16 else "float32"
