"""Figures as files, and as SVG within a page; the same data give the same bytes."""

from __future__ import annotations

import hashlib
import io
import re
from typing import TYPE_CHECKING
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

# Metadata without time and machine, so that the same figure gives the same bytes.
METADATA: dict[str, dict[str, str | None]] = {
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
        UsageError: the suffix is none of `SUFFIXES`, or the file cannot be written.
    """
    require_suffix(path)
    try:
        path.write_bytes(_bytes(figure, path.suffix.lower(), DPI))
    except OSError as error:
        raise cannot_write(path, error) from error


def require_suffix(path: Path) -> None:
    """Check that a file's suffix is one of `SUFFIXES`.

    Raises:
        UsageError: it is not.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"'{path}' does not end in one of {', '.join(SUFFIXES)}; rename it")


def png(figure: Figure) -> bytes:
    """A figure as PNG, in the resolution of a notebook."""
    return _bytes(figure, ".png", NOTEBOOK_DPI)


def inline_svg(figure: Figure, title: str, description: str) -> str:
    """A figure as one ``<svg>`` element, for a page that may hold many of them.

    The figure is as wide as the page allows, in the page's font, and takes its colours from the
    variables of `harness.sheets.palette.CSS`. Ids begin with a digest of the content, so that those
    of different figures differ.

    Args:
        figure: the figure to draw.
        title: what a screen reader reads first.
        description: what a screen reader reads after the title.
    """
    drawn = _bytes(figure, ".svg", DPI)
    caption = "\0".join((title, description)).encode(errors="replace")
    prefix = f"p{hashlib.sha256(drawn + caption).hexdigest()[:10]}-"
    # matplotlib wrote this SVG, not a stranger.
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


def _legible(text: str) -> str:
    return "".join("\ufffd" if unwritable(c) and c != "\n" else c for c in text)


def _strip(svg: ET.Element) -> None:
    """Remove metadata, and the style sheet, which would apply to the whole page."""
    for parent in list(svg.iter()):
        for child in list(parent):
            name = child.tag if isinstance(child.tag, str) else ""
            empty = name == f"{SVG}defs" and all(
                grandchild.tag == f"{SVG}style" for grandchild in child
            )
            if name in (f"{SVG}metadata", f"{SVG}style") or empty:
                parent.remove(child)


def _references(svg: ET.Element) -> Iterator[tuple[str, str]]:
    """The ids that attributes refer to, each with the attribute's value."""
    for element in svg.iter():
        for key, value in element.attrib.items():
            if key == HREF:
                yield value[1:], value
            for reference in REFERENCE.findall(value):
                yield reference, value


def _tidy(element: ET.Element, used: dict[str, str], prefix: str) -> None:
    """Drop namespaces and unused ids, prefix the other ids, round numbers, use CSS colours."""
    element.tag = element.tag.removeprefix(SVG)
    if element.tag != "text" and element.text is not None:
        element.text = element.text.strip() or None
    element.tail = None
    attributes: dict[str, str] = {}
    for key, value in element.attrib.items():
        if key == "id":
            if value in used:
                attributes["id"] = prefix + value
        elif key == HREF:
            attributes["href"] = f"#{prefix}{value[1:]}"
        elif key in PLACES:
            short = " ".join(NUMBER.sub(_rounded, value).split())
            if not UNTURNED.fullmatch(short):
                attributes[key] = short
        else:
            attributes[key] = value
    for key in ("style", "clip-path", "fill", "stroke"):
        if key in attributes:
            attributes[key] = REFERENCE.sub(rf"url(#{prefix}\1)", attributes[key])
    if "style" in attributes:
        attributes["style"] = _style(attributes["style"])
    element.attrib.clear()
    element.attrib |= attributes


def _style(style: str) -> str:
    """A style in the page's font and colours."""
    style = SHORTHAND.sub(_in_full, FAMILY.sub("", style))
    for plain, variable in VARIABLES.items():
        style = style.replace(plain, f"var({variable})")
    return style.replace(": ", ":").replace("; ", ";")


def _in_full(match: re.Match[str]) -> str:
    """The ``font`` shorthand, which older versions of matplotlib write, as weight and size."""
    bold = any(word in match[1] for word in ("bold", "700"))
    return ("font-weight: bold; " if bold else "") + f"font-size: {match[2]}"


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")


def _share_styles(svg: ET.Element) -> None:
    """Move the style of a group's markers to the group if all of them have the same."""
    for group in svg.iter("g"):
        marks = [child for child in group if child.tag == "use"]
        styles = {mark.get("style") for mark in marks}
        if len(marks) > 1 and len(styles) == 1 and (style := styles.pop()):
            group.set("style", style)
            for mark in marks:
                del mark.attrib["style"]


def _unwrap(parent: ET.Element) -> None:
    """Replace groups without attributes by their children."""
    for child in list(parent):
        _unwrap(child)
        if child.tag == "g" and not child.attrib:
            at = list(parent).index(child)
            parent[at : at + 1] = list(child)
