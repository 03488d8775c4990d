"""The subcommands of `vigil`, each imported only when it is run, so that help and mistakes are answered at once."""

from importlib import import_module
from typing import Any

import typer
import typer.core
import typer.main

from vigil.cli.help_panels import PanelCommand
from vigil.environments import gc_frozen
from vigil.errors import JobError

SUMMARIES = {
    "synth": "Draw sample clips of fights and everyday scenes.",
    "dataset": "Build, import, check, preview and annotate a dataset.",
    "download": "Download a base model and record its digests.",
    "train": "Train an adapter with LLaMA-Factory; resume if interrupted.",
    "export": "Merge an adapter into its base model and check the result.",
    "serve": "Serve a model folder over an OpenAI-compatible endpoint.",
    "compose": "Compose one long video with incidents at known times.",
    "parity": "Check that a server reads windows exactly as training did.",
    "gate": "Measure what the gate before the model skips and loses.",
    "score": "Score a served model on labelled clips or long videos.",
    "timeline": "List who does what in a film, with seconds.",
    "tune-question": "Find the wording of a question that a model answers best.",
    "watch": "Watch sources and report events.",
    "web": "Serve the web pages: chat, analysis, watch room and review.",
    "service": "Watch cameras and serve the REST and event API.",
    "calibrate": "Calibrate a model's probabilities on clips it has not seen.",
    "events": "List, show, mark, export and delete recorded events.",
    "ask": "Answer a question from recorded events and observations.",
    "report": "Report a day or a shift: events, marks, outages.",
    "alerts": "List deliveries of alerts, send them again, test a sink.",
    "cameras": "List, rename and move the cameras of a store.",
    "users": "Add, list, change and remove the users of pages and service.",
    "keys": "Make, list and revoke keys by which programs use the service.",
}
"""One line per command, in the usual order of work. Each is a module of that name in this package, with `_` for `-`."""


class LazyGroup(typer.core.TyperGroup):
    """The group of all commands; imports only the command that is run."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: dict[str, Any] = dict.fromkeys(SUMMARIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Returns the command of this name, or None."""
        if cmd_name in SUMMARIES and self.commands[cmd_name] is None:
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands.get(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; raises JobError if Ctrl-C ends one that does not handle it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise JobError("stopped") from interrupt

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))


def module_of(name: str) -> str:
    """The module of a command."""
    return f"vigil.cli.{name.replace('-', '_')}"


def _load(name: str) -> Any:
    module_name = module_of(name)
    function = module_name.rpartition(".")[2]
    with gc_frozen():
        module = import_module(module_name)
    if hasattr(module, "app"):
        return _named(typer.main.get_command(module.app), name)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=PanelCommand, context_settings=getattr(module, "PASS_THROUGH", None))(
        getattr(module, function)
    )
    return _named(typer.main.get_command(alone), name)


def _named(command: Any, name: str) -> Any:
    command.name = name
    return command
