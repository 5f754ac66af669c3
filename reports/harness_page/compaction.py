"""Shorter SVG: the pictures of a page share their styles, which takes a quarter of the letters."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np

from harness.sheets.drawing import needed_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBER = re.compile(r"-?\d+\.\d+")
IDENTITY = re.compile(r"#(p[0-9a-f]{10}-[\w-]+)")
NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")
LINE = re.compile(r"M -?[\d.]+ -?[\d.]+(?: L -?[\d.]+ -?[\d.]+)+")
PLACES = ("d", "x", "y", "transform")

SCALE = 1.5
"""Pixels per unit of a picture on a wide screen."""

LEAST = 0.7
"""Pictures shrink to no less than this fraction of `SCALE`: then they scroll, and stay legible."""

NEAR = 0.12
"""Tolerance of lines in a picture's units, about a point each: points of a line that are no farther
from the line without them are left out."""


@dataclass(slots=True)
class Compaction:
    """Shortens the pictures of a page, and collects the styles and ids that they share.

    Args:
        classes: the CSS class for each style.
        ids: the short id for each id.
    """

    classes: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def css(self) -> str:
        """The styles that the pictures refer to."""
        return "".join(f".{name}{{{style}}}" for style, name in self.classes.items())

    def of(self, svg: str) -> str:
        """The picture in fewer letters; it looks the same.

        Args:
            svg: one ``<svg>`` element that we made.
        """
        root = ET.fromstring(svg)  # noqa: S314  # we made it, not a stranger
        for element in root.iter():
            element.tag = element.tag.partition("}")[2] or element.tag
            self._shorten(element)
        _flatten(root)
        # Widths in proportion give letters the same size in all pictures.
        width = SCALE * float(root.attrib["viewBox"].split()[2])
        root.attrib = {
            "xmlns": "http://www.w3.org/2000/svg",
            **root.attrib,
            "style": f"max-width:{width:.0f}px;min-width:{width * LEAST:.0f}px",
        }
        return ET.tostring(root, encoding="unicode").replace(" />", "/>")

    def _shorten(self, element: ET.Element) -> None:
        attributes = element.attrib
        styles = [re.sub(r"\s*([:;,])\s*", r"\1", attributes.pop("style", "").strip("; "))]
        if clip := attributes.pop("clip-path", ""):
            styles.append("clip-path:" + IDENTITY.sub(lambda match: "#" + self._id(match[1]), clip))
        if names := [self._class(style) for style in styles if style]:
            attributes["class"] = " ".join(names)
        for key, value in list(attributes.items()):
            if key in PLACES:
                attributes[key] = _rounded(value)
            if key == "id":
                attributes[key] = self._id(value)
            elif key == "aria-labelledby":
                attributes[key] = " ".join(map(self._id, value.split()))
            elif "#" in value:
                attributes[key] = IDENTITY.sub(lambda match: "#" + self._id(match[1]), value)

    def _class(self, style: str) -> str:
        return self.classes.setdefault(style, f"s{len(self.classes)}")

    def _id(self, name: str) -> str:
        return self.ids.setdefault(name, f"i{len(self.ids)}")


def _rounded(value: str) -> str:
    """Coordinates rounded to a tenth, and lines without points that make no visible difference."""
    parts = [_thinned(part) for part in re.split(r"(?=M )", value) if part.strip()]
    return " ".join(NUMBER.sub(_tenth, part) for part in parts)


def _tenth(match: re.Match[str]) -> str:
    return f"{float(match[0]):.1f}".removesuffix(".0")


def _thinned(line: str) -> str:
    """A line without the points that make no visible difference."""
    numbers = LINE.fullmatch(line.strip()) and [float(text) for text in NUMBERS.findall(line)]
    if not numbers or len(numbers) < 2 * 3:
        return line.strip()
    points = np.array(numbers).reshape(-1, 2)

    def away(start: int, stop: int) -> NDArray[np.float64]:
        return _distances(points[start + 1 : stop], points[start], points[stop])

    kept = needed_points(len(points), away, NEAR)
    # After M, every further pair of numbers is a point of the line.
    return "M" + " ".join(f"{x:.2f} {y:.2f}" for x, y in points[kept].tolist())


def _distances(
    points: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distances of points (n, 2) from the segment between a and b."""
    along, beside = b - a, points - a
    squared = float(along @ along)
    part = np.clip(beside @ along / squared, 0, 1) if squared else np.zeros(len(points))
    away = beside - part[:, None] * along
    distances: NDArray[np.float64] = np.hypot(away[:, 0], away[:, 1])
    return distances


def _flatten(parent: ET.Element) -> None:
    """Replace groups without attributes by their children."""
    children: list[ET.Element] = []
    for child in parent:
        _flatten(child)
        if child.tag == "g" and not child.attrib:
            children += list(child)
        else:
            children.append(child)
    parent[:] = children
