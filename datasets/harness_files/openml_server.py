"""Fetches from OpenML: datasets through scikit-learn, tasks and suites through the JSON API."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import socket
import urllib.error
import urllib.parse
import urllib.request
import warnings
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

import harness
from harness_files.sources import plain, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = "https://www.openml.org"

MIRROR = "HARNESS_OPENML_SERVER"
"""Environment variable with the address of another server that answers as OpenML does."""

MOST_ROWS = 100_000_000
"""Numbers of rows from here on count as faults."""

PATIENCE = 60.0
"""Seconds without a byte after which a server counts as down."""


DOWN = (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException)
"""Errors of the network and of the server."""


class _ToMirror(urllib.request.BaseHandler):
    """Sends requests for OpenML to another server; scikit-learn knows only OpenML's address."""

    handler_order = 100  # before the handlers that write the header Host

    def __init__(self, mirror: str) -> None:
        self.mirror = mirror

    def https_request(self, request: urllib.request.Request) -> urllib.request.Request:
        """The request, with the mirror's address if it is for OpenML."""
        host = request.host or ""
        if host == "openml.org" or host.endswith(".openml.org"):
            request.full_url = self.mirror + request.selector
        return request

    http_request = https_request


def mirror() -> str:
    """The address of the server to ask instead of OpenML; empty if there is none.

    Raises:
        harness.UsageError: it is no address.
    """
    address = os.environ.get(MIRROR, "").rstrip("/")
    if address and not address.startswith(("http://", "https://")):
        raise harness.UsageError(f"{MIRROR}={address} must begin with http:// or https://")
    return address


@contextmanager
def _connected(where: str, noun: str) -> Iterator[None]:
    """Let urllib ask the right server, and raise what goes wrong as one line."""
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    address = mirror()
    if address:
        urllib.request.install_opener(urllib.request.build_opener(_ToMirror(address)))
    try:
        yield
    except urllib.error.HTTPError as error:
        with error:
            reason = _reason(error)
        if error.code in (404, 412):
            raise _unknown(where, noun, reason) from error
        raise harness.UsageError(
            f"{where}: {address or SERVER} answers with an error ({reason}); try again later"
        ) from error
    except DOWN as error:
        raise harness.UsageError(
            f"{where}: {address or SERVER} cannot be reached "
            f"({getattr(error, 'reason', None) or error}); try again later: the network is needed "
            "once only"
        ) from error
    except OSError as error:
        raise harness.UsageError(
            f"{where}: scikit-learn's cache fails ({plain(str(error))}); set SCIKIT_LEARN_DATA to "
            "a folder that can be written"
        ) from error
    finally:
        socket.setdefaulttimeout(patience)
        if address:
            urllib.request.install_opener(None)  # the default


def _reason(error: urllib.error.HTTPError) -> str:
    """What OpenML says in the body of an error, or else the status."""
    try:
        said = json.loads(error.read())["error"]
        return plain(f"{said['message']}")
    except (ValueError, KeyError, TypeError, OSError):
        return f"HTTP {error.code}"


def _unknown(where: str, noun: str, reason: str) -> harness.UsageError:
    kind = {"dataset": "data", "suite": "study"}.get(noun, noun)
    return harness.UsageError(
        f"{where}: OpenML gives no such {noun} ({reason}); look its number up at "
        f"{SERVER}/search?type={kind}"
    )


