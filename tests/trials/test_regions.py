"""What is kept for pictures: what a classifier says over its inputs, and where the rows lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from harness.contract.registry import load
from harness.contract.values import Choice, Model, Needs, Split, Trial
from harness.trials.preparation import encode, prepare
from harness.trials.regions import MARGIN, POINTS, ROWS, SIDE, asked, is_asked, principal
from harness.trials.trial import run_trial

if TYPE_CHECKING:
    from harness.contract.values import Sketch
    from harness.trials.preparation import Encoded

SCALED = Needs(scaled=True)


def encoded(n_inputs: int, n: int = 60, *, classes: int = 3, **more: Any) -> Encoded:
    rng = np.random.default_rng(0)
    X = 10 + 5 * rng.normal(size=(2 * n, n_inputs))
    y = np.clip(np.digitize(X[:, 0], [8.0, 12.0]), 0, classes - 1)
    names = tuple("abcdef"[:classes])
    return encode(Split(X[:n], y[:n], X[n:], y[n:], class_names=names, **more))


def made(
    data: Encoded,
    needs: Needs = SCALED,
    classifier: Any = None,
    *,
    hidden: bool = False,
    **how: Any,
) -> Sketch | None:
    prepared = prepare(data, needs)
    model = classifier or LogisticRegression().fit(prepared.X_train, prepared.y_train)
    how.setdefault("predict_seconds", 0.0)
    if not is_asked(data):
        return principal(data)
    offered = Model("any", lambda _: model, needs=needs, hidden_activations=hidden)
    return asked(data, model, offered, lambda raw: raw, **how)


def test_over_one_input_there_are_the_probabilities_that_the_classifier_gives_there() -> None:
    data = encoded(1)
    found = made(data)
    assert found is not None
    (axis,) = found.axes
    inputs = np.concatenate([data.X_train, data.X_test])
    assert axis[0] < inputs.min() < inputs.max() < axis[-1]
    assert axis[-1] - axis[0] == pytest.approx(np.ptp(inputs) * (1 + 2 * MARGIN), rel=1e-5)
    scaler = StandardScaler().fit(data.X_train)
    model = LogisticRegression().fit(scaler.transform(data.X_train), data.y_train)
    expected = model.predict_proba(scaler.transform(axis[:, None].astype(np.float64)))
    assert found.probabilities is not None
    assert found.probabilities.shape == (POINTS, 3)
    assert found.probabilities == pytest.approx(expected, abs=1e-5)
    assert found.hidden == ()
    assert found.class_names == ("a", "b", "c")


def test_over_two_inputs_the_first_varies_fastest() -> None:
    found = made(encoded(2))
    assert found is not None
    assert [len(axis) for axis in found.axes] == [SIDE, SIDE]
    assert found.probabilities is not None
    likely = found.probabilities.argmax(axis=1).reshape(SIDE, SIDE)
    # The class depends on the first input: along a row of the picture it goes up.
    assert (np.diff(likely, axis=1) >= 0).mean() > 0.95
    assert likely[:, 0].max() == 0
    assert likely[:, -1].min() == 2


def test_a_class_that_was_not_trained_has_probability_0() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 1))
    y = np.where(X[:, 0] > 0, 2, 0)
    data = encode(Split(X[:20], y[:20], X[20:], y[20:], class_names=("a", "b", "c")))
    found = made(data)
    assert found is not None
    assert found.probabilities is not None
    assert (found.probabilities[:, 1] == 0).all()
    assert found.probabilities.sum(axis=1) == pytest.approx(1)


def test_more_inputs_are_seen_on_their_first_two_principal_components() -> None:
    data = encoded(5)
    found = made(data)
    assert found is not None
    scaler = StandardScaler().fit(data.X_train)
    pca = PCA(2).fit(scaler.transform(data.X_train))
    expected = pca.transform(scaler.transform(data.X_test))
    assert np.abs(found.points) == pytest.approx(np.abs(expected), abs=1e-4)
    for name, share in zip(found.input_names, pca.explained_variance_ratio_, strict=True):
        assert f"({100 * share:.0f}%)" in name
    assert found.probabilities is None


def test_categories_are_seen_on_components_however_few_columns_there_are() -> None:
    X = np.array([["red"], ["blue"], ["green"]] * 10, dtype=object)
    y = np.array([0, 1, 1] * 10)
    data = encode(Split(X, y, X, y, categorical=(0,)))
    found = made(data)
    assert found is not None
    assert len(np.unique(found.points.round(4), axis=0)) == 3


def test_of_many_rows_some_are_kept_the_first_and_the_last_among_them() -> None:
    found = made(encoded(1, 3000))
    assert found is not None
    assert len(found.rows) == len(found.points) == ROWS
    assert (found.rows[0], found.rows[-1]) == (0, 2999)


def test_a_missing_value_is_no_obstacle() -> None:
    data = encoded(1)
    data.X_train[3] = np.nan
    assert made(data) is not None


class Odd:
    """A classifier that does something odd where it is asked for more than the test part."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict_proba(self, X: Any) -> Any:
        return self.answer(X)


