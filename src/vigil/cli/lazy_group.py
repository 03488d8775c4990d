"""The subcommands of `vigil`, each loaded when it is asked for: help and a wrong word are answered at once."""

from importlib import import_module
from typing import Any

import typer
import typer.core
import typer.main

from vigil.environments import gc_frozen
from vigil.errors import JobError

SUMMARIES = {
    "synth": "Draw clips of fights and of everyday scenes to try the road with.",
    "dataset": "Build, import, check, look at and describe a dataset.",
    "download": "Fetch a base model from a hub, at a revision, and record it.",
    "train": "Train an adapter with LLaMA-Factory, or go on with one.",
    "export": "Merge an adapter into its base, and check the folder.",
    "serve": "Serve a model folder over an OpenAI-compatible endpoint.",
    "join": "Join clips into one long video with known incidents.",
    "parity": "Compare what a server is asked with what was trained.",
    "score": "Score a served model on labelled clips or long videos.",
    "watch": "Watch files, folders and cameras, and tell of events.",
    "calibrate": "Fit a model's probabilities on clips it has not seen.",
    "events": "List, show and export what a watch has found.",
    "cameras": "List, rename and move the cameras of a store.",
}
"""One line a command, in the order of the road: each is the module of that name beside this file."""


class LazyGroup(typer.core.TyperGroup):
    """The group of all commands; only the one that is named is imported."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: dict[str, Any] = dict.fromkeys(SUMMARIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; None where there is none."""
        if cmd_name in SUMMARIES and self.commands[cmd_name] is None:
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands.get(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that is named; raises JobError when Ctrl-C ends one that has nothing to say of it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise JobError("stopped") from interrupt

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the list of commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))


def _load(name: str) -> Any:
    with gc_frozen():
        module = import_module(f"vigil.cli.{name}")
    if hasattr(module, "app"):
        return _named(typer.main.get_command(module.app), name)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, context_settings=getattr(module, "PASS_THROUGH", None))(getattr(module, name))
    return _named(typer.main.get_command(alone), name)


def _named(command: Any, name: str) -> Any:
    command.name = name
    return command
