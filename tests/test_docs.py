"""The documentation is true: what it shows runs, its YAML parses, its links lead somewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docs_runner as docs
import pytest
import yaml
from demo import ingested_demo
from node import PACKAGES, need_node
from running import Server, serving

from headgate_core.settings import yaml_source
from headgate_core.settings.environment import require_servers
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.load import load_settings
from headgate_core.settings.members import known, strip
from headgate_rag.loaders.markdown import Markdown

RUNNABLE = (*docs.SHELL, "python", "sql")
SCRIPTS = [b for page in docs.PAGES for b in docs.blocks(page) if b.language in docs.JAVASCRIPT]
ADMIN = {"HEADGATE_ADMIN_KEY": "drawn-at-random-for-these-pages"}
YAML = [b for page in docs.PAGES for b in docs.blocks(page) if b.language == "yaml"]
WITH_COMMANDS = [
    page
    for page in docs.PAGES
    if any(b.language in RUNNABLE and not b.file for b in docs.blocks(page))
]


@dataclass
class Place:
    """A working copy of the demo with a server that serves it."""

    folder: Path
    config: Path
    server: Server


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("docs")
    config = ingested_demo(folder, tmp_path_factory)
    (folder / "guardrails").symlink_to(docs.ROOT / "guardrails")  # it has a tool to measure with
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    with serving(config, env=ADMIN) as server:
        yield Place(folder, config, server)


def need_curl(text: str) -> None:
    if "curl " not in text or shutil.which("curl"):
        return
    message = "curl is not installed, which this page uses"
    if require_servers():
        pytest.fail(message)
    pytest.skip(message)


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=docs.name_of)
def test_what_a_page_shows_works_as_it_stands_there(page: Path, place: Place) -> None:
    script = docs.script(page, place.folder)
    need_curl(script)
    for file in place.folder.glob(f"block-{page.stem}-*"):
        file.write_text(file.read_text().replace(docs.DEMO_URL, place.server.url))
    done = subprocess.run(
        ["bash", "-c", script.replace(docs.DEMO_URL, place.server.url)],
        cwd=place.folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HEADGATE_CONFIG": str(place.config),
            **ADMIN,
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("block", SCRIPTS, ids=lambda b: b.where)
def test_a_program_for_node_works_as_it_stands_there(block: docs.Block, place: Place) -> None:
    need_node()
    packages = place.folder / "node_modules"
    if not packages.exists():
        packages.symlink_to(PACKAGES)
    program = place.folder / f"block-{block.page.stem}-{block.line}.mjs"
    program.write_text(block.text.replace(docs.DEMO_URL, place.server.url))
    done = subprocess.run(
        ["node", program.name],
        cwd=place.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert done.stdout.strip(), "a program of the documentation prints what it found"


@pytest.mark.parametrize("block", YAML, ids=lambda b: b.where)
def test_a_yaml_block_is_what_the_configuration_takes(block: docs.Block, tmp_path: Path) -> None:
    data = yaml.safe_load(block.text)
    if block.file or not isinstance(data, dict) or not set(data) <= set(known(GatewaySettings)):
        return  # used by commands of its page, or not a part of gateway.yaml: it parses
    path = tmp_path / "gateway.yaml"
    path.write_text(block.text)
    if {"providers", "pools"} <= set(data):
        load_settings(path)
        return
    document = yaml_source.read(path)
    strip(document, GatewaySettings)
    assert document.problems == []


@pytest.mark.parametrize("page", docs.PAGES, ids=docs.name_of)
def test_links_lead_to_pages_and_headings_that_exist(page: Path) -> None:
    broken = []
    for target in docs.links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            broken.append(f"{target}: no such file")
        elif anchor and anchor not in {h.anchor for h in Markdown().load(file, "").headings}:
            broken.append(f"{target}: no such heading")
    assert broken == []


def test_every_page_is_reachable_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [docs.ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        waiting += [(page.parent / t.partition("#")[0]).resolve() for t in docs.links(page)]
    assert {docs.name_of(p) for p in docs.PAGES} - {docs.name_of(p) for p in seen} == set()


def test_a_command_that_is_only_checked_must_name_what_there_is() -> None:
    assert docs.stand_in("make run") == "true"
    assert docs.stand_in("headgate ask hello") == ""
    with pytest.raises(AssertionError, match="target"):
        docs.stand_in("make coffee")
    with pytest.raises(AssertionError, match="extra"):
        docs.stand_in("pip install 'headgate[coffee]'")


def test_a_command_that_fails_fails_its_page(tmp_path: Path) -> None:
    page = docs.ROOT / "README.md"
    text = "true\nheadgate serve --no-such-option\n"
    block = docs.Block(page, "bash", text, 1)
    steps = "\n".join(["set -e", *docs._steps(block, tmp_path)])
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", steps], env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert "failed: headgate serve --no-such-option" in done.stdout.replace("'", "")
