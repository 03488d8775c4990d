"""Lets LLaMA-Factory's Ray trainer run on a machine without GPUs; put this folder on PYTHONPATH.

Without a GPU it takes every CPU for a device, and asks ten CPUs for each of them, which no machine can give.
Here every worker is content with one. Nothing else of LLaMA-Factory is touched.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

TUNER = "llamafactory.train.tuner"


class OneCpuAWorker(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads LLaMA-Factory's tuner and then changes how much it asks Ray for."""

    spec: importlib.machinery.ModuleSpec

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != TUNER:
            return None
        sys.meta_path.remove(self)
        found = importlib.util.find_spec(fullname)
        assert found is not None
        self.spec = found
        return importlib.machinery.ModuleSpec(fullname, self, origin=found.origin)

    def exec_module(self, module: ModuleType) -> None:
        assert self.spec.loader is not None
        self.spec.loader.exec_module(module)
        _ask_for_less(module)


def _ask_for_less(tuner: Any) -> None:
    from ray.util.placement_group import placement_group

    ask = tuner.get_ray_remote_config_for_worker
    tuner.get_placement_group = lambda count: (placement_group([{"CPU": 1}] * count, strategy="PACK"), {"CPU": 1})
    tuner.get_ray_remote_config_for_worker = lambda **words: ask(**words) | {"num_cpus": 1}


sys.meta_path.insert(0, OneCpuAWorker())
