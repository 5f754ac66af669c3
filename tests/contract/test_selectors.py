"""What users select is parsed by one grammar, and what the harness writes reads back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.contract.selectors import Selector, quoted
from harness.errors import UsageError

TEXTS = st.text(
    st.one_of(st.sampled_from("ab[]()|,=+*:\"'\\ \n\t"), st.characters()), min_size=1, max_size=12
)


@pytest.mark.parametrize(
    ("text", "head", "parameters"),
    [
        ("iris", "iris", None),
        ("  iris  ", "iris", None),
        ("toy:*", "toy:*", None),
        ("m[ao]del*", "m[ao]del*", None),  # a class of letters: brackets do not end the text
        ("iris[]x", "iris[]x", None),
        ("a[C=1]", "a", {"C": ("1",)}),
        ("a [ C = 1 | 10 , b = x y ]", "a", {"C": ("1", "10"), "b": ("x y",)}),
        ("a[drop='x,y']", "a", {"drop": ("x,y",)}),
        ('a[p=0|","]', "a", {"p": ("0", ",")}),
        ("a[drop=it's]", "a", {"drop": ("it's",)}),  # a quote opens only where a value begins
        (r'a[p="say \"x\" \\ y"]', "a", {"p": (r'say "x" \ y',)}),
        ("a[p='']", "a", {"p": ("",)}),
        ("'my, file[1].csv'[target=y]", "my, file[1].csv", {"target": ("y",)}),
        ("vote[of=svm[C=1|2,k=a],n=3]", "vote", {"of": ("svm[C=1|2,k=a]",), "n": ("3",)}),
        ("vote[of=a[p=']']]", "vote", {"of": ("a[p=']']",)}),
        ("a[p=(20,20),q=1]", "a", {"p": ("(20,20)",), "q": ("1",)}),
        ("a[p=(1,(2|3))|(4,5)]", "a", {"p": ("(1,(2|3))", "(4,5)")}),
        ("a[p=(b[q=1,r=2],3)]", "a", {"p": ("(b[q=1,r=2],3)",)}),
        ("a[p=(')',2)]", "a", {"p": ("(')',2)",)}),
        ("a[drop=x (cm,q=(3)]", "a", {"drop": ("x (cm",), "q": ("(3)",)}),  # as with quotes
        ("a[p=(x,q=2]", "a", {"p": ("(x",), "q": ("2",)}),  # it is not closed: a letter
    ],
)
def test_a_selector_is_a_head_and_parameters(
    text: str, head: str, parameters: dict[str, tuple[str, ...]] | None
) -> None:
    selector = Selector.parse(text)
    assert (selector.head, selector.parameters) == (head, parameters)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "names nothing"),
        ("  ", "names nothing"),
        ("[p=1]", "names nothing"),
        ("''", "names nothing"),
        ("a[p=1", "not closed"),
        ("a[p=b[q=1]", "not closed"),
        ("'a", "the quote ' is not closed"),
        ("a[p='x]", "not closed"),
        ("a[p=x,q=1|'y]", "not closed"),
        ("a[p]", "'p' is no parameter=value"),
        ("a[p=]", "'p=' is no parameter=value"),
        ("a[=1]", "'=1' is no parameter=value"),
        ("a[p=1,]", "'' is no parameter=value"),
        ("a[p=1||2]", "'p=1||2' is no parameter=value"),
        ("a[p=1,p=2]", "'p=2' is no parameter=value"),
    ],
)
def test_a_selector_that_breaks_the_grammar_is_refused_with_the_fault(
    text: str, fault: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        Selector.parse(text)
    assert fault in str(refusal.value)


@given(TEXTS)
def test_any_text_is_parsed_or_refused_as_the_users_error(text: str) -> None:
    try:
        selector = Selector.parse(text)
    except UsageError:
        return
    assert selector.head
    assert selector.text == text


@given(TEXTS)
def test_a_quoted_head_reads_back(text: str) -> None:
    plain, with_options = Selector.parse(quoted(text)), Selector.parse(f"{quoted(text)}[p=1]")
    assert (plain.head, plain.parameters) == (text, None)
    assert (with_options.head, with_options.parameters) == (text, {"p": ("1",)})


@given(st.lists(st.one_of(TEXTS, st.just("")), min_size=1, max_size=4))
def test_quoted_values_read_back_between_other_parameters(values: list[str]) -> None:
    text = f"a[q=1,p={'|'.join(map(quoted, values))},r=2]"
    assert Selector.parse(text).parameters == {"q": ("1",), "p": tuple(values), "r": ("2",)}


@given(TEXTS)
def test_a_selector_within_a_selector_keeps_its_text(value: str) -> None:
    inner = f"b[p={quoted(value)},q=1|2]"
    outer = Selector.parse(f"a[of={inner},r=2]")
    assert outer.parameters == {"of": (inner,), "r": ("2",)}
    assert Selector.parse(inner).parameters == {"p": (value,), "q": ("1", "2")}
    twice = Selector.parse(f"a[of={quoted(inner)}]")
    assert twice.parameters == {"of": (inner,)}


TUPLES = st.recursive(
    st.text("ab1.-", min_size=1, max_size=3),
    lambda items: st.lists(items, max_size=3).map(lambda texts: f"({','.join(texts)})"),
)


@given(st.lists(TUPLES, min_size=1, max_size=3))
def test_tuples_read_back_between_other_parameters(values: list[str]) -> None:
    text = f"a[q=1,p={'|'.join(values)},r=2]"
    assert Selector.parse(text).parameters == {"q": ("1",), "p": tuple(values), "r": ("2",)}


def test_choices_are_all_combinations_of_the_alternatives() -> None:
    choices = list(Selector.parse("a[p=1|2,q=x]").choices())
    assert choices == [{"p": "1", "q": "x"}, {"p": "2", "q": "x"}]
    assert list(Selector.parse("a").choices()) == [{}]
