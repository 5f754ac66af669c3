"""Discovery of plugins: which values they offer, where they come from, and their faults."""

from __future__ import annotations

import inspect
import sys
import sysconfig
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import harness
from harness.contract import hookspecs
from harness.contract.registry import KINDS, Origin, Registry, load
from harness.errors import PluginError, UsageError, describe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEN_LINES = """\
import harness

class Half:
    def fit(self, X, y):
        self.K = int(y.max()) + 1
    def predict_proba(self, X):
        return [[1 / self.K] * self.K for _ in X]

@harness.hookimpl
def harness_models():
    yield harness.Model("half", lambda setting: Half())
"""


def plugin(name: str = "mine", **hooks: Callable[[], Any]) -> tuple[Origin, ModuleType]:
    """An installed plugin with these hooks, as discovery finds installed plugins."""
    module = ModuleType(name)
    for hook, function in hooks.items():
        setattr(module, hook, harness.hookimpl(function))
    return Origin(name, name, distribution=f"pkg-{name}", version="1.2"), module


def offers(*names: str) -> Callable[[], list[harness.Model]]:
    return lambda: [harness.Model(name, lambda setting: None) for name in names]


def test_shipped_plugins_are_found_by_their_entry_points() -> None:
    registry = load()
    assert "classification-harness" in str(registry.origin("models", "numpy-softmax"))
    assert {"threshold", "iris"} <= set(registry.datasets)
    assert "tables" in registry.reports
    assert "cpu" in registry.devices
    assert not registry.faults


def test_a_file_of_ten_lines_is_a_plugin(tmp_path: Path) -> None:
    file = tmp_path / "ten.py"
    file.write_text(TEN_LINES)
    registry = load([str(file)])
    assert registry.models["half"].name == "half"
    assert str(registry.origin("models", "half")) == str(file)


def test_a_plugin_file_imports_the_modules_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_ten.py").write_text("HALF = 'half'")
    file = tmp_path / "ten.py"
    file.write_text(f"from beside_ten import HALF\n{TEN_LINES.replace(repr('half'), 'HALF')}")
    assert "half" in load([str(file)]).models


def test_an_installed_module_comes_before_one_beside_a_plugin_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    (tmp_path / "colorsys.py").write_text("raise RuntimeError")
    file = tmp_path / "ten.py"
    file.write_text(f"import colorsys\n{TEN_LINES}")
    assert "half" in load([str(file)]).models
    assert str(sys.modules["colorsys"].__file__).startswith(sysconfig.get_paths()["stdlib"])


