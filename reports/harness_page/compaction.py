"""Pictures that share a page share their styles, too: a fourth of the letters says the same."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

NUMBER = re.compile(r"-?\d+\.\d+")
IDENTITY = re.compile(r"#(p[0-9a-f]{10}-[\w-]+)")
SEGMENT = re.compile(r"L (-?[\d.]+) (-?[\d.]+) ?")
PLACES = ("d", "x", "y", "transform")

SCALE = 1.5
"""Pixels of a picture's unit on a wide screen."""

NEAR = 0.35
"""Of a picture's units, about a point each: steps of a line that are shorter are left out."""


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
            "style": f"max-width:{wide:.0f}px",
        }
        return ET.tostring(root, encoding="unicode").replace(" />", "/>")

    def _shorten(self, element: ET.Element) -> None:
        attributes = element.attrib
        if style := attributes.pop("style", ""):
            style = re.sub(r"\s*([:;,])\s*", r"\1", style.strip("; "))
            name = self.classes.setdefault(style, f"s{len(self.classes)}")
            attributes["class"] = name
        for key, value in list(attributes.items()):
            if key in PLACES:
                attributes[key] = _rounded(value)
            if key == "id":
                attributes[key] = self._id(value)
            elif key == "aria-labelledby":
                attributes[key] = " ".join(map(self._id, value.split()))
            elif "#" in value:
                attributes[key] = IDENTITY.sub(lambda found: "#" + self._id(found[1]), value)

    def _id(self, name: str) -> str:
        return self.ids.setdefault(name, f"i{len(self.ids)}")


def _rounded(value: str) -> str:
    """Numbers to a tenth, and no steps that cannot be seen."""
    shorter = NUMBER.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), value)
    if "L" not in shorter or "C" in shorter or "z" in shorter.lower():
        return shorter
    return " ".join(_thinned(part) for part in re.split(r"(?=M)", shorter) if part.strip())


def _thinned(line: str) -> str:
    """A line without the steps that are shorter than can be seen; its last point stays."""
    begin, _, rest = line.partition("L")
    points = SEGMENT.findall("L" + rest)
    if len(points) < 3:
        return line.strip()
    kept = [points[0]]
    for x, y in points[1:-1]:
        a, b = kept[-1]
        if abs(float(x) - float(a)) + abs(float(y) - float(b)) >= NEAR:
            kept.append((x, y))
    # After M, every further pair of numbers is a point of the line.
    return begin.strip() + " " + " ".join(f"{x} {y}" for x, y in [*kept, points[-1]])


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
