"""A file as a dataset, on the command line, in pyproject.toml and from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from command_line import Done, complaint_of, harness_in

import harness

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("known_plugins")


def stones(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size = rng.normal(size=n)
    return pd.DataFrame(
        {
            "stone_id": [f"S{i}" for i in range(n)],
            "size": size,
            "colour": rng.choice(["red", "green"], n),
            "kind": np.where(size > 0, "boulder", "pebble"),
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    stones().to_csv(tmp_path / "stones.csv", index=False)
    return tmp_path


MODELS = ("-m", "numpy-softmax", "-r", "2")
QUICK = (*MODELS, "--in-process")
"""Runs that start no process, for tests of what is read, printed or stored."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """A folder with a file and a run of it, which no test changes, and what the run printed."""
    folder = tmp_path_factory.mktemp("ran")
    stones().to_csv(folder / "stones.csv", index=False)
    return folder, harness_in(folder, "run", "-d", "stones.csv", "--target", "kind", *MODELS)


def test_one_command_ranks_models_on_a_file(ran: tuple[Path, Done]) -> None:
    _, done = ran
    assert done.status == 0
    assert "stones · 2 repeats (resampled)" in done.printed
    assert "stones: uses 2 of 3 columns; leaves out stone_id (identifier)" in done.remarks


def test_options_in_brackets_overrule_those_of_the_command(folder: Path) -> None:
    words = ("-d", "stones.csv[drop=colour,cv=3]", "--target", "kind", "--cv", "5")
    done = harness_in(folder, "run", *words, "-m", "numpy-softmax", "--in-process")
    assert done.status == 0
    assert "stones · 3" in done.printed
    assert "uses 1 of 3 columns" in done.remarks


def test_a_report_of_the_run_does_not_read_the_file_again(folder: Path) -> None:
    harness_in(folder, "run", "-d", "stones.csv", "--target", "kind", *QUICK)
    (folder / "stones.csv").unlink()
    assert harness_in(folder, "report").status == 0


def test_show_tells_what_becomes_of_each_column(folder: Path) -> None:
    done = harness_in(folder, "show", "stones.csv[target=kind]")
    assert done.status == 0
    rows = {line.split()[0]: line for line in done.printed.splitlines() if line.strip()}
    assert "identifier" in rows["stone_id"]
    assert "category" in rows["colour"]
    assert "may be a leak" in done.printed.replace("\n", " ")
    assert "the class" in rows["kind"]


def test_check_and_bench_take_a_file_too(folder: Path) -> None:
    done = harness_in(folder, "check", "stones.csv", "--target", "kind")
    assert done.status == 0
    assert "0 failed" in done.printed


def test_a_file_named_in_pyproject_is_a_dataset_of_the_project(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(
        '[tool.harness.datasets.rocks]\nfile = "stones.csv"\ntarget = "kind"\n'
        'drop = ["stone_id", "colour"]\n',
        encoding="utf-8",
    )
    assert "rocks" in harness_in(folder, "list", "datasets").printed
    (folder / "below").mkdir()
    done = harness_in(folder / "below", "run", "-d", "rock*", *QUICK)
    assert done.status == 0
    assert "rocks: uses 1 of 3 columns" in done.remarks


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('rocks = "stones.csv"', "[tool.harness.datasets.rocks] needs file"),
        ('rocks = { target = "kind" }', "[tool.harness.datasets.rocks] needs file"),
        ('rocks = { file = "stones.csv", cv = 1.5 }', "cv = 1.5 is neither text nor a list"),
        ('rocks = { file = "stone.csv" }', "there is no file"),
        ('rocks = { file = "stones.csv", targte = "kind" }', "no option 'targte'"),
    ],
)
def test_a_wrong_dataset_in_pyproject_is_one_line(folder: Path, text: str, fault: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.harness.datasets]\n{text}\n", encoding="utf-8")
    done = harness_in(folder, "run", "-d", "rocks", *QUICK)
    assert done.status == 2
    assert fault in complaint_of(done)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("stone.csv", "--target", "kind"), "there is no file 'stone.csv'"),
        (("stones.csv",), "which column holds the classes? Write --target kind"),
        (("stones.csv", "--target", "knd"), "knd"),
        (("stones.csv[target=kind|size]",), "target has several values"),
        (("stones.csv[targte=kind]",), "no option 'targte'"),
        (("stones.csv[target=kind,name=my stones]",), "'my stones' cannot be the name"),
        (("iris", "--target", "species"), "target= is an option of files"),
        (("stones.csv", "-d", "sub/stones.csv", "--target", "kind"), "[name=...]"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_and_status_2(
    folder: Path, words: tuple[str, ...], fault: str
) -> None:
    (folder / "sub").mkdir()
    stones(40).to_csv(folder / "sub" / "stones.csv", index=False)
    done = harness_in(folder, "run", "-d", *words, *QUICK)
    assert done.status == 2
    assert fault in complaint_of(done)
    assert "Traceback" not in done.remarks


def test_a_run_tells_the_file_and_the_options(ran: tuple[Path, Done]) -> None:
    folder, _ = ran
    shown = harness_in(folder, "show", "last").printed
    assert "stones.csv[name=stones,target=kind]" in shown


def test_compare_notices_that_the_file_has_changed(folder: Path) -> None:
    harness_in(folder, "run", "-d", "stones.csv", "--target", "kind", *QUICK)
    stones(80).to_csv(folder / "stones.csv", index=False)
    harness_in(folder, "run", "-d", "stones.csv", "--target", "kind", *QUICK)
    done = harness_in(folder, "compare", "previous", "last")
    assert "The file of dataset 'stones' or its options have changed" in done.printed


def test_a_change_of_the_test_file_is_noticed_too(folder: Path) -> None:
    for n in (30, 40):
        stones(n).to_csv(folder / "later.csv", index=False)
        words = ("--target", "kind", "--test", "later.csv")
        assert harness_in(folder, "run", "-d", "stones.csv", *words, *QUICK).status == 0
    done = harness_in(folder, "compare", "previous", "last")
    assert "The file of dataset 'stones' or its options have changed" in done.printed


def test_categories_of_intervals_are_categories_with_texts() -> None:
    frame = stones()
    frame["size"] = pd.cut(frame["size"], 3)
    assert harness.table(frame, "kind").selector


@pytest.mark.parametrize("as_frame", [True, False])
def test_a_frame_and_a_file_give_the_same_scores(folder: Path, as_frame: bool) -> None:
    data = stones() if as_frame else folder / "stones.csv"
    table = harness.table(data, "kind", name="stones", drop=["stone_id", "colour"])
    outcome = harness.run(table, "numpy-softmax", repeats=2, timing=False, store=folder / "s.db")
    ours = outcome.results[outcome.results["model"] == "numpy-softmax"]
    assert ours["status"].tolist() == ["ok", "ok"]
    assert ours["accuracy"].min() > 0.9
    assert set(outcome.results["dataset"]) == {"stones"}


BAD_FRAMES: list[tuple[Any, str]] = [
    (pd.DataFrame({"a": [1, "x", None], "kind": list("pqq")}), "column 'a' mixes types"),
    (pd.DataFrame({"a": [1 + 2j] * 3, "kind": list("pqq")}), "column 'a' mixes types, or holds"),
    (pd.DataFrame([[1, 2, "p"]], columns=["a", "a", "kind"]), "two columns 'a'; rename one"),
    (pd.DataFrame({"a": [1, 2], "kinds": list("pq")}), "has no column 'kind': did you mean 'kin"),
    ({"a": [1, 2], "kind": ["p"]}, "cannot be kept in a file"),
    (np.zeros((3, 2)), "give a DataFrame, an Arrow table or a dict of columns"),
]


@pytest.mark.parametrize(("data", "message"), BAD_FRAMES, ids=[case[1] for case in BAD_FRAMES])
def test_a_table_in_memory_that_cannot_be_used_is_refused_at_once(data: Any, message: str) -> None:
    with pytest.raises(harness.UsageError, match=message) as refused:
        harness.table(data, "kind")
    assert "\n" not in str(refused.value)


def test_a_sparse_frame_is_a_dataset() -> None:
    sparse = pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.0] * 10), "kind": ["p", "q"] * 10})
    assert "table.arrow" in str(harness.table(sparse, "kind"))


def test_a_file_named_like_an_installed_dataset_is_told_how_to_have_another_name(
    folder: Path,
) -> None:
    (folder / "stones.csv").rename(folder / "iris.csv")
    done = harness_in(folder, "run", "-d", "iris.csv", "--target", "kind", *QUICK)
    assert done.status == 2
    assert "'iris.csv[name=...]'" in complaint_of(done)
    renamed = ("run", "-d", "iris.csv[name=rocks]", "--target", "kind", *QUICK)
    assert harness_in(folder, *renamed).status == 0


def test_a_misspelt_suffix_names_the_file_that_is_meant(folder: Path) -> None:
    done = harness_in(folder, "run", "-d", "stones.cvs", "--target", "kind", *QUICK)
    assert done.status == 2
    assert "there is no file 'stones.cvs': did you mean 'stones.csv'?" in complaint_of(done)


def test_what_an_earlier_run_of_other_data_found_says_nothing_about_this_one(folder: Path) -> None:
    noisy = stones().assign(kind=["boulder", "pebble", "pebble"] * 20)
    noisy.to_csv(folder / "stones.csv", index=False)
    words = ("run", "-d", "stones.csv", "--target", "kind", *QUICK, "-m", "numpy-softmax[l2=1]")
    harness_in(folder, *words)
    assert "by run" not in harness_in(folder, *words, "--drop", "size").remarks
    assert "from the variances in run 1: 2 repeats detect" in harness_in(folder, *words).remarks


def test_a_number_of_folds_may_be_a_number() -> None:
    assert "cv=3" in harness.table(stones(), "kind", cv=3).selector


def test_an_option_that_names_no_column_is_refused() -> None:
    frame = stones()
    with pytest.raises(harness.UsageError, match="target is a Series; write the name of a column"):
        harness.table(frame, target=frame["kind"])  # type: ignore[arg-type]
    assert "drop" not in harness.table(frame, "kind", drop=None).selector
    assert "drop=stone_id+size" in harness.table(frame, "kind", drop=frame.columns[:2]).selector
