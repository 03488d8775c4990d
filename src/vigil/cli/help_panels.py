"""The `--help` of a command in plain text, with long lists of options divided into headed groups."""

from typing import Any

import typer
import typer.core

ARGUMENTS, OPTIONS = "Arguments", "Options"
MAX_WIDTH = 100
"""The widest help text, in columns; a narrower terminal gets a narrower one."""


class PanelCommand(typer.core.TyperCommand):
    """A command whose help lists each option under the heading of its `rich_help_panel`, else under `Options`.

    Typer draws panels only with Rich markup, in boxes that spoil copying from a terminal.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the command line; what Typer itself says of a value comes without the name of its exception."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the arguments, then the groups of options in the order in which the command declares them."""
        sections: dict[str, list[tuple[str, str]]] = {ARGUMENTS: []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            name, text = record
            if _is_argument(param):  # `PATH <list[Path]>`: the type is nothing to a reader of the help
                name = name.partition(" <")[0]
            sections.setdefault(_heading(param), []).append((name, text))
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _heading(param: Any) -> str:
    if _is_argument(param):
        return ARGUMENTS
    return param.rich_help_panel or OPTIONS if isinstance(param, typer.core.TyperOption) else OPTIONS


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def command_group(summary: str, *, example: str) -> typer.Typer:
    """A Typer app for commands that belong together, such as `vigil events ...`."""
    text = f"{summary}\n\nExample: {example}"
    return typer.Typer(help=text, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
