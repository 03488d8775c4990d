"""`vigil export`: merges an adapter into a complete model."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from vigil.training.export import export_model as run_export
from vigil.training.export import plan_export

log = logging.getLogger(__name__)


def export(
    adapter: Annotated[
        Path | None, typer.Argument(help="The adapter's folder; by default the newest under saves/ or outputs/.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder of the new model; models/ADAPTER by default.")
    ] = None,
    base: Annotated[
        Path | None, typer.Option("--base", help="The base model, if it has moved since the training.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check", help="Compare every weight with base plus adapter, then run the model once."
        ),
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check whether it can be done; merge nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing model.")] = False,
) -> None:
    """Merge an adapter into its base, in bfloat16, and verify that the result is base plus adapter.

    Example: vigil export saves/tiny_lora --out models/tiny
    """
    plan = plan_export(adapter, out=out, base=base, force=force, check=check)
    if plan.unservable:
        log.info("vLLM does not serve %s as it is (%s); merged it does", plan.adapter, "; ".join(plan.unservable))
    if dry_run:
        typer.echo(plan.out)
        return
    if plan.done and (plan.checked or not check):
        log.info("%s is %s merged already; --force merges again", plan.out, plan.adapter)
    else:
        did = "%s is merged into %s already, but was not checked" if plan.done else "merging %s into %s"
        log.info(did, plan.adapter, plan.base)
        checked = run_export(plan, check=check)
        if checked is None:
            log.info("checked: no, --no-check")
        else:
            log.info("checked: %s", checked.weights)
            log.log(
                logging.INFO if checked.smoke.outcome == "passed" else logging.WARNING, "smoke test %s", checked.smoke
            )
    typer.echo(plan.out)
