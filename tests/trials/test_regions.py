"""The data kept for pictures: a classifier's probabilities over its inputs, and the rows."""

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
from harness.trials.regions import (
    MARGIN,
    POINTS,
    ROWS,
    SIDE,
    is_asked,
    predicted_regions,
    principal,
)
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
    return predicted_regions(data, model, offered, lambda raw: raw, **how)


def test_over_one_input_the_probabilities_are_those_of_the_classifier() -> None:
    data = encoded(1)
    regions = made(data)
    assert regions is not None
    (axis,) = regions.axes
    inputs = np.concatenate([data.X_train, data.X_test])
    assert axis[0] < inputs.min() < inputs.max() < axis[-1]
    assert axis[-1] - axis[0] == pytest.approx(np.ptp(inputs) * (1 + 2 * MARGIN), rel=1e-5)
    scaler = StandardScaler().fit(data.X_train)
    model = LogisticRegression().fit(scaler.transform(data.X_train), data.y_train)
    expected = model.predict_proba(scaler.transform(axis[:, None].astype(np.float64)))
    assert regions.probabilities is not None
    assert regions.probabilities.shape == (POINTS, 3)
    assert regions.probabilities == pytest.approx(expected, abs=1e-5)
    assert regions.hidden == ()
    assert regions.class_names == ("a", "b", "c")


def test_over_two_inputs_the_first_input_varies_fastest() -> None:
    regions = made(encoded(2))
    assert regions is not None
    assert [len(axis) for axis in regions.axes] == [SIDE, SIDE]
    assert regions.probabilities is not None
    likely = regions.probabilities.argmax(axis=1).reshape(SIDE, SIDE)
    # The class depends on the first input, so it increases along each row of the picture.
    assert (np.diff(likely, axis=1) >= 0).mean() > 0.95
    assert likely[:, 0].max() == 0
    assert likely[:, -1].min() == 2


def test_a_class_without_training_rows_has_probability_0() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 1))
    y = np.where(X[:, 0] > 0, 2, 0)
    data = encode(Split(X[:20], y[:20], X[20:], y[20:], class_names=("a", "b", "c")))
    regions = made(data)
    assert regions is not None
    assert regions.probabilities is not None
    assert (regions.probabilities[:, 1] == 0).all()
    assert regions.probabilities.sum(axis=1) == pytest.approx(1)


def test_more_than_two_inputs_are_projected_on_two_principal_components() -> None:
    data = encoded(5)
    regions = made(data)
    assert regions is not None
    scaler = StandardScaler().fit(data.X_train)
    pca = PCA(2).fit(scaler.transform(data.X_train))
    expected = pca.transform(scaler.transform(data.X_test))
    assert np.abs(regions.points) == pytest.approx(np.abs(expected), abs=1e-4)
    for name, share in zip(regions.input_names, pca.explained_variance_ratio_, strict=True):
        assert f"({100 * share:.0f}%)" in name
    assert regions.probabilities is None


def test_categories_are_projected_on_components_even_with_few_columns() -> None:
    X = np.array([["red"], ["blue"], ["green"]] * 10, dtype=object)
    y = np.array([0, 1, 1] * 10)
    data = encode(Split(X, y, X, y, categorical=(0,)))
    regions = made(data)
    assert regions is not None
    assert len(np.unique(regions.points.round(4), axis=0)) == 3


def test_of_many_rows_a_part_is_kept_including_the_first_and_the_last() -> None:
    regions = made(encoded(1, 3000))
    assert regions is not None
    assert len(regions.rows) == len(regions.points) == ROWS
    assert (regions.rows[0], regions.rows[-1]) == (0, 2999)


def test_rows_with_missing_values_are_allowed() -> None:
    data = encoded(1)
    data.X_train[3] = np.nan
    assert made(data) is not None


class Odd:
    """A classifier that misbehaves when it predicts rows outside the test part."""

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
def test_a_classifier_that_fails_on_the_grid_gets_no_picture_and_no_failure(answer: Any) -> None:
    assert made(encoded(1), classifier=Odd(answer)) is None


def test_a_slow_classifier_does_not_predict_the_grid() -> None:
    assert made(encoded(1), classifier=Odd(raising), predict_seconds=10.0) is None
    assert made(encoded(5), predict_seconds=10.0) is not None  # five inputs need no predictions


@pytest.mark.parametrize("told", [[np.zeros((3, 2))], [np.zeros(POINTS)], None, "layers"])
def test_hidden_layers_of_another_shape_are_left_out(told: Any) -> None:
    class Teller(Odd):
        def hidden_activations(self, X: Any) -> Any:  # the signature of the contract
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
def test_hidden_activations_of_perceptrons_over_the_input_are_kept(
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


def test_the_kept_last_hidden_layer_gives_the_logits_of_a_perceptron() -> None:
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


def test_only_the_first_repeat_keeps_data_for_pictures() -> None:
    registry = load()
    for repeat in (0, 1):
        trial = Trial(Choice("threshold"), Choice("numpy-softmax"), "cpu", repeat, 0)
        assert (run_trial(trial, registry).sketch is not None) == (repeat == 0)
