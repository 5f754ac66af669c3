"""Text from plugins and files cannot command terminals or spreadsheets; passwords are hidden."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from harness.terminal import console
from harness.untrusted import (
    bounded,
    cleaned,
    csv_cell,
    csv_text,
    frame_csv,
    hide_password,
    without_passwords,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ORDERS = {
    "escape": "\x1b[31m",
    "title": "\x1b]0;T\x07",
    "bell": "\a",
    "back": "\b\b",
    "return": "\r",
    "form feed": "\f",
    "NUL": "\0",
    "delete": "\x7f",
    "CSI in one": "\x9b31m",
    "C1": "\x85\x90",
    "override": "\u202e",
    "isolate": "\u2066\u2069",
    "mark": "\u200f\u061c",
    "separators": "\u2028\u2029",
    "half a letter": "\udc80\ud800",
}
ANY = st.text(st.characters() | st.sampled_from("\x1b\x9b\u202e\r=+-@\t"))


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_terminal_escapes_are_removed(order: str) -> None:
    clean_text = cleaned(f"before{order}after\n\tnext")
    assert re.fullmatch(r"before\??[^\W\d_]*[\[\]\w;?]*after\n\tnext", clean_text)
    assert not set(order) & set(clean_text) - set("[]0;T31m")


@given(ANY)
def test_clean_text_is_unchanged(text: str) -> None:
    assert cleaned(cleaned(text)) == cleaned(text)
    cleaned(text).encode()
    printable = "".join(letter for letter in text if letter.isprintable())
    assert cleaned(printable) == printable


PRINTED: dict[str, Callable[[str], object]] = {
    "say": console.say,
    "remark": console.remark,
    "complain": console.complain,
    "write": console.write,
    "print": lambda text: console.out().print(text),
    "Text": lambda text: console.out().print(Text(text, "bold")),
    "cell": lambda text: console.out().print(_table(text)),
    "Text in a cell": lambda text: console.out().print(_table(Text(text))),
}


def _table(cell: str | Text) -> Table:
    table = Table("head")
    table.add_row(cell)
    return table


@pytest.mark.parametrize("printed", PRINTED.values(), ids=PRINTED)
def test_every_printing_function_removes_terminal_escapes(
    printed: Callable[[str], object], capfd: pytest.CaptureFixture[str]
) -> None:
    printed("name" + "".join(ORDERS.values()))
    output = "".join(capfd.readouterr())
    assert "name" in output
    assert all(letter.isprintable() or letter == "\n" for letter in output)


def test_our_own_colours_are_kept(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    console.out().print(Text("evil\x1b[31m", "bold"))
    assert capfd.readouterr().out == "\x1b[1mevil?[31m\x1b[0m\n"


FORMULAS = ("=1+1", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "-a")
FORMULAS += ("\uff1d1", "\uff0b1", "\uff0d1", "\uff201", "-1-1", "+", "-")
PLAIN = ("", "a=1", "-1.5", "+2", "1e-9", "-1e-09", "-inf", "3.5", "plain, text", "'quoted'")


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_cell_that_looks_like_a_formula_is_quoted(formula: str) -> None:
    for csv_file in (
        csv_text([formula], [[formula, -1.5]]),
        frame_csv(pd.DataFrame({formula: [formula], "number": [-1.5]})),
        frame_csv(pd.DataFrame({formula: pd.Categorical([formula]), "number": [-1.5]})),
    ):
        rows = list(csv.reader(io.StringIO(csv_file, newline="")))
        assert [row[0][:1] for row in rows] == ["'", "'"]
        assert rows[1][1] == "-1.5"


@pytest.mark.parametrize("text", PLAIN)
def test_a_cell_that_is_not_a_formula_is_unchanged(text: str) -> None:
    assert csv_cell(text) == text


def test_numbers_keep_all_their_digits_and_missing_values_are_empty() -> None:
    frame = pd.DataFrame(
        {
            "value": [-1 / 3, np.nan, -np.inf],
            "count": [-1, 2, 3],
            "best": [True, False, True],
            "text": ["=1", None, np.nan],
            "day": pd.to_datetime(["2026-01-01"] * 3),
        }
    )
    assert frame_csv(frame) == frame.replace("=1", "'=1").to_csv(index=False, lineterminator="\n")


PASSWORDS = {
    "plain": "postgresql://me:{}@host/db",
    "driver": "mysql+pymysql://me:{}@host:3306/db?charset=utf8",
    "nobody": "redis://:{}@host",
    "odd scheme": "x-y.z+w://me:{}@host",
    "no slashes": "postgresql:me:{}@host/db",
    "one slash": "postgresql:/me:{}@host/db",
    "option": "postgresql://host/db?user=me&password={}",
    "first option": "postgresql:///db?PASSWORD={}&x=1",
    "of a key": "postgresql://host/db?sslpassword={}&sslmode=require",
    "passwd": "mysql://host/db?passwd={}",
    "pwd": "mssql://host/db?UID=me;PWD={};x=1",
    "token": "trino://host/db?access_token={}",
    "name that is encoded": "postgresql://host/db?p%61ssword={}",
    "within an option": "mssql+pyodbc://?odbc_connect=DRIVER%3D%7Bx%7D%3BUID%3Dme%3BPWD%3D{}%3B",
    "URL in an option": "odd://host/?proxy=http%3A%2F%2Fme%3A{}%40proxy",
    "both": "postgresql://me:{}@host/db?sslpassword={}",
}
SECRETS = ("s3cret", "s3c%40ret", "s3c:ret", "s3c/ret", "s3c@ret", "s3c+ret", "s3c?ret")


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("url", PASSWORDS.values(), ids=PASSWORDS)
def test_a_password_is_hidden_anywhere_in_a_url(url: str, secret: str) -> None:
    shown, secrets = hide_password(url.replace("{}", secret))
    assert not re.search("s3c|ret$|ret@", shown)
    assert "***" in shown
    assert secrets


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "name", ["plain", "driver", "nobody", "option", "of a key", "passwd", "pwd"]
)
def test_a_password_is_hidden_in_error_messages_of_libraries(name: str, secret: str) -> None:
    url = PASSWORDS[name].replace("{}", secret)
    said = without_passwords(f"OperationalError: cannot open '{url}' (see https://x.org/a?b=c)")
    assert "s3c" not in said
    assert said.endswith("' (see https://x.org/a?b=c)")


@pytest.mark.parametrize(
    "url",
    ["results.db", "/home/me/a:b.db", "sqlite:////home/me@work/x.db", "postgresql://h:5432/d"],
)
def test_text_without_a_password_is_unchanged(url: str) -> None:
    assert hide_password(url) == (url, ())
    assert without_passwords(url) == url


@given(ANY, st.integers(3, 50))
def test_a_long_text_keeps_its_beginning_and_its_end(text: str, most: int) -> None:
    shortened = bounded(text, most)
    assert shortened == text or (len(text) > most and len(shortened) < most + 60)
    assert shortened.startswith(text[: most // 3])
    assert shortened.endswith(text[len(text) - most + most // 3 :])