def fetch_data(data_id: int, where: str) -> tuple[pa.Table, dict[str, Any]]:
    """A dataset's table, and facts about it.

    Raises:
        harness.UsageError: it cannot be fetched; names the address, the fault and a way out.
    """
    try:
        from sklearn.datasets import fetch_openml
    except ImportError as error:
        raise harness.UsageError(
            f"{where}: scikit-learn, which reads OpenML, is not installed here; "
            "pip install 'classification-harness[sklearn]'"
        ) from error
    page = f"{SERVER}/d/{data_id}"
    try:
        # What scikit-learn warns of is among the facts: see `warnings_of`.
        with _connected(where, "dataset"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = partial(fetch_openml, data_id=data_id, as_frame=True, n_retries=1)
            try:
                bunch = read(parser="auto")
            except TypeError:
                # The quick parser of scikit-learn 1.9 fails on categories TRUE and FALSE.
                bunch = read(parser="liac-arff")
        table = pa.Table.from_pandas(bunch.frame, preserve_index=False)
    except (ValueError, LookupError, TypeError, pa.ArrowException) as error:
        reason = plain(str(error))
        if "not found" in reason:
            raise _unknown(where, "dataset", reason.rstrip(".")) from error
        if "Sparse ARFF" in reason:
            raise harness.UsageError(
                f"{where}: its format is sparse ARFF, of which no table is made here; choose a "
                f"version in ARFF: see {page}"
            ) from error
        raise harness.UsageError(
            f"{where}: scikit-learn cannot read it: {reason}; see {page}"
        ) from error
    details = {key: value for key, value in bunch.details.items() if isinstance(value, str)}
    facts: dict[str, Any] = {
        key: details.get(key, "")
        for key in ("name", "version", "licence", "citation", "status", "error", "warning")
    }
    return table.replace_schema_metadata(None), facts | {"targets": list(bunch.target_names)}


def _get(url: str, where: str, noun: str) -> bytes:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise harness.UsageError(f"{where}: OpenML gives '{shown(url)}' as an address")
    with _connected(where, noun), urllib.request.urlopen(url) as answer:  # noqa: S310  # checked
        return bytes(answer.read())


def _get_json(path: str, where: str, noun: str) -> dict[str, Any]:
    """The value of the one key in an answer of the JSON API."""
    text = _get(f"{SERVER}/api/v1/json/{path}", where, noun)
    try:
        (answer,) = json.loads(text).values()
        return dict(answer)
    except (ValueError, AttributeError, TypeError) as error:
        raise harness.UsageError(
            f"{where}: {mirror() or SERVER} answers with something other than OpenML's JSON; try "
            "again later"
        ) from error


def _list(value: Any) -> list[Any]:
    """A list in JSON that was made of XML, where one item stands alone."""
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def fetch_task(task_id: int, where: str) -> dict[str, Any]:
    """Facts about a task: ``type``, ``data_id``, ``target``, ``procedure`` and ``url`` of splits.

    Raises:
        harness.UsageError: it cannot be fetched.
    """
    task = _get_json(f"task/{task_id}", where, "task")
    try:
        inputs = {given["name"]: given for given in _list(task["input"])}
        source = inputs["source_data"]["data_set"]
        facts: dict[str, Any] = {
            "type": str(task["task_type"]),
            "data_id": int(source["data_set_id"]),
            "target": str(source.get("target_feature") or ""),
        }
        procedure = inputs.get("estimation_procedure", {}).get("estimation_procedure", {})
        facts["procedure"] = str(procedure.get("type") or "")
        facts["url"] = str(procedure.get("data_splits_url") or "")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise harness.UsageError(
            f"{where}: OpenML describes the task in an unknown way ({error!r}); name its dataset "
            "instead: openml:ID"
        ) from error
    return facts


def fetch_suite(suite_id: int, where: str) -> list[int]:
    """The numbers of a suite's tasks.

    Raises:
        harness.UsageError: it cannot be fetched, or has no tasks.
    """
    study = _get_json(f"study/{suite_id}", where, "suite")
    try:
        tasks = [int(task) for task in _list((study.get("tasks") or {}).get("task_id"))]
    except (AttributeError, TypeError, ValueError):
        tasks = []
    if not tasks:
        raise harness.UsageError(
            f"{where}: has no tasks, so it is no suite; look for one at "
            f"{SERVER}/search?type=study&study_type=task"
        )
    return tasks


def fetch_splits(url: str, where: str) -> pa.Table:
    """A task's published splits: ``test`` (bool), ``rowid``, ``repeat`` and ``fold``, from 0.

    Raises:
        harness.UsageError: they cannot be fetched or read.
    """
    text = _get(url, where, "task")
    head, *rest = re.split(rb"(?im)^[ \t]*@data[ \t]*\r?\n", text, maxsplit=1)
    names = [
        name.decode("utf8", "replace").lower()
        for name in re.findall(rb"(?im)^[ \t]*@attribute[ \t]+['\"]?(\w+)", head)
    ]
    numbers = ("rowid", "repeat", "fold")
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(rest[0]),
            read_options=arrow_csv.ReadOptions(column_names=names),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=["type", *numbers],
                column_types={"type": pa.string()} | dict.fromkeys(numbers, pa.float64()),
            ),
        )
        is_test = pc.equal(pc.utf8_upper(table["type"]), "TEST")
        columns = {name: pc.cast(pc.cast(table[name], pa.uint32()), pa.int64()) for name in numbers}
        if any(column.null_count for column in (is_test, *columns.values())):
            raise pa.ArrowInvalid("a value is missing")
        most = {name: pc.max(column).as_py() or 0 for name, column in columns.items()}
        if most["rowid"] >= MOST_ROWS or (most["repeat"] + 1) * (most["fold"] + 1) > len(table):
            raise pa.ArrowInvalid("its numbers are too large")
    except (IndexError, pa.ArrowException) as error:
        raise harness.UsageError(
            f"{where}: its published splits cannot be read ({plain(str(error))}); "
            "split its dataset otherwise: openml:ID[cv=10]"
        ) from error
    return pa.table({"test": is_test, **columns})
