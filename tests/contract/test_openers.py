"""Files and addresses are selected like datasets; each misspelling names the way out."""

from __future__ import annotations

import gc
import importlib.metadata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness
from harness.contract import openers
from harness.contract.openers import Opening, opened, opening, opens
from harness.contract.selectors import quoted
from harness.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.text(st.one_of(st.sampled_from("ab[]|,=+*:\"'\\ \n\t"), st.characters()), max_size=12)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a table in it."""
    (tmp_path / "churn.csv").write_text("x,y\n1,a\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("churn.csv", "churn", {}),
        (" churn.csv ", "churn", {}),
        ("./churn.csv[target=y]", "churn", {"target": "y"}),
        ("churn.csv[name=mine,drop=a+b]", "mine", {"drop": "a+b"}),
        ("'churn.csv'[drop='a,b']", "churn", {"drop": "a,b"}),
    ],
)
def test_an_existing_file_is_opened_with_its_options(
    folder: Path, text: str, name: str, options: dict[str, str]
) -> None:
    file = opening(text)
    assert file == Opening(str(folder / "churn.csv"), name, options, "csv")
    assert file.selector == name


def test_options_in_the_selector_overrule_those_beside_it(folder: Path) -> None:
    file = opening("churn.csv[target=y]", {"target": "z", "cv": "5"})
    assert file is not None
    assert file.options == {"target": "y", "cv": "5"}


@pytest.mark.parametrize(
    "name",
    ["a[1].csv", "a[p=1].csv", "a,b.csv", "it's.csv", "a b.csv", "a=b|c.csv", "ä.csv", "*.csv"],
)
def test_a_file_of_any_name_is_opened_as_it_is(folder: Path, name: str) -> None:
    (folder / name).write_text("x,y\n")
    file = opening(name)
    assert file is not None
    assert file.head == str(folder / name)
    assert opening(file.spec) == file


@pytest.mark.parametrize("text", ["iris", "toy:*", "iris[n=1]", "nothing.csvx", "a?b*.csv"])
def test_what_looks_like_no_file_is_left_to_names(folder: Path, text: str) -> None:
    assert opening(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chrun.csv", "there is no file 'chrun.csv': did you mean 'churn.csv'?"),
        ("data/churn.csv", "there is no file 'data/churn.csv': check the path"),
        ("'no such'", "there is no file 'no such'"),
        ("x.xlsx", "no installed plugin opens files that end in .xlsx"),
        ("./x.xlsx", "no installed plugin opens files that end in .xlsx"),
        ("churn.csv[target=a|b]", "target has several values"),
        ("churn.csv[target]", "'target' is no parameter=value"),
        ("x" * 5000 + ".csv", "there is no file"),
        ("/" + "x" * 300 + "/a.csv", "there is no file"),
        ("a\0b/c.csv", "there is no file"),
    ],
)
def test_a_file_that_cannot_be_opened_is_refused_with_the_way_out(
    folder: Path, text: str, message: str
) -> None:
    (folder / "x.xlsx").write_text("")
    with pytest.raises(UsageError) as refusal:
        opening(text)
    assert message in str(refusal.value)


@pytest.fixture(scope="module")
def odd_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file whose name needs quotes."""
    file = tmp_path_factory.mktemp("odd, [p=1] it's") / 'a "b"|c.csv'
    file.write_text("x,y\n")
    return str(file)


@given(st.dictionaries(st.sampled_from(["target", "drop", "cv"]), TEXTS), TEXTS.filter(bool))
def test_an_opening_reads_back_from_its_text(
    odd_file: str, options: dict[str, str], name: str
) -> None:
    file = Opening(odd_file, name, options, "csv")
    assert opening(file.spec) == file


