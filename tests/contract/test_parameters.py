"""Parameters are read from a signature and written in brackets, both without loss."""

from __future__ import annotations

import functools
from collections.abc import Sequence  # noqa: TC003  # the harness reads it off a signature below
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.contract.parameters import Parameter, parameters_of, settled
from harness.contract.values import written
from harness.errors import PluginError, UsageError

if TYPE_CHECKING:
    from harness.contract.values import Setting, Value


def make(
    setting: Setting,  # only type checkers know this name
    hidden: tuple[int, ...] = (64, 64),
    *,
    activation: Literal["relu", "tanh"] = "tanh",
    l2: float = 1,
    clip: Optional[float] = None,  # noqa: UP045  # the old way of writing it
    epochs: int = 500,
    scheduler: str | None = "cosine",
    zero_grad: bool = True,
) -> object:
    return object()


KNOWN = parameters_of(make)


def of_the_mlp(**given: object) -> dict[str, Value]:
    return dict(settled("torch-mlp", KNOWN, given))


def test_a_signature_is_read_with_any_kind_of_annotation() -> None:
    assert {name: (p.kind, p.default) for name, p in KNOWN.items()} == {
        "hidden": ("ints joined by x", (64, 64)),
        "activation": ("relu or tanh", "tanh"),
        "l2": ("float", 1),
        "clip": ("float or none", None),
        "epochs": ("int", 500),
        "scheduler": ("str or none", "cosine"),
        "zero_grad": ("bool", True),
    }


def bare(setting, l2=0.1, hidden=(8,), depth=3, fast=False, solver="lbfgs", limit=None): ...  # type: ignore[no-untyped-def]


def test_without_an_annotation_the_default_gives_the_type() -> None:
    assert {name: p.kind for name, p in parameters_of(bare).items()} == {
        "l2": "float",
        "hidden": "ints joined by x",
        "depth": "int",
        "fast": "bool",
        "solver": "str",
        "limit": "anything",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [("none", None), ("true", True), ("3", 3), ("0.5", 0.5), ("relu", "relu")],
)
def test_a_parameter_of_any_type_is_read_as_the_type_that_it_looks_like(
    text: str, value: object
) -> None:
    parsed = Parameter("limit", None).parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


class Made:
    def __init__(self, setting: Setting, l2: float = 0.0, **others: Any) -> None: ...


@pytest.mark.parametrize(
    "recipe",
    [Made, functools.partial(Made, others=1), lambda setting, *rest, l2=0.0: None],
    ids=["class", "partial", "lambda"],
)
def test_parameters_are_read_from_any_callable(recipe: Any) -> None:
    assert parameters_of(recipe)["l2"].kind == "float"


def odd(
    setting: Setting,
    sizes: Sequence[int] = (1, 2),
    widths: list[int] = [3, 4],  # noqa: B006  # authors do write this
    pair: tuple[int, float] = (1, 0.5),
    plain: tuple = (1,),  # type: ignore[type-arg]
    rate: Annotated[float, "per step"] = 0.1,
    lost: Unheard = 7,  # type: ignore[name-defined]  # noqa: F821
) -> None: ...


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("sizes", "8x9", (8, 9)),
        ("widths", "8x9", (8, 9)),
        ("pair", "8x0.25", (8, 0.25)),
        ("plain", "8x9", (8, 9)),
        ("rate", "0.3", 0.3),
        ("lost", "8", 8),
    ],
)
def test_unusual_annotations_are_understood(name: str, text: str, value: object) -> None:
    assert parameters_of(odd)[name].parse(text) == value


@pytest.mark.parametrize("text", ["8", "8x0.25x1", "()", "0.25x8"])
def test_a_tuple_of_two_takes_exactly_two_values(text: str) -> None:
    with pytest.raises(ValueError, match=r"8|0\.25|\(\)"):
        parameters_of(odd)["pair"].parse(text)


def test_a_parameter_without_a_default_is_the_author_s_fault() -> None:
    with pytest.raises(PluginError, match="parameter 'l2' has no default; give it one"):
        parameters_of(lambda setting, l2: None)


def test_a_callable_without_a_signature_is_the_author_s_fault() -> None:
    with pytest.raises(PluginError, match="has no signature"):
        parameters_of(5)  # type: ignore[arg-type]


def test_the_error_of_an_unknown_parameter_names_the_nearest_parameters() -> None:
    with pytest.raises(UsageError, match="no parameter 'epoch': did you mean 'epochs'"):
        of_the_mlp(epoch="3")


