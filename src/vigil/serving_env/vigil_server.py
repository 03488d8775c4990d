"""vLLM's server as a process that ends with its parent. Runs in vLLM's environment, without Vigil.

    python vigil_server.py --model DIR [any flag of `vllm serve`]

It differs from `vllm serve` in three ways. The main module imports nothing, so the engine and its worker, which import
it again, do not each load the whole web server (ready in 17 s instead of 22 s on two cores). If `VIGIL_FORK_ENGINE` is
set, the engine is a fork of the web server and imports nothing again. If `VIGIL_PARENT_PIPE` names an inherited pipe,
its end means that the parent is gone, for whatever reason: this process then stops its whole group, so that none of
vLLM's up to three processes is left behind. A forked engine also ends if the web server is killed.
"""

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time

PARENT_PIPE = "VIGIL_PARENT_PIPE"
FORK_ENGINE = "VIGIL_FORK_ENGINE"
GRACE_S = 10.0
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serves until it is stopped."""
    if pipe := os.environ.pop(PARENT_PIPE, ""):
        threading.Thread(target=_end_with_parent, args=(int(pipe),), daemon=True).start()
    gc.disable()  # loaded modules are permanent: without garbage collection they load in four fifths of the time
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.entrypoints.serve.utils.api_utils import cli_env_setup
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    cli_env_setup()
    if os.environ.get(FORK_ENGINE):
        _fork_engine()
    args = make_arg_parser(FlexibleArgumentParser(prog="vllm serve")).parse_args(sys.argv[1:])
    validate_parsed_serve_args(args)
    gc.freeze()
    gc.enable()
    ServeSubcommand.cmd(args)


def _fork_engine() -> None:
    """Makes vLLM fork its engine, as it does before a GPU; its CPU platform spawns it, because of OpenMP's threads.

    Only for a server that computes with one thread: then OpenMP has no threads that a fork would lose.
    """
    from vllm.v1.engine import utils

    utils.get_mp_context = lambda: multiprocessing.get_context("fork")
    os.register_at_fork(after_in_child=_end_when_server_is_killed)


def _end_when_server_is_killed() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with_parent(pipe: int) -> None:
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
