"""Reading prompt files: every fault at once with its line; versions over file and partials."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate_core.errors import ConfigurationError
from headgate_gateway.prompts.prompt import Prompt, parse

HEAD = "---\nname: p\ninputs:\n  q: {from: last_user_message}\n---\n"
BODY = "=== system ===\nAnswer.\n=== user ===\n{{ q }}\n"


def read(folder: Path, text: str) -> Prompt:
    file = folder / "p.md"
    file.write_text(text, encoding="utf-8")
    return parse(file)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, text)
    return [f"{p.line}: {p.message}" for p in caught.value.problems]


def partial(folder: Path, text: str, name: str = "partials/style.md") -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def test_all_faults_of_a_file_come_at_once_with_their_lines(tmp_path: Path) -> None:
    text = (
        "---\nname: other\nclient_sytem: refuse\ninputs:\n  tone: {type: one_of}\n---\n"
        "stray text\n=== sytem ===\nx\n=== user ===\n{{ qestion }}\n{% if %}\n"
    )
    found = problems(tmp_path, text)
    assert any(line.startswith("3: unknown member 'client_sytem'. Did you mean") for line in found)
    assert any(line.startswith("5: ") and "`of` lists the values" in line for line in found)
    assert any(line.startswith("7: this text stands before the first role line") for line in found)
    assert any(line.startswith("8: unknown role 'sytem'. Did you mean 'system'") for line in found)
    assert any(line.startswith("12: template: ") for line in found)


def test_a_name_that_is_no_input_is_a_fault_with_its_line(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, HEAD + BODY + "\n{{ qq }}\n")
    assert found.startswith("11: unknown input 'qq'. Did you mean 'q'?")


def test_an_input_that_nothing_uses_is_a_fault(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, HEAD + "=== system ===\nx\n")
    assert found.startswith("4: no block uses the input 'q'")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("=== user ===\n{{ q }}\n=== system ===\nx\n", "8: === system === may stand once"),
        ("=== user ===\n{{ q }}\n=== history ===\n", "8: the last block must be"),
        ("=== history ===\nx\n=== user ===\n{{ q }}\n", "7: nothing may stand under"),
        ("=== history ===\n=== history ===\n=== user ===\n{{ q }}\n", "7: === history === may"),
        ("{{ q }}\n", "6: this text stands before"),
    ],
)
def test_blocks_in_the_wrong_order_are_faults(tmp_path: Path, body: str, says: str) -> None:
    assert any(line.startswith(says) for line in problems(tmp_path, HEAD + body))


def test_a_file_without_a_head_says_what_it_needs(tmp_path: Path) -> None:
    assert "a prompt begins with a head" in problems(tmp_path, BODY)[0]
    assert "a prompt begins with a head" in problems(tmp_path, "---\nname: p\n")[0]


def test_a_head_that_is_no_yaml_names_the_line_of_the_file(tmp_path: Path) -> None:
    assert problems(tmp_path, "---\nname: p\na: b: c\n---\n" + BODY)[0].startswith("3: ")


def test_the_environment_cannot_reach_into_a_prompt(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, HEAD.replace("name: p", "name: p\nowner: env:HOME") + BODY)
    assert found.startswith("3: env:HOME cannot be used")


def test_members_of_later_versions_say_so(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, HEAD.replace("name: p", "name: p\ntools: []") + BODY)
    assert "this version does not do it yet" in found


@pytest.mark.parametrize("name", ["../secret.md", "/etc/passwd", "partials/../../x"])
def test_an_include_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    (found,) = problems(tmp_path, HEAD + BODY + f'{{% include "{name}" %}}\n')
    assert found.startswith("10: ")
    assert "leads out of the prompts folder" in found


def test_a_link_cannot_leave_the_folder_either(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    (tmp_path / "secret.md").write_text("secret", encoding="utf-8")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    assert "there is no 'link.md'" in problems(folder, HEAD + BODY + '{% include "link.md" %}')[0]


def test_includes_must_exist_and_be_named_in_quotes(tmp_path: Path) -> None:
    assert "there is no 'a.md'" in problems(tmp_path, HEAD + BODY + '{% include "a.md" %}')[0]
    assert "one file in quotes" in problems(tmp_path, HEAD + BODY + "{% include q %}")[0]


def test_faults_in_a_partial_name_the_partial(tmp_path: Path) -> None:
    partial(tmp_path, "fine\n{{ nothing }}\n=== system ===\n")
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, HEAD + BODY + '{% include "partials/style.md" %}\n')
    places = [(p.file.name, p.line) for p in caught.value.problems]
    assert places == [("style.md", 2), ("style.md", 3)]


def test_an_example_that_does_not_fit_is_a_fault_of_the_file(tmp_path: Path) -> None:
    head = HEAD.replace("---\n=", "---\n").replace(
        "\n---\n", "\nexamples:\n  - {name: e, inputs: {z: 1}}\n---\n"
    )
    (found,) = problems(tmp_path, head + BODY)
    assert found.startswith("6: example 'e': unknown input 'z'")


def test_the_version_follows_the_file_and_every_partial(tmp_path: Path) -> None:
    partial(tmp_path, "one {% include 'partials/inner.md' %}\n")
    partial(tmp_path, "inner\n", "partials/inner.md")
    text = HEAD + "=== system ===\n{% include 'partials/style.md' %}\n=== user ===\n{{ q }}\n"
    first = read(tmp_path, text)
    assert len(first.version) == 12
    assert set(first.partials) == {"partials/style.md", "partials/inner.md"}
    assert read(tmp_path, text).version == first.version
    assert read(tmp_path, text + "\n").version != first.version
    partial(tmp_path, "inner, changed\n", "partials/inner.md")
    assert read(tmp_path, text).version != first.version


def test_the_demo_prompt_is_good_and_has_examples() -> None:
    prompts = Path(__file__).parents[2] / "configs" / "prompts"
    assert len(parse(prompts / "docs-answer.md").settings.examples) >= 2


@pytest.mark.parametrize("written", ["temperature: 9", "max_tokens: 0", '"n": -3'])
def test_parameters_that_no_request_may_have_are_refused(tmp_path: Path, written: str) -> None:
    text = HEAD.replace("inputs:", f"parameters: {{{written}}}\ninputs:")
    (found,) = problems(tmp_path, text + BODY)
    assert found.startswith("3: ")
    assert f"`{written.partition(':')[0].strip(chr(34))}` must be" in found
