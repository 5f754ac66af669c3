"""Pictures that share a page share their styles, too: a fourth of the letters says the same."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np

from harness.sheets.drawing import needed

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBER = re.compile(r"-?\d+\.\d+")
IDENTITY = re.compile(r"#(p[0-9a-f]{10}-[\w-]+)")
NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")
LINE = re.compile(r"M -?[\d.]+ -?[\d.]+(?: L -?[\d.]+ -?[\d.]+)+")
PLACES = ("d", "x", "y", "transform")

SCALE = 1.5
"""Pixels of a picture's unit on a wide screen."""

LEAST = 0.7
"""Of that, on a narrow one, where a picture has a bar of its own: letters stay legible."""

NEAR = 0.12
"""Of a picture's units, about a point each: a line's points that lie no farther from the line
without them are left out."""


@dataclass(slots=True)
class Compaction:
    """Makes pictures shorter, and keeps what they have in common.

    Args:
        classes: name of the class that stands for each style.
        ids: short names of what is referred to.
    """

    classes: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def css(self) -> str:
        """The styles that the pictures refer to."""
        return "".join(f".{name}{{{style}}}" for style, name in self.classes.items())

    def of(self, svg: str) -> str:
        """A picture, as it looked before.

        Args:
            svg: one element, our own.
        """
        root = ET.fromstring(svg)  # noqa: S314  # it is our own, not a stranger's
        for element in root.iter():
            element.tag = element.tag.partition("}")[2] or element.tag
            self._shorten(element)
        _flatten(root)
        # Letters of one size in all of them, however wide they are.
        wide = SCALE * float(root.attrib["viewBox"].split()[2])
        root.attrib = {
            "xmlns": "http://www.w3.org/2000/svg",
            **root.attrib,
            "style": f"max-width:{wide:.0f}px;min-width:{wide * LEAST:.0f}px",
        }
        return ET.tostring(root, encoding="unicode").replace(" />", "/>")

    def _shorten(self, element: ET.Element) -> None:
        attributes = element.attrib
        styles = [re.sub(r"\s*([:;,])\s*", r"\1", attributes.pop("style", "").strip("; "))]
        if clip := attributes.pop("clip-path", ""):
            styles.append("clip-path:" + IDENTITY.sub(lambda found: "#" + self._id(found[1]), clip))
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
                attributes[key] = IDENTITY.sub(lambda found: "#" + self._id(found[1]), value)

    def _class(self, style: str) -> str:
        return self.classes.setdefault(style, f"s{len(self.classes)}")

    def _id(self, name: str) -> str:
        return self.ids.setdefault(name, f"i{len(self.ids)}")


def _rounded(value: str) -> str:
    """Numbers to a tenth, and lines without the points that nobody would miss."""
    parts = [_thinned(part) for part in re.split(r"(?=M )", value) if part.strip()]
    return " ".join(NUMBER.sub(_tenth, part) for part in parts)


def _tenth(found: re.Match[str]) -> str:
    return f"{float(found[0]):.1f}".removesuffix(".0")


def _thinned(line: str) -> str:
    """A line without the points that nobody would miss."""
    numbers = LINE.fullmatch(line.strip()) and [float(text) for text in NUMBERS.findall(line)]
    if not numbers or len(numbers) < 2 * 3:
        return line.strip()
    points = np.array(numbers).reshape(-1, 2)

    def away(start: int, stop: int) -> NDArray[np.float64]:
        return _distances(points[start + 1 : stop], points[start], points[stop])

    kept = needed(len(points), away, NEAR)
    # After M, every further pair of numbers is a point of the line.
    return "M" + " ".join(f"{x:.2f} {y:.2f}" for x, y in points[kept].tolist())


def _distances(
    points: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of points (n, 2) from the stretch between a and b."""
    along, beside = b - a, points - a
    squared = float(along @ along)
    part = np.clip(beside @ along / squared, 0, 1) if squared else np.zeros(len(points))
    away = beside - part[:, None] * along
    distances: NDArray[np.float64] = np.hypot(away[:, 0], away[:, 1])
    return distances


def _flatten(parent: ET.Element) -> None:
    """Groups that say nothing give their place to what they hold."""
    children: list[ET.Element] = []
    for child in parent:
        _flatten(child)
        if child.tag == "g" and not child.attrib:
            children += list(child)
        else:
            children.append(child)
    parent[:] = children