def test_the_error_of_an_unknown_parameter_without_a_near_match_names_all_parameters() -> None:
    with pytest.raises(UsageError, match="there are activation, clip, epochs, hidden, l2, "):
        of_the_mlp(zzz="3")


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("epochs", "many", "epochs=many is not int (default 500)"),
        ("epochs", "1.5", "epochs=1.5 is not int (default 500)"),
        ("epochs", True, "epochs=true is not int (default 500)"),
        ("zero_grad", "1", "zero_grad=1 is not bool (default true)"),
        ("activation", "gelu", "activation=gelu is not relu or tanh (default tanh)"),
        ("hidden", "8xx8", "hidden=8xx8 is not ints joined by x (default 64x64)"),
        ("clip", "much", "clip=much is not float or none (default none)"),
        ("l2", None, "l2=none is not float (default 1)"),
    ],
)
def test_the_error_of_a_wrong_value_names_the_right_type(
    name: str, value: object, fault: str
) -> None:
    with pytest.raises(UsageError) as caught:
        of_the_mlp(**{name: value})
    assert str(caught.value) == f"'torch-mlp': {fault}"


def test_parameters_that_equal_the_default_are_dropped() -> None:
    assert (
        of_the_mlp(
            hidden="64x64",
            activation="tanh",
            l2="1.0",
            clip="none",
            epochs="500",
            scheduler="cosine",
            zero_grad="true",
        )
        == {}
    )


def test_an_int_and_an_equal_float_are_the_same_parameter_value() -> None:
    assert of_the_mlp(l2=2) == of_the_mlp(l2=2.0) == of_the_mlp(l2="2") == {"l2": 2.0}


def test_true_and_1_differ_for_a_parameter_that_takes_both_types() -> None:
    known = {"depth": Parameter("depth", 1, int | bool)}
    assert settled("m", known, {"depth": "true"}) == (("depth", True),)
    assert settled("m", known, {"depth": "1"}) == ()


def test_the_text_none_means_none_where_none_is_allowed() -> None:
    assert of_the_mlp(scheduler="none") == of_the_mlp(scheduler=None) == {"scheduler": None}
    assert of_the_mlp(scheduler="linear") == {"scheduler": "linear"}


def test_parameters_are_sorted_by_name() -> None:
    assert list(of_the_mlp(l2=3, epochs=2, clip=0.1)) == ["clip", "epochs", "l2"]


def test_python_values_are_checked_like_text() -> None:
    assert of_the_mlp(hidden=[8, 4], clip=1) == of_the_mlp(hidden="8x4", clip="1")
    assert of_the_mlp(hidden=()) == of_the_mlp(hidden="()") == {"hidden": ()}


WORDS = st.text("abcdefghijklmnopqrstuvwyz-_ ", min_size=1).filter(
    lambda word: word.strip() == word and word not in {"nan", "inf", "infinity", "none"}
)
FLOATS = st.floats(allow_nan=False)
CASES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (float, FLOATS),
    (bool, st.booleans()),
    (str, st.text()),
    (str | None, st.none() | WORDS),
    (int | float | None, st.none() | st.integers() | FLOATS),
    (float | int | bool, st.booleans() | st.integers() | FLOATS),
    (str | float, FLOATS | WORDS),
    (Literal["auto", 1, 2.5, False, None], st.sampled_from(["auto", 1, 2.5, False, None])),
    (Literal["auto"] | float, st.just("auto") | FLOATS),
    (tuple[int, ...], st.lists(st.integers()).map(tuple)),
    (tuple[float, ...], st.lists(FLOATS).map(tuple)),
    (tuple[float, float] | None, st.none() | st.tuples(FLOATS, FLOATS)),
]


@given(st.one_of(st.tuples(st.just(kind), values) for kind, values in CASES))
@example((tuple[float, ...], (float("inf"), -0.0, 1e-300)))
def test_a_parameter_reads_back_as_it_was_written(case: tuple[Any, Value]) -> None:
    annotation, value = case
    parsed = Parameter("it", None, annotation).parse(written(value))
    assert parsed == value
    assert type(parsed) is type(value)


@given(
    st.dictionaries(
        st.sampled_from(["l2", "epochs", "hidden", "clip"]),
        st.integers(1, 10**6) | FLOATS | st.lists(st.integers()),
    )
)
def test_settling_twice_changes_nothing(given: dict[str, object]) -> None:
    try:
        once = settled("m", KNOWN, given)
    except UsageError:
        return
    assert settled("m", KNOWN, dict(once)) == once


@pytest.mark.parametrize("value", ["\x1b[31mred", "two\nlines", "\u202eback"])
def test_a_character_that_cannot_be_shown_is_refused(value: str) -> None:
    """A terminal would get the character as part of the model's name."""
    known = {"tag": Parameter("tag", "none", str)}
    with pytest.raises(UsageError, match="cannot be shown") as caught:
        settled("m", known, {"tag": value})
    assert str(caught.value).isprintable()