def test_a_plugin_can_be_given_as_a_module_name() -> None:
    registry = load(["harness.testing.faulty"])
    assert "faulty-abort" in registry.models


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import nowhere_to_be_found", "does not import: ModuleNotFoundError"),
        ("from . import beside", "a relative import needs a package, and a file alone has none"),
        ("from .beside import X", "import without the dot, or install the package"),
        ("from .conv_2d import X", "a relative import needs a package, and a file alone has none"),
        ("def broken(:", "does not import: SyntaxError"),
        ("raise SystemExit(3)", "does not import: SystemExit"),
        ("x = 1", "offers nothing: define one of harness_datasets"),
        ("def harness_models(): yield", "put @harness.hookimpl above harness_models"),
        (
            "import harness\n@harness.hookimpl\ndef harness_model(): yield",
            "no hook 'harness_model': did you mean 'harness_models'",
        ),
        (
            "import harness\n@harness.hookimpl\ndef harness_models(): yield 'knn'",
            "yielded 'knn', which is not a harness.Model",
        ),
        (
            "import harness\n@harness.hookimpl\ndef harness_models():\n  yield 1 / 0",
            "harness_models raised ZeroDivisionError",
        ),
    ],
)
def test_a_plugin_file_that_cannot_be_used_is_one_clear_error(
    text: str, complaint: str, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(text)
    with pytest.raises(PluginError) as raised:
        load([str(file)])
    assert complaint in str(raised.value)
    assert "wrong" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_plugin_file_is_an_error() -> None:
    with pytest.raises(PluginError, match=r"'nowhere/x\.py' does not exist"):
        load(["nowhere/x.py"])


def test_a_missing_module_is_an_error() -> None:
    with pytest.raises(PluginError, match=r"neither a \.py file nor a module"):
        load(["nowhere_at_all"])


def test_two_plugins_that_offer_the_same_name_are_an_error_that_names_both() -> None:
    with pytest.raises(PluginError, match=r"'logreg'.*'pkg-a 1.2'.*'pkg-b 1.2'.*rename"):
        Registry(
            [
                plugin("a", harness_models=offers("logreg")),
                plugin("b", harness_models=offers("logreg")),
            ],
            [],
        )


def test_an_installed_plugin_with_a_misspelt_hook_is_a_fault_and_the_others_load() -> None:
    registry = Registry(
        [
            plugin("a", harness_modles=offers("a-model")),
            plugin("b", harness_models=offers("b-model")),
        ],
        [],
    )
    assert list(registry.models) == ["b-model"]
    assert [str(fault) for fault in registry.faults] == [
        "plugin 'a' (pkg-a 1.2): no hook 'harness_modles': did you mean 'harness_models'?"
    ]


def test_an_installed_plugin_that_raises_is_a_fault_and_the_others_load() -> None:
    def raises() -> None:
        raise RuntimeError("no licence")

    registry = Registry(
        [plugin("a", harness_models=raises), plugin("b", harness_models=offers("b-model"))], []
    )
    assert list(registry.models) == ["b-model"]
    assert "no licence" in registry.faults[0].reason


def test_the_devices_hook_is_called_only_when_devices_are_needed() -> None:
    asked = []

    def devices() -> list[harness.Device]:
        asked.append(True)
        return [harness.Device("cuda:0")]

    registry = Registry([plugin(harness_devices=devices)], [])
    assert not asked
    assert list(registry.devices) == ["cpu", "cuda:0"]
    assert list(registry.devices) == ["cpu", "cuda:0"]
    assert len(asked) == 1


def test_the_error_of_an_unknown_name_suggests_the_nearest_names() -> None:
    registry = Registry([plugin(harness_models=offers("numpy-softmax"))], [])
    with pytest.raises(UsageError, match="no model 'numpy-sofmax': did you mean 'numpy-softmax'"):
        registry.models["numpy-sofmax"]


def test_an_origin_lists_the_values_that_it_offers() -> None:
    registry = Registry([plugin(harness_models=offers("one", "two"))], [])
    (origin,) = registry.plugins
    assert registry.offers_of(origin)["models"] == ("one", "two")


def test_a_change_of_a_plugins_code_changes_its_digest(tmp_path: Path) -> None:
    file = tmp_path / "ten.py"
    file.write_text(TEN_LINES)
    origin = Origin("ten", "ten", path=str(file))
    before = origin.digest()
    file.write_text(TEN_LINES.replace("1 /", "1.0 /"))
    assert origin.digest() != before


def test_every_kind_has_a_hook_without_arguments() -> None:
    for kind in KINDS:
        hook = getattr(hookspecs, f"harness_{kind}")
        assert not inspect.signature(hook).parameters
        assert hook.__doc__


def test_an_exception_whose_str_raises_is_described_by_its_type() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert describe(MuteError()) == "MuteError: (its text cannot be read)"


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (harness.Model(5, print), "a model with the name 5"),  # type: ignore[arg-type]
        (harness.Model("a b[c]", print), "a model with the name 'a b[c]'"),
        (harness.Model("m", None), "'m', whose make is not callable"),  # type: ignore[arg-type]
        (harness.Model("m", print, tags="toy"), "whose tags is 'toy'; write a tuple"),  # type: ignore[arg-type]
        (harness.Model("m", lambda _: None, epochs="n"), "'m', whose make has no parameter 'n'"),
        (harness.Model("m", print, default_in=("run",)), "'m', which is default in 'run'; there"),
        (harness.Model("m", print, needs=harness.Needs("float16")), "whose needs are"),  # type: ignore[arg-type]
    ],
)
def test_an_invalid_value_is_a_fault(value: Any, complaint: str) -> None:
    registry = Registry([plugin(harness_models=lambda: [value])], [])
    assert not registry.models
    assert complaint in str(registry.faults[0])


def test_an_unknown_kind_of_split_is_a_fault() -> None:
    dataset = harness.Dataset("d", "stale", print)  # type: ignore[arg-type]
    registry = Registry([plugin(harness_datasets=lambda: [dataset])], [])
    assert "of kind 'stale'; there are fresh, resampled, fixed" in str(registry.faults[0])


def test_a_hook_that_exits_or_takes_arguments_is_a_fault() -> None:
    def exits() -> None:
        raise SystemExit(0)

    def asks(config: object) -> None:
        return None

    registry = Registry(
        [plugin("a", harness_models=exits), plugin("b", harness_models=asks)],  # type: ignore[arg-type]
        [],
    )
    assert [fault.reason for fault in registry.faults] == [
        "a hook takes arguments, but hooks have none",
        "harness_models raised SystemExit: 0",
    ]


def test_looking_up_a_missing_name_raises_key_error() -> None:
    registry = Registry([plugin(harness_models=offers("one"))], [])
    assert registry.models.get("two") is None
    with pytest.raises(KeyError):
        registry.models["two"]
