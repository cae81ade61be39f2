"""``headgate prompts``: what there is, what it renders to, and which version a label names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_core.errors import ConfigurationError
from headgate_core.plugins import unknown
from headgate_core.settings.load import find_config, load_settings

if TYPE_CHECKING:
    from headgate_gateway.prompts.prompt import Prompt, Rendered
    from headgate_gateway.prompts.registry import Prompts

prompts = typer.Typer(
    help="Prompts: list them, see what they render to, move their labels.", no_args_is_help=True
)

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="gateway.yaml; else HEADGATE_CONFIG, else configs/."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(prompts, name="prompts")


@prompts.command("list")
def list_prompts(config: Config = None, as_json: AsJson = False) -> None:
    """List all prompts: the file's version, and the version of each label."""
    with _opened(config) as registry:
        rows = [_row(registry, registry.file(name)) for name in registry.names()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        typer.echo(f"There are no prompts in {registry.folder}.")
    for row in rows:
        labels = "".join(f"  @{label} {version}" for label, version in row["labels"].items())
        typer.echo(f"{row['name']}  @file {row['file']}{labels}")
        if row["description"] or row["owner"]:
            owner = f" ({row['owner']})" if row["owner"] else ""
            typer.echo(f"    {row['description']}{owner}")


@prompts.command()
def show(
    prompt: Annotated[str, typer.Argument(help="NAME, NAME@LABEL or NAME@VERSION.")],
    example: Annotated[
        str | None, typer.Option(help="Only the example of this name; else all of them.")
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what a prompt renders to with its own examples. NAME alone means the file."""
    reference = prompt if "@" in prompt else f"{prompt}@file"
    with _opened(config) as registry:
        found = registry.resolve(reference, seed=False)
    rendered = {one.name: found.example(one) for one in found.settings.examples}
    if example is not None:
        if example not in rendered:
            raise ConfigurationError(unknown("example", example, tuple(rendered)))
        rendered = {example: rendered[example]}
    if as_json:
        typer.echo(json.dumps(_as_json(found, rendered), indent=2))
    else:
        _print(found, rendered)


@prompts.command()
def label(
    name: Annotated[str, typer.Argument(help="The prompt's name.")],
    label: Annotated[str, typer.Argument(help="The label to move, e.g. production.")],
    version: Annotated[str, typer.Argument(help="`file`, another label, or a version.")],
    config: Config = None,
) -> None:
    """Let a label name another version; a running gateway follows at its next reload."""
    with _opened(config) as registry:
        before = {row.label: row.version for row in registry.labels(name)}.get(label, "nothing")
        after = registry.set_label(name, label, version, "command line")
    typer.echo(f"{name}@{label}: {before} -> {after}")
    typer.echo("A running gateway follows at its next reload: kill -HUP its process id.", err=True)


class _opened:  # used like a function
    """The registry of a configuration, with its store open."""

    def __init__(self, config: Path | None) -> None:
        self._settings = load_settings(find_config(config))

    def __enter__(self) -> Prompts:
        from headgate_core.store import Store
        from headgate_gateway.prompts.registry import Prompts

        self._store = Store.open(self._settings.store.url)
        return Prompts(self._settings.folder / "prompts", self._store)

    def __exit__(self, *_: object) -> None:
        self._store.close()


def _row(registry: Prompts, prompt: Prompt) -> dict[str, Any]:
    return {
        "name": prompt.name,
        "description": prompt.settings.description,
        "owner": prompt.settings.owner,
        "file": prompt.version,
        "labels": {row.label: row.version for row in registry.labels(prompt.name)},
    }


def _as_json(prompt: Prompt, rendered: dict[str, Rendered]) -> dict[str, Any]:
    examples = {
        name: {"messages": one.messages, "parameters": one.parameters, "trimmed": one.trimmed}
        for name, one in rendered.items()
    }
    return {"name": prompt.name, "version": prompt.version, "examples": examples}


def _print(prompt: Prompt, rendered: dict[str, Rendered]) -> None:
    typer.secho(f"{prompt.name}@{prompt.version}", bold=True)
    for name, spec in prompt.settings.inputs.items():
        origin = f" from {spec.from_}" if spec.from_ else ""
        default = "" if spec.default is None else f", default {spec.default}"
        typer.echo(f"  input {name}: {spec.type}{origin}{default}")
    if not rendered:
        typer.echo("It has no examples; add some under `examples` to see it rendered.")
    for name, one in rendered.items():
        typer.secho(f"\nexample: {name}", bold=True)
        for message in one.messages:
            typer.secho(f"--- {message['role']}", dim=True)
            typer.echo(message["content"])
        for cut in one.trimmed:
            typer.echo(f"({cut})")
