"""Runs on the serving environment's Python: vLLM's web application with the routes of every task, and no model.

    VLLM_API_KEY=KEY PYTHONPATH=src/vigil/serving_env .venv-serve/bin/python tests/e2e/vllm_routes.py PORT

It prints the routes as one line of JSON, then serves them until its input ends, behind the middleware of `vllm.sh`.
"""

import asyncio
import json
import sys
import typing
from typing import Any

import uvicorn
from vllm.entrypoints.launchers.app import build_app
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.tasks import SupportedTask
from vllm.utils.argparse_utils import FlexibleArgumentParser


def every_task(kind: Any) -> set[str]:
    """The names in nested unions of literals."""
    inner = typing.get_args(kind)
    return set().union(*(every_task(part) if typing.get_args(part) else {part} for part in inner))


def routes_of(application: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Method and path of each route; a web socket's method is WS, that of a mounted application GET."""
    found = []
    for route in application.routes:
        path = prefix + getattr(route, "path", "")
        kind = type(route).__name__
        if "WebSocket" in kind:
            found.append(("WS", path))
        elif kind == "Mount":
            found.append(("GET", path))
        else:
            found += [(method, path) for method in sorted(getattr(route, "methods", None) or {"GET"})]
    return found


async def serve(application: Any, port: int) -> None:
    settings = uvicorn.Config(application, host="127.0.0.1", port=port, lifespan="off", log_level="warning")
    server = uvicorn.Server(settings)
    serving = asyncio.create_task(server.serve())
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    parser = make_arg_parser(FlexibleArgumentParser())
    arguments = parser.parse_args(["--model", "none", "--middleware", "vigil_front.Front"])
    built = build_app(arguments, tuple(sorted(every_task(SupportedTask))))
    print(json.dumps(routes_of(built)), flush=True)
    asyncio.run(serve(built, int(sys.argv[1])))
