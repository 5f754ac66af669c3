"""The nearest pyproject.toml gives defaults for the command line and environment variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.errors import UsageError
from harness.settings import STORE, Settings, choose_store, read_settings

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text)
    return folder


def test_every_setting_is_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        [tool.harness]
        plugins = ["models/mine.py", "my_package.models"]
        store = "results/all.db"
        [tool.harness.run]
        datasets = ["toy:*"]
        models = ["torch-*", "numpy-softmax[l2=0|1]"]
        repeats = 10
        seed = 3
        device = ["cuda"]
        jobs = 2
        timeout = "5m"
        memory = "2G"
        """,
    )
    settings = read_settings(tmp_path)
    assert settings.plugins == (str(tmp_path / "models/mine.py"), "my_package.models")
    assert settings.store == str(tmp_path / "results/all.db")
    assert settings.run == {
        "datasets": ["toy:*"],
        "models": ["torch-*", "numpy-softmax[l2=0|1]"],
        "repeats": 10,
        "seed": 3,
        "device": ["cuda"],
        "jobs": 2,
        "timeout": "5m",
        "memory": "2G",
    }


def test_the_nearest_file_is_used_and_its_paths_are_relative_to_its_folder(tmp_path: Path) -> None:
    write(tmp_path, '[tool.harness]\nplugins = ["far.py"]')
    near = write(tmp_path / "near", '[tool.harness]\nplugins = ["a.py"]')
    below = near / "one" / "two"
    below.mkdir(parents=True)
    assert read_settings(below).plugins == (str(near / "a.py"),)


def test_the_search_begins_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write(tmp_path, "[tool.harness.run]\nrepeats = 7"))
    assert read_settings().run == {"repeats": 7}


def test_a_file_without_the_harness_table_sets_nothing(tmp_path: Path) -> None:
    assert read_settings(write(tmp_path, '[project]\nname = "x"')) == Settings()


def test_a_store_s_url_and_absolute_paths_are_unchanged(tmp_path: Path) -> None:
    write(tmp_path, '[tool.harness]\nstore = "postgresql://host/db"\nplugins = ["/opt/a.py"]')
    settings = read_settings(tmp_path)
    assert settings.store == "postgresql://host/db"
    assert settings.plugins == ("/opt/a.py",)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[tool.harness", "is not valid TOML: "),
        (
            "[tool.harness]\nplugin = []",
            "[tool.harness] has no key 'plugin': did you mean 'plugins'?",
        ),
        (
            "[tool.harness.run]\nrepeat = 5",
            "[tool.harness.run] has no key 'repeat': did you mean 'repeats'?",
        ),
        ("[tool]\nharness = 5", "tool.harness = 5 is not a table"),
        ("[tool.harness]\nrun = 5", "[tool.harness] run = 5 is not a table"),
        ("[tool.harness]\nstore = 5", "[tool.harness] store = 5 is not a string"),
        ("[tool.harness]\nplugins = 'a.py'", "plugins = 'a.py' is not a list of strings"),
        ("[tool.harness]\nplugins = [1]", "plugins = [1] is not a list of strings"),
        ("[tool.harness.run]\njobs = '2'", "jobs = '2' is not an integer"),
        ("[tool.harness.run]\nseed = true", "seed = True is not an integer"),
        ("[tool.harness.run]\nmemory = 1.5", "memory = 1.5 is not an integer or a string"),
    ],
)
def test_a_fault_is_reported_with_its_file(tmp_path: Path, text: str, fault: str) -> None:
    write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_settings(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'pyproject.toml'}: ")
    assert fault in str(caught.value)


def test_a_binary_file_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not valid TOML"):
        read_settings(tmp_path)


def test_command_line_beats_environment_beats_file_beats_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(store="of-the-file.db")
    monkeypatch.setenv("HARNESS_STORE", "of-the-environment.db")
    assert choose_store("given.db", settings) == "given.db"
    assert choose_store(None, settings) == "of-the-environment.db"
    monkeypatch.delenv("HARNESS_STORE")
    assert choose_store(None, settings) == "of-the-file.db"
    assert choose_store(None, Settings()) == STORE == "harness.db"


def test_an_empty_environment_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STORE", "")
    assert choose_store(None, Settings()) == STORE
