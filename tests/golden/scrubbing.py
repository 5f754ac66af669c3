"""Turns what a command printed and wrote into text that is the same on every machine.

This is the only place that removes what may vary without a change of behaviour: folders, versions,
the machine, durations, memory, the last digits of sums, and the styles of a page or a picture.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import re
import struct
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from pathlib import Path

SHORT = 25
"""A transcript has up to this many lines of the data of a picture, and a summary of longer data."""

LONG_NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d{7,}(?:e[-+]?\d+)?(?![\w.])")
NEXT_TO_NOTHING = re.compile(r"(?<![\w.])-?\d(?:\.\d+)?e-(?:1[3-9]|[2-9]\d|\d{3})(?![\w.])")

RULES: tuple[tuple[str, str, str], ...] = (
    # The beginning of the command, what varies in its output, and the replacement.
    ("", r"(classification-harness|harness, version) \d[\w.]*", r"\1 VERSION"),
    ("", r"has only \d+ cores?", "has only N cores"),
    ("--debug", r"^Traceback[\s\S]*?^(?=harness: )", "Traceback ...\n"),
    ("report", r", \d+ KiB", ", N KiB"),
    ("list|env", r"─+", "─"),
    ("list plugins", r"  +", "  "),
    ("env", r"^( *(?:\w\S*(?: \S+)*))  +\S.*", r"\1  ..."),
    ("env --json", r'"git": (?:null|\{[^}]*\})', '"git": ...'),
    ("env --json", r"(: )(?:\"[^\"]*\"|\d+|null|true|false)(,?)$", r"\1...\2"),
    ("run ", r'("\w*(?:seconds|bytes)\w*": )[\d.e+-]+', r"\1..."),
    ("run |.* --store new.db", r" of 2\d{3}-\d\d-\d\d:", r" of DATE:"),
    ("run |.* --store new.db", r"2\d{3}-\d\d-\d\d([T ])\d\d:\d\d:\d\d", r"DATE\1TIME"),
    ("show", r"^(packages +).*", r"\1..."),
)


def scrubbed(text: str, command: str, folder: Path) -> str:
    """The text without what varies, and without blanks at the ends of lines."""
    text = text.replace(str(folder), "FOLDER")
    for commands, pattern, replacement in RULES:
        if re.match(commands, command):
            text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    text = LONG_NUMBER.sub(lambda match: f"{float(match[0]):.9g}", text)
    text = NEXT_TO_NOTHING.sub("0", text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def read(file: Path) -> str:
    """The text of a file that a command wrote."""
    match file.suffix:
        case ".html":
            return page_text(file.read_text(encoding="utf-8"))
        case ".svg":
            return picture_text(file.read_text(encoding="utf-8"))
        case ".png":
            width, height = struct.unpack(">II", file.read_bytes()[16:24])
            return f"PNG of {width} x {height}"
        case ".pdf":
            return file.read_bytes()[:4].decode("ascii")
        case ".parquet":
            return parquet_text(file)
    return file.read_text(encoding="utf-8")


def parquet_text(file: Path) -> str:
    """The number of rows, and the columns with their types; the CSV beside it has the values."""
    import pandas as pd

    frame = pd.read_parquet(file)
    return "\n".join([f"{len(frame)} rows", *(f"{k}: {v}" for k, v in frame.dtypes.items())])


# Pages


def page_text(html: str) -> str:
    """Headings, sentences, tables and data of a page, without styles and scripts."""
    reader = _PageReader()
    reader.feed(html)
    return "\n".join(reader.lines)


BLOCKS = {"p", "li", "tr", "caption", "summary", "title", "desc", "text", "h1", "h2", "h3", "h4"}
MARKS = {
    "h1": "\n# ",
    "h2": "\n## ",
    "h3": "\n### ",
    "h4": "\n#### ",
    "li": "- ",
    "caption": "table: ",
}
MARKS |= {"title": "title: ", "desc": "described: ", "summary": "+ "}


class _PageReader(HTMLParser):
    """Collects the page's text, one line for each paragraph, heading or table row."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.words: list[str] = []
        self.drawn: list[str] = []
        self.silent = self.data = self.within = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("style", "script"):
            self.data = "json" in (given.get("type") or "")
            self.silent = not self.data
        elif tag == "svg":
            self.within = True
        elif tag in BLOCKS:
            self.flush(tag)
        elif tag in ("td", "th") and self.words:
            self.words.append(" | ")
        elif tag == "a" and (given.get("href") or "").startswith("data:"):
            self.lines += embedded(str(given["href"]))
        if given.get("download"):
            self.lines.append(f"file: {given['download']}")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "script"):
            self.silent = self.data = False
        elif tag == "svg":
            self.flush(tag)
            self.lines.append("drawn: " + " | ".join(self.drawn))
            self.drawn, self.within = [], False
        elif tag in BLOCKS:
            self.flush(tag)

    def handle_data(self, data: str) -> None:
        if self.data:
            self.lines += json_text(data).splitlines()
        elif not self.silent:
            self.words.append(data)

    def flush(self, tag: str) -> None:
        line = " ".join("".join(self.words).split())
        self.words = []
        if line and tag == "text":
            self.drawn.append(line)
        elif line:
            self.lines.append(MARKS.get(tag, "") + line)


