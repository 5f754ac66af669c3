"""Parses what a user selects: ``name``, ``tag:glob*``, a file, and ``[parameter=value|value,...]``.

One grammar for datasets and models::

    selector   = head [ "[" parameter { "," parameter } "]" ]
    parameter  = name "=" value { "|" value }

A head or a value may stand in quotes, which take the meaning from brackets, commas and bars within
them. A value may contain selectors of its own, with brackets that nest. A value may also be a tuple
in parentheses, such as ``(20,20)``, whose commas and bars separate nothing else.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

QUOTES = "\"'"
SPECIAL = f"[],|={QUOTES}"
ENDS = {"(": ")", "{": "}"}
"""Characters that need quotes around the value that contains them."""


@dataclass(frozen=True, slots=True)
class Selector:
    """What a user selects.

    Args:
        text: the selector as the user wrote it.
        head: a name, a glob, ``tag:glob``, a file or an address.
        parameters: the alternatives of each parameter, by name; None without brackets.
        quoted: whether the head stood in quotes.
    """

    text: str
    head: str
    parameters: Mapping[str, tuple[str, ...]] | None = None
    quoted: bool = False

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Parse a selector.

        >>> Selector.parse("svm[C=1|10,kernel='a,b']").parameters
        {'C': ('1', '10'), 'kernel': ('a,b',)}

        Raises:
            UsageError: the text breaks the grammar; names the part and the fault.
        """
        stripped = text.strip()
        head, inside = _head_and_inside(text, stripped)
        quoted = len(head) > 1 and head[0] in QUOTES and _end_of_quote(head, 0) == len(head) - 1
        if quoted:
            head = _unquoted(head)
        if not head:
            raise UsageError(f"'{text}' is no selector; it names nothing")
        parameters = None if inside is None else _parameters(text, inside)
        return cls(text, head, parameters, quoted)

    def choices(self) -> Iterator[dict[str, str]]:
        """Every combination of the parameters' values: two dicts for ``a=1|2,b=3``."""
        parameters = self.parameters or {}
        for values in itertools.product(*parameters.values()):
            yield dict(zip(parameters, values, strict=True))


def quoted(text: str) -> str:
    r"""A text as a value that the grammar reads back, in quotes if it needs them.

    >>> quoted("age"), quoted("a,b"), quoted("it's [so]")
    ('age', '"a,b"', '"it\'s [so]"')
    """
    plain = text == text.strip() and not text.startswith(tuple(ENDS))
    if text and plain and not any(letter in SPECIAL for letter in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _head_and_inside(text: str, stripped: str) -> tuple[str, str | None]:
    """The head, and what is between the brackets that end the selector, if there are any."""
    position = 0
    while position < len(stripped):
        letter = stripped[position]
        if letter in QUOTES and position == 0:
            position = _end_of_quote(stripped, position)
            if position < 0:
                raise UsageError(f"'{text}': the quote {letter} is not closed")
        elif letter == "[":
            end = _end_of_brackets(stripped, position)
            if end < 0:
                raise UsageError(
                    f"'{text}': a bracket or a quote is not closed; write name[parameter=value]"
                )
            if end == len(stripped) - 1:
                return stripped[:position].strip(), stripped[position + 1 : end]
        position += 1
    return stripped, None


def _parameters(text: str, inside: str) -> dict[str, tuple[str, ...]]:
    parameters: dict[str, tuple[str, ...]] = {}
    for part in parts(inside, ","):
        name, equals, values = part.partition("=")
        name = name.strip()
        alternatives = tuple(value.strip() for value in parts(values, "|"))
        if name in parameters:
            raise UsageError(
                f"'{text}': '{part.strip()}' is no parameter=value, because '{name}' is given "
                f"twice; separate several values by '|': {name}=a|b"
            )
        if not equals or not name or not all(alternatives):
            raise UsageError(
                f"'{text}': '{part.strip()}' is no parameter=value; "
                "separate several parameters by ',' and several values by '|'"
            )
        parameters[name] = tuple(_unquoted(value) for value in alternatives)
    return parameters


def parts(text: str, separator: str) -> list[str]:
    """The parts between separators that stand outside of quotes, brackets and parentheses."""
    parts, start, position = [], 0, 0
    while position < len(text):
        letter = text[position]
        end = position
        if letter in QUOTES and _begins_a_value(text, position):
            end = _end_of_quote(text, position)
        elif letter == "[":
            end = _end_of_brackets(text, position)
        elif letter in ENDS and _begins_a_value(text, position):
            end = _end_of_parentheses(text, position)
        elif letter == separator:
            parts.append(text[start:position])
            start = position + 1
        position = max(end, position) + 1
    return [*parts, text[start:]]


def _begins_a_value(text: str, position: int, before_values: str = "[,|=") -> bool:
    """Whether a quote or a parenthesis opens here: those in "it's" and "size (cm)" do not."""
    before = text[:position].rstrip()
    return not before or before[-1] in before_values


def _end_of_quote(text: str, start: int) -> int:
    """Position of the quote that closes the one at ``start``; -1 if there is none."""
    position = start + 1
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == text[start]:
            return position
        position += 1
    return -1


def _end_of_brackets(text: str, start: int) -> int:
    """Position of the bracket that closes the one at ``start``; -1 if it or a quote is open."""
    depth, position = 0, start
    while position < len(text):
        letter = text[position]
        if letter in QUOTES and _begins_a_value(text, position):
            position = _end_of_quote(text, position)
            if position < 0:
                return -1
        elif letter == "[":
            depth += 1
        elif letter == "]":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return -1


def _end_of_parentheses(text: str, start: int) -> int:
    """Position of the parenthesis or brace that closes the one at ``start``; -1 if none does."""
    depth, position = 0, start
    pair = text[start] + ENDS[text[start]]
    while position < len(text):
        letter = text[position]
        end = position
        if letter in QUOTES and _begins_a_value(text, position, "({[,|=:"):
            end = _end_of_quote(text, position)
        elif letter == "[":
            end = _end_of_brackets(text, position)
        elif letter in pair:
            depth += 1 if letter == pair[0] else -1
            if depth == 0:
                return position
        if end < 0:
            return -1
        position = end + 1
    return -1


def _unquoted(value: str) -> str:
    """A value without the quotes around it, and without the backslashes that protect others."""
    if len(value) < 2 or value[0] not in QUOTES or _end_of_quote(value, 0) != len(value) - 1:
        return value
    letters, escaped = [], False
    for letter in value[1:-1]:
        if letter == "\\" and not escaped:
            escaped = True
            continue
        letters.append(letter)
        escaped = False
    return "".join(letters)
