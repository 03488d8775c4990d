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
        Path | None,
        typer.Argument(
            metavar="ADAPTER", help="Folder of the adapter. Default: the last one trained under saves/ or outputs/."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Folder of the new model. Default: models/ADAPTER.")
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            "--base", metavar="FOLDER", help="Folder of the base model. Default: where it was during the training."
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check", help="Compare every merged weight with base plus adapter, and run the model once."
        ),
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check that the merge is possible and print its folder; merge nothing.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing model in --out.")] = False,
) -> None:
    """Merge an adapter into its base model (bfloat16) and verify the result.

    Example: vigil export saves/tiny_lora --out models/tiny
    """
    plan = plan_export(adapter, out=out, base=base, force=force, check=check)
    if plan.unservable:
        log.info("vLLM cannot serve %s unmerged (%s); merged, it can", plan.adapter, "; ".join(plan.unservable))
    if dry_run:
        typer.echo(plan.out)
        return
    if plan.done and (plan.checked or not check):
        log.info("%s is already the merge of %s; --force merges again", plan.out, plan.adapter)
    else:
        did = "%s is already merged into %s, but was not checked" if plan.done else "merging %s into %s"
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