@pytest.fixture
def openml(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed plugin that opens addresses."""
    entry = importlib.metadata.EntryPoint("openml", "nowhere:open", openers.GROUP)
    monkeypatch.setattr(openers, "openers", lambda: {"openml": entry})


@pytest.mark.parametrize(
    ("text", "head", "options"),
    [
        ("openml:31", "openml:31", {}),
        ("openml:31[target=a,cv='5']", "openml:31", {"target": "a", "cv": "5"}),
        ("openml:a]b", "openml:a]b", {}),
        ("openml:a[b]c", "openml:a[b]c", {}),
    ],
)
def test_an_address_is_opened_by_its_scheme(
    openml: None, text: str, head: str, options: dict[str, str]
) -> None:
    address = opening(text)
    assert address is not None
    assert (address.head, address.options, address.is_file) == (head, options, False)
    assert opening(address.spec) == address


@given(TEXTS)
def test_any_text_opens_a_file_or_is_refused_as_the_users_error(text: str) -> None:
    opens(text)
    try:
        file = opening(text)
    except UsageError:
        return
    assert file is None


def test_a_misspelt_option_names_the_nearest(folder: Path) -> None:
    file = opening("churn.csv[traget=y]")
    assert file is not None
    with pytest.raises(UsageError, match=r"no option 'traget': did you mean 'target'\?"):
        file.datasets()


def test_files_become_texts_to_open_and_selectors_of_datasets(folder: Path) -> None:
    specs, names = opened(["iris", "churn.csv"], {"target": "y"})
    assert specs == [f"{folder}/churn.csv[name=churn,target=y]"]
    assert names == ["iris", "churn"]


def test_two_files_of_one_name_are_refused(folder: Path) -> None:
    (folder / "b").mkdir()
    (folder / "b" / "churn.csv").write_text("x,y\n")
    with pytest.raises(UsageError, match=r"both be dataset 'churn'; write '.*/b/churn.csv\[name="):
        opened(["churn.csv", "b/churn.csv"])
    specs, names = opened(["churn.csv", "b/churn.csv[name=old]", "churn.csv"])
    assert (len(specs), names) == (2, ["churn", "old", "churn"])


def test_options_without_a_file_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="cv= is an option of files; name one with -d FILE"):
        opened(["iris"], {"cv": "5"})


@pytest.mark.parametrize(
    ("selectors", "is_opened"),
    [
        ([], True),
        (["declared"], True),
        (["decl*"], True),
        (["file:*"], True),
        (["iris"], False),
        (["toy:*"], False),
    ],
)
def test_a_declared_file_is_opened_if_it_is_selected(
    folder: Path, selectors: list[str], is_opened: bool
) -> None:
    declared = {"declared": {"file": str(folder / "churn.csv"), "target": "y"}}
    specs, names = opened(selectors, None, declared)
    assert specs == ([f"{folder}/churn.csv[name=declared,target=y]"] if is_opened else [])
    assert names == selectors


def test_a_file_of_a_declared_name_does_not_open_the_declared_one(folder: Path) -> None:
    declared = {"churn": {"file": str(folder / "churn.csv"), "target": "y"}}
    specs, names = opened(["churn.csv[target=x]"], None, declared)
    assert specs == [f"{folder}/churn.csv[name=churn,target=x]"]
    assert names == ["churn"]


def test_options_overrule_those_of_a_declared_file(folder: Path) -> None:
    declared = {"churn": {"file": str(folder / "churn.csv"), "target": "y"}}
    specs, _ = opened(["churn"], {"target": "x"}, declared)
    assert specs == [f"{folder}/churn.csv[name=churn,target=x]"]
    specs, names = opened(["churn[target=z,drop=a]"], {"target": "x"}, declared)
    assert specs == [f"{folder}/churn.csv[drop=a,name=churn,target=z]"]
    assert names == ["churn"]
    specs, names = opened(["churn", "churn[target=z,name=other]"], {}, declared)
    assert specs == [
        f"{folder}/churn.csv[name=other,target=z]",
        f"{folder}/churn.csv[name=churn,target=y]",
    ]
    assert names == ["churn", "other"]


def test_a_table_that_was_in_memory_says_why_it_is_gone() -> None:
    table = harness.table({"x": [1, 2], "y": ["a", "b"]}, "y")
    selector = str(table)
    assert opening(selector)
    del table
    gc.collect()
    with pytest.raises(UsageError, match=r"'table\.arrow' was a table in the memory of a Python"):
        opening(selector)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("ünï cödé.csv", "uni-code"),
        ("a..b__c.csv", "a-b-c"),
        ("2026.01 sales.csv", "2026.01-sales"),
        ("東京.csv", "table"),
    ],
)
def test_a_dataset_is_named_after_its_file(tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).write_text("x,y\n1,2\n", encoding="utf-8")
    found = opening(quoted(str(tmp_path / file)))
    assert found is not None
    assert found.name == name
