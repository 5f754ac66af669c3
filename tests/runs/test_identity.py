"""A trial's identity: it changes with all that its scores follow from, and with nothing else."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.contract.installed import Installed
from harness.contract.registry import load
from harness.contract.values import Choice, Trial
from harness.runs import identity
from harness.runs.identity import Identities
from harness.trials.trial import draw

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = """
import harness

import {helper}


@harness.hookimpl
def harness_models():
    yield harness.Model("{name}", make, requires=("sklearn",))


def make(setting, depth: int = 3):
    return {helper}.made(depth)
"""
HELPER = """
import deeper_helper


def made(depth):
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=depth)
"""
DATA = """
from pathlib import Path

import harness
import numpy as np


@harness.hookimpl
def harness_datasets():
    yield harness.Dataset("numbers", "fresh", split, description="Numbers of a file.")


def split(rng):
    X = np.loadtxt(Path(__file__).with_name("numbers.txt"))[:, None]
    return harness.Split(X, (X[:, 0] > 0).astype(int), X, (X[:, 0] > 0).astype(int))
"""
TABLE = "size,colour\n" + "".join(f"{i / 2},{'red' if i % 3 else 'blue'}\n" for i in range(30))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two plugins of models with a helper each, which need another; of data; a table; a class."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(MODEL.format(name=name, helper=f"{name}_helper"))
        (tmp_path / f"{name}_helper.py").write_text(HELPER)
    (tmp_path / "deeper_helper.py").write_text("DEPTH = 3\n")
    (tmp_path / "data.py").write_text(DATA)
    (tmp_path / "numbers.txt").write_text("-1\n2\n-3\n4\n")
    (tmp_path / "colours.csv").write_text(TABLE)
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    def fit(self, X, y):\n        return self\n"
    )
    with (tmp_path / "mine.py").open("a") as file:
        file.write("    def predict_proba(self, X):\n        return X\n")
    return tmp_path


TRIALS = {
    "one": Trial(Choice("iris"), Choice("one"), "cpu", 0, 0),
    "two": Trial(Choice("iris"), Choice("two"), "cpu", 0, 0),
    "data": Trial(Choice("numbers"), Choice("one"), "cpu", 0, 0),
    "table": Trial(Choice("colours"), Choice("numpy-softmax"), "cpu", 0, 0),
    "class": Trial(Choice("iris"), Choice("Mine"), "cpu", 0, 0),
    "shipped": Trial(Choice("iris"), Choice("numpy-softmax"), "cpu", 0, 0),
}


def identities(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The identity of each trial, by a fresh look at code, versions and files."""
    monkeypatch.syspath_prepend(str(folder))
    plugins = [str(folder / name) for name in ("one.py", "two.py", "data.py")]
    plugins += [f"{folder / 'colours.csv'}[target=colour]", f"{folder / 'mine.py'}:Mine"]
    found = Identities(load(plugins))
    return {name: found.of(trial) for name, trial in TRIALS.items()}


