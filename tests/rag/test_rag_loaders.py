"""Loaders and the search for documents: what is read, what is left out, what is refused and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate_rag.documents import NoSuchPath, SourceFile, UnreadableDocument, find_documents, load
from headgate_rag.types import Document


def read(folder: Path, name: str, content: str | bytes) -> Document:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(SourceFile(file, name))


def refused(folder: Path, name: str, content: str | bytes) -> str:
    with pytest.raises(UnreadableDocument) as caught:
        read(folder, name, content)
    assert str(caught.value).startswith(f"{name}: ")
    return caught.value.reason


def test_markdown_headings_are_found_with_their_anchors_and_places(tmp_path: Path) -> None:
    text = "# Top\n\nSome text.\n\nSet *twice*\n---\n\n### Retries & `Limits` ###\n\nEnd.\n"
    document = read(tmp_path, "a.md", text)
    assert [(h.level, h.text, h.anchor) for h in document.headings] == [
        (1, "Top", "top"),
        (2, "Set twice", "set-twice"),
        (3, "Retries & Limits", "retries--limits"),
    ]
    starts = [text.index(mark) for mark in ("# Top", "Set *twice*", "### Retries")]
    assert [h.start for h in document.headings] == starts
    assert document.title == "Top"


def test_repeated_headings_get_numbered_anchors(tmp_path: Path) -> None:
    document = read(tmp_path, "a.md", "# Use\n\n# Use\n\n# Use-1\n\n# Use\n\nx\n")
    assert [h.anchor for h in document.headings] == ["use", "use-1", "use-1-1", "use-2"]


@pytest.mark.parametrize(
    "text",
    [
        "```sh\n# not a heading\n```\n",
        "~~~\n# not a heading\n```\n# nor this\n~~~\n",
        "- item\n\n  ```\n  # not a heading\n  ```\n",
        "<!-- a comment\n# not a heading\n-->\n",
        "    # indented code\n",
        "#hashtag\n",
        "text\n\n---\n\nmore text\n",
        "````\n```\n# not a heading\n````\n",
    ],
)
def test_what_only_looks_like_a_heading_is_none(tmp_path: Path, text: str) -> None:
    document = read(tmp_path, "a.md", text + "\n# Real\n\nWords.\n")
    assert [h.text for h in document.headings] == ["Real"]


def test_front_matter_becomes_metadata_and_is_not_text(tmp_path: Path) -> None:
    document = read(
        tmp_path,
        "a.md",
        "---\ntitle: Returns\ngroups: sales\nlanguage: en\nday: 2026-11-20\n---\n# B\n\nText.\n",
    )
    assert document.title == "Returns"
    assert document.metadata == {"groups": ["sales"], "language": "en", "day": "2026-11-20"}
    assert document.text == "# B\n\nText.\n"


def test_front_matter_whose_groups_cannot_be_told_is_refused(tmp_path: Path) -> None:
    assert "groups" in refused(tmp_path, "a.md", "---\ngroups: {a: b}\n---\nSecret.\n")
    assert "front matter" in refused(tmp_path, "b.md", "---\ngroups: [a\n---\nSecret.\n")


def test_a_document_without_a_title_is_called_after_its_file(tmp_path: Path) -> None:
    assert read(tmp_path, "how_to-ship.txt", "Words.").title == "How to ship"


def test_plain_text_has_no_headings(tmp_path: Path) -> None:
    document = read(tmp_path, "a.txt", "# one\n\nTitle\n=====\n")
    assert document.headings == ()


def test_html_is_read_as_a_reader_sees_it(tmp_path: Path) -> None:
    page = """<!doctype html><html lang="en"><head><title>Shop — Help</title>
      <style>p {color: red}</style><script>var secret = 1</script></head><body>
      <nav><a href="/">Home</a></nav><p>Furniture</p>
      <main><h1 id="ret">Returns</h1><p>Send it <b>back</b>
      within&nbsp;14 days.</p><p hidden>unseen</p><div style="display: none">nor this</div>
      <ul><li>opened</li><li>unopened</li></ul>
      <table><tr><th>Item</th><th>Days</th></tr><tr><td>Router</td><td>14</td></tr></table>
      <pre># keep\n  this</pre><h2>Costs</h2><p>None.</main><footer>Imprint</footer>"""
    document = read(tmp_path, "a.html", page)
    assert document.title == "Shop — Help"
    assert document.metadata == {"language": "en"}
    assert [(h.text, h.anchor) for h in document.headings] == [
        ("Returns", "ret"),
        ("Costs", "costs"),
    ]
    assert all(document.text[h.start :].startswith("#") for h in document.headings)
    for seen in (
        "Send it back within 14 days.",
        "- opened\n- unopened\n",
        "| Router | 14 |",
        "```\n# keep\n  this\n```",
        "None.",
    ):
        assert seen in document.text
    for unseen in ("secret", "color", "Home", "unseen", "nor this", "Furniture", "Imprint"):
        assert unseen not in document.text


