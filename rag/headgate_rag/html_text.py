"""From HTML to text laid out as Markdown, on the standard library's parser."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from headgate_rag.anchors import Anchors
from headgate_rag.types import Heading

_Attributes = list[tuple[str, str | None]]

_UNSEEN = frozenset({"script", "style", "template", "noscript", "svg", "nav", "head", "iframe"})
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
_BREAKS = frozenset(
    {"address", "article", "aside", "blockquote", "body", "dd", "details", "div", "dl", "dt"}
    | {"figcaption", "figure", "footer", "form", "header", "hr", "main", "ol", "p", "section"}
    | {"summary", "table", "ul"}
)
_HEADING = re.compile(r"h[1-6]")
_NO_DISPLAY = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


class HtmlText(HTMLParser):
    """Feed it HTML; then ``text()``, ``headings``, ``title`` and ``language`` are there."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.headings: list[Heading] = []
        self.title = ""
        self.language = ""
        self._out: list[str] = []
        self._length = 0
        self._line = ""
        self._prefix = ""
        self._unseen: list[str] = []
        self._in_title = False
        self._pre = False
        self._row: list[str] | None = None
        self._rows = 0
        self._id = ""
        self._anchors = Anchors()

    def text(self) -> str:
        """The text so far."""
        return "".join(self._out)

    def close(self) -> None:
        """The document is complete."""
        super().close()
        self._break()

    def handle_starttag(self, tag: str, attrs: _Attributes) -> None:
        """An element opens."""
        values = dict(attrs)
        if tag == "html" and values.get("lang"):
            self.language = str(values["lang"])
        if tag == "title" and not self.title:
            self._in_title = True
        elif tag not in _VOID and (self._unseen or _unseen(tag, values)):
            self._unseen.append(tag)
        elif not self._unseen:
            self._open(tag, values)

    def _open(self, tag: str, values: dict[str, str | None]) -> None:
        if tag in _BREAKS or _HEADING.fullmatch(tag):
            self._break()
            self._id = values.get("id") or (self._id if tag not in {"p", "ul", "ol"} else "")
        if tag == "main":
            self._restart()
        elif tag == "li":
            self._break(blank=False)
            self._prefix = "- "
        elif tag == "tr":
            self._break(blank=False)
            self._row = []
        elif tag == "table":
            self._rows = 0
        elif tag == "pre" and self._row is None:
            self._break()
            self._pre = True
        elif tag == "br":
            self._line += "\n" if self._pre else " "

    def _restart(self) -> None:
        """What stood before the main part is the site's furniture, not the document."""
        self._out.clear()
        self._length = 0
        self.headings.clear()
        self._anchors = Anchors()

    def handle_endtag(self, tag: str) -> None:
        """An element closes."""
        if tag == "title":
            self._in_title = False
        elif not self._unseen:
            self._close(tag)
        elif tag in self._unseen:
            while self._unseen.pop() != tag:
                pass

    def _close(self, tag: str) -> None:
        if _HEADING.fullmatch(tag):
            self._heading(int(tag[1]))
        elif self._row is not None:
            self._close_in_row(tag, self._row)
        elif tag == "pre" and self._pre:
            self._end_code()
        elif tag in _BREAKS or tag == "li":
            self._break(blank=tag != "li")
        if tag == "main":
            # What stands after the main part is furniture again.
            self._unseen.append("html")

    def _close_in_row(self, tag: str, row: list[str]) -> None:
        if tag in {"td", "th"}:
            row.append(" ".join(self._line.split()).replace("|", "\\|"))
            self._line = ""
        elif tag == "tr":
            self._end_row(row)

    def handle_data(self, data: str) -> None:
        """Characters between tags."""
        if self._in_title:
            self.title = " ".join((self.title + data).split())
        elif not self._unseen:
            self._line += data

    def _emit(self, piece: str) -> None:
        self._out.append(piece)
        self._length += len(piece)

    def _break(self, blank: bool = True) -> None:
        if self._row is not None:
            self._line += " "
            return
        words = " ".join(self._line.split())
        self._line = ""
        if words:
            self._emit(self._prefix + words + "\n")
            self._prefix = ""
        if blank and self._out and self._out[-1] != "\n":
            self._emit("\n")

    def _heading(self, level: int) -> None:
        words = " ".join(self._line.replace("¶", "").split())
        self._line = ""
        self._prefix = ""
        if words:
            made = self._anchors.add(words)
            self.headings.append(Heading(level, words, self._id or made, self._length))
            self._emit("#" * level + f" {words}\n\n")
        self._id = ""

    def _end_row(self, row: list[str]) -> None:
        self._row = None
        self._line = ""
        if any(row):
            self._emit("| " + " | ".join(row) + " |\n")
            if self._rows == 0:
                self._emit("|" + " --- |" * len(row) + "\n")
            self._rows += 1

    def _end_code(self) -> None:
        self._pre = False
        code = self._line.strip("\n")
        self._line = ""
        if code.strip():
            fence = "```"
            while fence in code:
                fence += "`"
            self._emit(f"{fence}\n{code}\n{fence}\n\n")


def _unseen(tag: str, values: dict[str, str | None]) -> bool:
    if tag in _UNSEEN or "hidden" in values or values.get("aria-hidden") == "true":
        return True
    return bool(_NO_DISPLAY.search(values.get("style") or ""))