def rewritten(name: str, old: str, new: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def change(folder: Path, _: pytest.MonkeyPatch) -> None:
        file = folder / name
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    return change


def version(name: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    """Another version of a library."""

    def change(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = Installed.version
        monkeypatch.setattr(
            Installed,
            "version",
            lambda installed, each: "0.0.1" if each == name else real(installed, each),
        )

    return change


def patched(target: object, name: str, value: object) -> Callable[[Path, pytest.MonkeyPatch], None]:
    return lambda _, monkeypatch: monkeypatch.setattr(target, name, value)


def own_code(name: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    """A changed line in one of the harness's own files."""

    def change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        house = folder / "house" / "harness"
        shutil.copytree(Path(identity.__file__).parents[1], house)
        with (house / name).open("a") as file:
            file.write("\n# changed\n")
        real = identity.core()
        monkeypatch.setattr(
            identity, "core", lambda: type(real)("core", "harness", path=str(house))
        )

    return change


EVERY = set(TRIALS)
OF_SCIKIT_LEARN = {"one", "two", "data"}
CHANGES: dict[str, tuple[Callable[[Path, pytest.MonkeyPatch], None], set[str]]] = {
    "a plugin's line": (rewritten("one.py", "yield", "yield  "), {"one", "data"}),
    "a parameter's default": (
        rewritten("one.py", "depth: int = 3", "depth: int = 4"),
        {"one", "data"},
    ),
    "its helper module": (
        rewritten("one_helper.py", "max_depth=depth", "max_depth=2"),
        {"one", "data"},
    ),
    "a helper of helpers": (rewritten("deeper_helper.py", "3", "4"), {"one", "two", "data"}),
    "the code of a dataset": (rewritten("data.py", "> 0", ">= 0"), {"data"}),
    "a table": (rewritten("colours.csv", "3.5,red", "3.5,blue"), {"table"}),
    "a class": (rewritten("mine.py", "return X", "return X + 1"), {"class"}),
    "a library": (version("scikit-learn"), OF_SCIKIT_LEARN),
    "a library that a library needs": (version("joblib"), OF_SCIKIT_LEARN),
    "a library that all need": (version("numpy"), EVERY),
    "a library that none needs": (version("rich"), set()),
    "the scoring": (own_code("trials/scoring.py"), EVERY),
    "the preparation": (own_code("trials/preparation.py"), EVERY),
    "the statistics of rows": (own_code("statistics/rows.py"), EVERY),
    "what only shows": (own_code("sheets/remarks.py"), set()),
    "the threads": (patched(identity, "THREADS", 2), EVERY),
    "Python": (patched(platform, "python_version", lambda: "3.99.0"), EVERY),
    "the processor": (patched(identity, "processor", lambda: "another"), EVERY),
    "a file that nobody reads": (lambda folder, _: (folder / "x.txt").write_text("x"), set()),
}


def test_without_a_change_identities_are_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = identities(folder, monkeypatch)
    assert found == identities(folder, monkeypatch)
    assert len(set(found.values())) == len(TRIALS)


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_noticed_by_the_trials_that_follow_from_it_and_by_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    change, expected = CHANGES[what]
    before = identities(folder, monkeypatch)
    change(folder, monkeypatch)
    after = identities(folder, monkeypatch)
    assert {name for name in TRIALS if before[name] != after[name]} == expected


@pytest.mark.parametrize(
    "other",
    [
        Trial(Choice("iris"), Choice("one"), "cpu", 1, 0),
        Trial(Choice("iris"), Choice("one"), "cpu", 0, 1),
        Trial(Choice("iris"), Choice("one", (("depth", 2),)), "cpu", 0, 0),
        Trial(Choice("iris", (("train_size", 50),)), Choice("one"), "cpu", 0, 0),
        Trial(Choice("iris"), Choice("one", (("prepare", "raw"),)), "cpu", 0, 0),
        Trial(Choice("wine"), Choice("one"), "cpu", 0, 0),
    ],
)
def test_repeat_seed_parameters_and_preparation_are_part_of_the_identity(
    folder: Path, monkeypatch: pytest.MonkeyPatch, other: Trial
) -> None:
    monkeypatch.syspath_prepend(str(folder))
    found = Identities(load([str(folder / "one.py")]))
    assert found.of(other) != found.of(TRIALS["one"])


def test_what_a_dataset_gave_is_known_by_the_digest_of_its_split(folder: Path) -> None:
    (dataset,) = [
        each for each in load([str(folder / "data.py")]).datasets.values() if each.name == "numbers"
    ]
    before = draw(dataset, 0, {}).digest
    assert draw(dataset, 1, {}).digest == before  # nothing is drawn at random
    (folder / "numbers.txt").write_text("-1\n2\n-3\n4.0000001\n")
    assert draw(dataset, 0, {}).digest != before


# Code that is reached in other ways

NUMBER = "NUMBER = 1\n"
USES = MODEL.replace("import {helper}\n", "{reach}\n").replace(
    "return {helper}.made(depth)", "return DecisionTreeClassifier(max_depth=NUMBER)"
)


def written(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("plugin", "reach", "helper"),
    [
        ("pack.plug", "from .near import NUMBER", "pack/near.py"),
        ("pack.plug", "from . import near", "pack/near.py"),
        ("pack.inner.plug", "from ..near import NUMBER", "pack/near.py"),
        ("pack.plug", "from pack.near import NUMBER", "pack/near.py"),
        ("pack.plug", "from .inner.near import NUMBER", "pack/inner/__init__.py"),
        ("pack", "from .linked.near import NUMBER", "elsewhere/near.py"),
        ("plug.py", "from bare.near import NUMBER", "bare/near.py"),
        ("plug.py", "from edited import NUMBER", "edited.py"),
        ("plug.py", "import importlib; NUMBER = importlib.import_module('edited').NUMBER",
         "edited.py"),
        ("plug.py", "import importlib; NUMBER = importlib.import_module('pack.near').NUMBER",
         "pack/near.py"),
        ("plug.py", "NUMBER, named = 1, 'edited.py:Mine'", "edited.py"),
        ("plug.py", "NUMBER, named = 1, 'edited:Mine'", "edited.py"),
        ("plug.py", "NUMBER, named = 1, './bare/near.py:Mine.Inner'", "bare/near.py"),
    ],
)  # fmt: skip
def test_a_helper_is_noticed_however_it_is_imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, plugin: str, reach: str, helper: str
) -> None:
    monkeypatch.syspath_prepend(str(folder))
    inner = {f"pack/{name}": "" for name in ("__init__.py", "inner/__init__.py")}
    near = ("pack/near.py", "pack/inner/near.py", "elsewhere/near.py", "bare/near.py", "edited.py")
    written(folder, inner | dict.fromkeys(near, NUMBER))
    (folder / "pack" / "linked").symlink_to(folder / "elsewhere")
    # As an editable installation lists it: the version does not tell the code.
    info = {
        "METADATA": "Metadata-Version: 2.1\nName: edited\nVersion: 1\n",
        "RECORD": "edited.py,,\n",
    }
    written(folder, {f"edited-1.dist-info/{name}": text for name, text in info.items()})
    file = plugin if plugin.endswith(".py") else f"{plugin.replace('.', '/')}.py"
    file = "pack/__init__.py" if plugin == "pack" else file
    code = "from sklearn.tree import DecisionTreeClassifier\n" + USES.format(name="it", reach=reach)
    written(folder, {file: code})
    spec = str(folder / plugin) if plugin.endswith(".py") else plugin

    def identity_of() -> str:
        for name in [name for name in sys.modules if name.partition(".")[0] == "pack"]:
            del sys.modules[name]
        return Identities(load((spec,))).of(Trial(Choice("iris"), Choice("it"), "cpu", 0, 0))

    before = identity_of()
    assert identity_of() == before
    (folder / helper).write_text(NUMBER + "# changed\n")
    assert identity_of() != before


def test_the_code_of_a_class_inside_a_class_is_noticed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(folder))
    code = "from sklearn import tree\nclass Stump(tree.DecisionTreeClassifier): ...\n"
    written(folder, {"stumps.py": code})
    bagging = Choice("BaggingClassifier", (("estimator", "stumps:Stump"),))
    registry = load(("sklearn.ensemble:BaggingClassifier",))
    trial = Trial(Choice("iris"), bagging, "cpu", 0, 0)
    before = Identities(registry).of(trial)
    (folder / "stumps.py").write_text(code + "# changed\n")
    assert Identities(registry).of(trial) != before


@pytest.mark.parametrize(
    "reach",
    [
        f"from {'.' * 40} import anything",
        f"from .{'a' * 300} import anything",
        f"from . import {'a' * 300}",
        f"import {'a' * 300}",
    ],
)
def test_imports_that_can_never_work_are_no_fault_of_the_harness(folder: Path, reach: str) -> None:
    (folder / "inner").mkdir()
    (folder / "odd.py").write_text(
        USES.format(name="odd", reach=f"NUMBER = 1\n\n\ndef never():\n    {reach}\n")
    )
    registry = load((str(folder / "odd.py"),))
    assert Identities(registry).of(Trial(Choice("iris"), Choice("odd"), "cpu", 0, 0))