def embedded(url: str) -> list[str]:
    """The data of a picture: every line, or a summary of each column if there are many lines."""
    head, _, packed = url.partition("base64,")
    text = base64.b64decode(packed)
    whole = (gzip.decompress(text) if "gzip" in head else text).decode("utf-8")
    lines = whole.splitlines()
    return lines if len(lines) <= SHORT else summary(list(csv.DictReader(io.StringIO(whole))))


def summary(rows: list[dict[str, str]]) -> list[str]:
    """The number of rows, and for each column the range and mean of its numbers, or its words."""
    found = [f"{len(rows)} rows"]
    for name in rows[0]:
        cells = [row[name] for row in rows if row[name]]
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError:
            words = sorted(set(cells))
            found.append(f"{name}: {len(words)} words, {words[0]} to {words[-1]}")
            continue
        mean = sum(numbers) / len(numbers) if numbers else 0.0
        ends = (min(numbers), max(numbers)) if numbers else (0.0, 0.0)
        found.append(f"{name}: {len(numbers)}, {ends[0]:.6g} to {ends[1]:.6g}, mean {mean:.6g}")
    return found


def json_text(text: str) -> str:
    """JSON, a value a line."""
    return json.dumps(json.loads(text), indent=1, ensure_ascii=False)


# Pictures


SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
LOOK = re.compile(r"(?:fill|stroke): (#\w+)")


def picture_text(svg: str) -> str:
    """The texts of a picture, and the place, colours and number of points of each shape.

    Of axes only the texts are kept: grid lines and ticks follow from them.
    """
    root = ET.fromstring(svg)
    lines = [f"view {root.attrib['viewBox']}"]
    _describe(root, lines)
    found: list[str] = []
    for line in lines:  # the markers of one series share a line
        if found and found[-1].partition(" at ")[0] == line.partition(" at ")[0]:
            found[-1] += " " + line.partition(" at ")[2]
        else:
            found.append(line)
    return "\n".join(found)


def _describe(element: ET.Element, lines: list[str]) -> None:
    for child in element:
        tag = child.tag.removeprefix(SVG) if isinstance(child.tag, str) else ""
        if tag in ("metadata", "defs", "style"):
            continue
        if tag == "text":
            lines.append(f"text {' '.join(''.join(child.itertext()).split())}")
        elif tag == "path":
            points = [round(float(number)) for number in NUMBER.findall(child.get("d", ""))]
            x, y = points[::2], points[1::2]
            look = " ".join(LOOK.findall(child.get("style", "")))
            if x and y:
                span = f"{min(x)},{min(y)} to {max(x)},{max(y)}"
                lines.append(f"path of {len(x)} {look} within {span}")
        elif tag == "use":
            look = " ".join(LOOK.findall(child.get("style", "")))
            at = ",".join(f"{float(child.get(name, '0')):.0f}" for name in ("x", "y"))
            lines.append(f"marks {look} at {at}")
        elif tag == "image":
            lines.append("image")
        elif not (child.get("id") or "").startswith("matplotlib.axis"):
            _describe(child, lines)
        else:
            lines += [
                f"text {' '.join(''.join(text.itertext()).split())}"
                for text in child.iter(f"{SVG}text")
            ]
