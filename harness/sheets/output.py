"""Figures as files, and as SVG within a page; the same data give the same bytes."""

from __future__ import annotations

import hashlib
import io
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from harness.errors import UsageError, cannot_write
from harness.sheets.palette import VARIABLES
from harness.sheets.style import settings, unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".pdf")
DPI = 200
NOTEBOOK_DPI = 110

# What would tell the time or the machine, of each format.
METADATA: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None, "Creator": "harness"},
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": "harness", "Producer": None},
}

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
REFERENCE = re.compile(r"url\(#([^)]+)\)")
FAMILY = re.compile(r"font-family: [^;]*;? ?")
SHORTHAND = re.compile(r"font: ((?:[\w.]+ )*?)([\d.]+px) [^;]*")
UNTURNED = re.compile(r"rotate\(-?0(?: [^)]*)?\)")
PLACES = ("d", "x", "y", "x1", "y1", "x2", "y2", "width", "height", "points", "transform")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, PNG or PDF, as the file's suffix says.

    Raises:
        UsageError: it is another suffix, or the file cannot be written.
    """
    require_suffix(path)
    try:
        path.write_bytes(_bytes(figure, path.suffix.lower(), DPI))
    except OSError as error:
        raise cannot_write(path, error) from error


def require_suffix(path: Path) -> None:
    """Refuse a file of another format.

    Raises:
        UsageError: it is.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"'{path}' is none of {', '.join(SUFFIXES)}; name it so")


def png(figure: Figure) -> bytes:
    """For a notebook."""
    return _bytes(figure, ".png", NOTEBOOK_DPI)


def inline_svg(figure: Figure, title: str, description: str) -> str:
    """A figure as one ``<svg>`` element, to stand in a page beside any number of others.

    It is as wide as the page lets it, in the page's font, and its colours are the variables of
    `harness.sheets.palette.CSS`. Ids begin with a digest of the content.

    Args:
        figure: to draw.
        title: read aloud for it.
        description: read aloud after the title.
    """
    drawn = _bytes(figure, ".svg", DPI)
    words = "\0".join((title, description)).encode(errors="replace")
    prefix = f"p{hashlib.sha256(drawn + words).hexdigest()[:10]}-"
    # It is our own file, not a stranger's.
    svg = ET.fromstring(drawn)  # noqa: S314
    _strip(svg)
    used = dict(_references(svg))
    for element in svg.iter():
        _tidy(element, used, prefix)
    _share_styles(svg)
    _unwrap(svg)
    titled = ET.Element("title", {"id": f"{prefix}title"})
    described = ET.Element("desc", {"id": f"{prefix}desc"})
    titled.text, described.text = _legible(title), _legible(description)
    view = svg.attrib["viewBox"]
    svg.attrib.clear()
    svg.attrib |= {
        "xmlns": "http://www.w3.org/2000/svg",
        "role": "img",
        "aria-labelledby": f"{prefix}title {prefix}desc",
        "viewBox": view,
        "width": "100%",
        "stroke-linejoin": "round",
        "stroke-linecap": "butt",
    }
    svg[:0] = [titled, described]
    return ET.tostring(svg, encoding="unicode", short_empty_elements=True)


def _bytes(figure: Figure, suffix: str, dpi: int) -> bytes:
    file = io.BytesIO()
    with settings():
        figure.savefig(file, format=suffix[1:], dpi=dpi, metadata=METADATA[suffix])
    return file.getvalue()


def _legible(words: str) -> str:
    return "".join("\ufffd" if unwritable(c) and c != "\n" else c for c in words)


def _strip(svg: ET.Element) -> None:
    """Take off metadata, and a style sheet that would reach the whole page."""
    for parent in list(svg.iter()):
        for child in list(parent):
            name = child.tag if isinstance(child.tag, str) else ""
            empty = name == f"{SVG}defs" and all(one.tag == f"{SVG}style" for one in child)
            if name in (f"{SVG}metadata", f"{SVG}style") or empty:
                parent.remove(child)


def _references(svg: ET.Element) -> Iterator[tuple[str, str]]:
    """Ids that something refers to."""
    for element in svg.iter():
        for key, value in element.attrib.items():
            if key == HREF:
                yield value[1:], value
            for found in REFERENCE.findall(value):
                yield found, value


def _tidy(element: ET.Element, used: dict[str, str], prefix: str) -> None:
    """Names without their spaces, ids that are used with the prefix, short numbers, our colours."""
    element.tag = element.tag.removeprefix(SVG)
    if element.tag != "text" and element.text is not None:
        element.text = element.text.strip() or None
    element.tail = None
    found: dict[str, str] = {}
    for key, value in element.attrib.items():
        if key == "id":
            if value in used:
                found["id"] = prefix + value
        elif key == HREF:
            found["href"] = f"#{prefix}{value[1:]}"
        elif key in PLACES:
            short = " ".join(NUMBER.sub(_rounded, value).split())
            if not UNTURNED.fullmatch(short):
                found[key] = short
        else:
            found[key] = value
    for key in ("style", "clip-path", "fill", "stroke"):
        if key in found:
            found[key] = REFERENCE.sub(rf"url(#{prefix}\1)", found[key])
    if "style" in found:
        found["style"] = _style(found["style"])
    element.attrib.clear()
    element.attrib |= found


def _style(style: str) -> str:
    """In the page's font and colours."""
    style = SHORTHAND.sub(_in_full, FAMILY.sub("", style))
    for plain, variable in VARIABLES.items():
        style = style.replace(plain, f"var({variable})")
    return style.replace(": ", ":").replace("; ", ";")


def _in_full(match: re.Match[str]) -> str:
    """Older versions of matplotlib write weight, size and family in one."""
    bold = any(word in match[1] for word in ("bold", "700"))
    return ("font-weight: bold; " if bold else "") + f"font-size: {match[2]}"


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")


def _share_styles(svg: ET.Element) -> None:
    """Where all markers of a group look alike, the group says so once."""
    for group in svg.iter("g"):
        marks = [child for child in group if child.tag == "use"]
        styles = {mark.get("style") for mark in marks}
        if len(marks) > 1 and len(styles) == 1 and (style := styles.pop()):
            group.set("style", style)
            for mark in marks:
                del mark.attrib["style"]


def _unwrap(parent: ET.Element) -> None:
    """Groups that say nothing of their children give way to them."""
    for child in list(parent):
        _unwrap(child)
        if child.tag == "g" and not child.attrib:
            at = list(parent).index(child)
            parent[at : at + 1] = list(child)
