"""Lets LLaMA-Factory train with several processes on a machine without GPUs; put this folder on PYTHONPATH.

Without a GPU LLaMA-Factory takes every CPU for a device and asks Ray for ten CPUs for each, which no machine can give:
here every worker is content with one. DeepSpeed compiles an exchange through shared memory for CPUs, in every process
anew: here the processes exchange over gloo. Nothing else of either is touched.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads a module and then changes it."""

    spec: importlib.machinery.ModuleSpec

    def __init__(self, name: str, change: Callable[[Any], None]) -> None:
        self.name = name
        self.change = change

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        found = importlib.util.find_spec(fullname)
        assert found is not None
        self.spec = found
        return importlib.machinery.ModuleSpec(fullname, self, origin=found.origin)

    def exec_module(self, module: ModuleType) -> None:
        assert self.spec.loader is not None
        self.spec.loader.exec_module(module)
        self.change(module)


def _ask_for_less(tuner: Any) -> None:
    from ray.util.placement_group import placement_group

    ask = tuner.get_ray_remote_config_for_worker
    tuner.get_placement_group = lambda count: (placement_group([{"CPU": 1}] * count, strategy="PACK"), {"CPU": 1})
    tuner.get_ray_remote_config_for_worker = lambda **words: ask(**words) | {"num_cpus": 1}


def _compile_nothing(comm: Any) -> None:
    comm.build_shm_op = lambda: None


sys.meta_path.insert(0, Changed("llamafactory.train.tuner", _ask_for_less))
sys.meta_path.insert(0, Changed("deepspeed.comm.torch", _compile_nothing))
