"""``headgate eval run``: one suite, one verdict, one exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate_core.errors import ConfigurationError, HeadgateError, ServiceError

if TYPE_CHECKING:
    from headgate_core.settings.gateway import GatewaySettings
    from headgate_evals.cases import Suite
    from headgate_evals.results import CaseResult, Run


INTERRUPTED = 130
PLAIN_WIDTH = 140
"""Columns of the tables where the output goes to a file or a pipe."""


class RunFailed(ServiceError):
    """The run could not be carried through for reasons that are not the suite's."""

    exit_code = 3


def run(  # noqa: PLR0913 - each is an option of the command line
    suite: Annotated[
        str, typer.Argument(help="NAME of evals/NAME.yaml beside gateway.yaml, or a path.")
    ],
    config: Annotated[str | None, typer.Option("--config", help="Path of gateway.yaml.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole run as one JSON document.")
    ] = False,
    output: Annotated[
        list[Path] | None,
        typer.Option(help="Also write a report: FILE.json, FILE.junit.xml, FILE.md. Repeatable."),
    ] = None,
    first_n: Annotated[
        int | None, typer.Option("--first-n", min=1, help="Run the first N cases alone.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Run N cases drawn by the suite's seed.")
    ] = None,
    repeat: Annotated[
        int | None, typer.Option(min=1, max=100, help="Repeats of each case, over the suite's.")
    ] = None,
) -> None:
    """Run a suite through the same compiled route that serves, and judge it by its gates.

    Exit codes: 0 all gates passed, 1 a gate failed, 2 usage or configuration,
    3 incomplete (calls that failed, too little scored), 4 budget exhausted, 130 interrupted.
    """
    seen: list[CaseResult] = []
    with _saying_interrupted(seen):
        from headgate_core.settings.load import find_config, load_settings
        from headgate_evals.cases import find_suite, load_suite
        from headgate_evals.report import files

        config_file = find_config(config)
        chosen = load_suite(find_suite(suite, config_file)).chosen(first_n, sample, repeat)
        settings = load_settings(config_file)
        _check_route(settings, chosen)
        for path in output or ():
            files.check(path)
        with _progress(len(chosen.cases) * chosen.settings.repeats, seen) as on_result:
            done = asyncio.run(_run(settings, chosen, on_result))
        for path in output or ():
            files.write(done, path)
        _print(done, as_json)
        raise typer.Exit(done.exit_code)


@contextmanager
def _saying_interrupted(seen: list[CaseResult]) -> Iterator[None]:
    """Ctrl+C where no report can follow: one line that says so, and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        when = f"after {len(seen)} calls" if seen else "before any case ran"
        typer.echo(f"headgate: interrupted {when}; there is no report.", err=True)
        raise typer.Exit(INTERRUPTED) from None


async def _run(
    settings: GatewaySettings, suite: Suite, on_result: Callable[[CaseResult], None]
) -> Run:
    from headgate_evals.runner import Runner
    from headgate_gateway.build import Gateway

    try:
        gateway = await Gateway.open(settings, source="eval")
        try:
            return await Runner(gateway, suite, on_result).run()
        finally:
            await gateway.close()
    except ConfigurationError:
        raise
    except HeadgateError as error:
        raise RunFailed(f"The run could not be finished: {error.message}") from error


def _check_route(settings: GatewaySettings, suite: Suite) -> None:
    from headgate_core.plugins import unknown

    names = [name for route in settings.routes for name in (route.name, *route.aliases)]
    names += [pool.name for pool in settings.pools]
    route = suite.settings.run.route
    if route not in names:
        raise ConfigurationError(f"{suite.path}: run: {unknown('route', route, names)}")


def _print(done: Run, as_json: bool) -> None:
    from headgate_evals.report.files import json_text
    from headgate_evals.report.terminal import print_run

    if as_json:
        typer.echo(json_text(done), nl=False)
        return
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    print_run(done, console)


@contextmanager
def _progress(calls: int, seen: list[CaseResult]) -> Iterator[Callable[[CaseResult], None]]:
    """A bar on standard error at a terminal, nothing elsewhere; ``seen`` gets each result."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield seen.append
        return
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("cases", total=calls)

        def show(result: CaseResult) -> None:
            seen.append(result)
            progress.advance(task)

        yield show