def raising(_: Any) -> Any:
    raise RuntimeError("no more")


@pytest.mark.parametrize(
    "answer",
    [raising, lambda _: None, lambda X: np.ones((3, 3)), lambda X: np.full((len(X), 3), np.nan)],
)
def test_a_classifier_that_answers_no_more_has_no_picture_and_no_failure(answer: Any) -> None:
    assert made(encoded(1), classifier=Odd(answer)) is None


def test_a_slow_classifier_is_asked_no_more() -> None:
    assert made(encoded(1), classifier=Odd(raising), predict_seconds=10.0) is None
    assert made(encoded(5), predict_seconds=10.0) is not None  # nothing has to be asked


@pytest.mark.parametrize("told", [[np.zeros((3, 2))], [np.zeros(POINTS)], None, "layers"])
def test_hidden_layers_of_another_shape_are_left_out(told: Any) -> None:
    class Teller(Odd):
        def hidden_activations(self, X: Any) -> Any:  # the method's signature
            return told

    classifier = Teller(lambda X: np.full((len(X), 3), 1 / 3))
    sketch = made(encoded(1), classifier=classifier, hidden=True)
    assert sketch is None or sketch.hidden == ()


def test_hidden_layers_are_asked_for_only_where_the_model_declares_them() -> None:
    layers = [np.zeros((POINTS, 2))]

    class Teller(Odd):
        def hidden_activations(self, X: Any) -> Any:  # the method's signature
            return layers

    classifier = Teller(lambda X: np.full((len(X), 3), 1 / 3))
    declared = made(encoded(1), classifier=classifier, hidden=True)
    silent = made(encoded(1), classifier=classifier)
    assert declared is not None
    assert silent is not None
    assert [layer.shape for layer in declared.hidden] == [(POINTS, 2)]
    assert silent.hidden == ()


@pytest.mark.parametrize(("model", "units"), [("notebook-mlp", [10, 20, 10]), ("torch-mlp", None)])
def test_hidden_layers_of_perceptrons_are_kept_over_the_input(
    model: str, units: list[int] | None
) -> None:
    trial = Trial(
        Choice("threshold", (("n_train", 50),)), Choice(model, (("epochs", 5),)), "cpu", 0, 0
    )
    result = run_trial(trial, load())
    assert result.status == "ok", result.failure
    assert result.sketch is not None
    shapes = [layer.shape for layer in result.sketch.hidden]
    assert all(n == POINTS for n, _ in shapes)
    assert units is None or [n for _, n in shapes] == units


def test_the_last_hidden_layer_gives_the_logits_of_what_a_perceptron_predicts() -> None:
    torch = pytest.importorskip("torch")
    import harness

    model = load().models["notebook-mlp"]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    classifier: Any = model.make(harness.Setting(0, "cpu", 2, 3), epochs=3)
    classifier.fit(X, np.arange(30) % 3)
    layers = classifier.hidden_activations(X)
    with torch.no_grad():
        logits = classifier.network[-1](torch.tensor(layers[-1]))
    expected = torch.softmax(logits.double(), dim=1).numpy()
    assert classifier.predict_proba(X) == pytest.approx(expected, abs=1e-6)


def test_only_the_first_repeat_has_a_sketch() -> None:
    registry = load()
    for repeat in (0, 1):
        trial = Trial(Choice("threshold"), Choice("numpy-softmax"), "cpu", repeat, 0)
        assert (run_trial(trial, registry).sketch is not None) == (repeat == 0)