def test_a_byte_order_mark_and_foreign_line_ends_do_not_show(tmp_path: Path) -> None:
    document = read(tmp_path, "a.md", b"\xef\xbb\xbf# One\r\n\r\nText.\rMore.\r\n")
    assert document.text == "# One\n\nText.\nMore.\n"
    assert document.headings[0].text == "One"


def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    assert "empty" in refused(tmp_path, "a.md", b" \n")
    assert "binary" in refused(tmp_path, "b.txt", b"PK\x03\x04\x00\x00")
    assert "not UTF-8 (line 2)" in refused(tmp_path, "c.md", "ok\nGr\xfc\xdfe".encode("latin-1"))
    assert "no text" in refused(tmp_path, "d.html", "<script>x()</script>")
    assert "no text" in refused(tmp_path, "e.md", "---\ntitle: only this\n---\n")


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("words")


def test_folders_are_searched_in_order_without_hidden_files(tmp_path: Path) -> None:
    fill(tmp_path, "docs/b.md", "docs/a/z.TXT", "docs/.git/x.md", "docs/.x.md", "docs/logo.png")
    found = find_documents([tmp_path / "docs"])
    assert [s.path for s in found.files] == ["docs/a/z.TXT", "docs/b.md"]
    assert found.ignored == 1


def test_a_link_back_to_a_folder_is_followed_once(tmp_path: Path) -> None:
    fill(tmp_path, "docs/a.md")
    (tmp_path / "docs" / "loop").symlink_to(tmp_path / "docs", target_is_directory=True)
    assert [s.path for s in find_documents([tmp_path / "docs"]).files] == ["docs/a.md"]


def test_a_document_is_called_the_same_from_whatever_root(tmp_path: Path) -> None:
    fill(tmp_path, "docs/guides/a.md", "README.md")
    sources = [tmp_path / "docs", tmp_path / "README.md"]
    for root in ("docs", "docs/guides", "docs/guides/a.md"):
        found = find_documents([tmp_path / root], sources)
        assert [s.path for s in found.files] == ["docs/guides/a.md"], root
    assert [s.path for s in find_documents(sources, sources).files] == [
        "README.md",
        "docs/guides/a.md",
    ]


def test_roots_cover_what_would_be_found_below_them(tmp_path: Path) -> None:
    fill(tmp_path, "docs/guides/a.md", "README.md")
    found = find_documents(
        [tmp_path / "docs" / "guides", tmp_path / "README.md"], [tmp_path / "docs"]
    )
    assert found.covers("docs/guides/gone.md")
    assert found.covers("README.md")
    assert not found.covers("docs/other.md")
    assert not found.covers("README.md.txt")


def test_named_paths_that_cannot_be_ingested_are_errors(tmp_path: Path) -> None:
    fill(tmp_path, "a.pdf", "one/docs/a.md", "two/docs/a.md")
    with pytest.raises(NoSuchPath, match=r"no loader reads \.pdf files.*\.md"):
        find_documents([tmp_path / "a.pdf"])
    with pytest.raises(NoSuchPath, match="does not exist"):
        find_documents([tmp_path / "nowhere"])
    with pytest.raises(NoSuchPath, match=r"both be the document 'docs/a\.md'"):
        find_documents([tmp_path / "one" / "docs", tmp_path / "two" / "docs"])
