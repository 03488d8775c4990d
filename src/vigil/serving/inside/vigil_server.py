"""vLLM's server as a process that ends with the one who started it. Runs in vLLM's environment, without Vigil.

    python vigil_server.py --model DIR [any flag of `vllm serve`]

Two things differ from `vllm serve`. The main module imports nothing, so the engine and its worker, which import it
again, do not load the whole web server each (17 s instead of 22 s to be ready on two cores). And where
`VIGIL_PARENT_PIPE` names an inherited pipe, its end means that the starter is gone, however it went: then this process
stops its whole group. vLLM has three processes, and none may be left behind.
"""

import os
import signal
import sys
import threading
import time

PARENT_PIPE = "VIGIL_PARENT_PIPE"
GRACE_S = 10.0


def main() -> None:
    """Serves until it is told to stop."""
    if pipe := os.environ.pop(PARENT_PIPE, ""):
        threading.Thread(target=_end_with_parent, args=(int(pipe),), daemon=True).start()
    from vllm.entrypoints.cli.serve import ServeSubcommand
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.entrypoints.serve.utils.api_utils import cli_env_setup
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    cli_env_setup()
    args = make_arg_parser(FlexibleArgumentParser(prog="vllm serve")).parse_args(sys.argv[1:])
    validate_parsed_serve_args(args)
    ServeSubcommand.cmd(args)


def _end_with_parent(pipe: int) -> None:
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
