"""``headgate eval list``: the suites beside the gateway's configuration."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def list_suites(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: Annotated[str | None, typer.Option("--config", help="Path of gateway.yaml.")] = None,
) -> None:
    """List the suites in evals/ beside gateway.yaml; one that is wrong is an error (exit 2)."""
    from headgate_core.settings.load import find_config
    from headgate_evals.cases import load_suite

    folder = find_config(config).parent / "evals"
    suites = [(file.stem, load_suite(file)) for file in sorted(folder.glob("*.yaml"))]
    rows = [
        {
            "suite": stem,
            "route": suite.settings.run.route,
            "cases": len(suite.cases),
            "description": suite.settings.description,
        }
        for stem, suite in suites
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
    elif not rows:
        typer.echo(f"No suites in {folder}. Write one; docs/evals.md shows how.")
    else:
        for row in rows:
            typer.echo(f"{row['suite']}: {row['cases']} cases on {row['route']}")
            if row["description"]:
                typer.echo(f"  {row['description']}")
