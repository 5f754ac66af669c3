from __future__ import annotations

import pickle
import warnings
from typing import Any

import harness_classics
import harness_numpy
import numpy as np
import pytest
from harness_numpy import kernels
from harness_numpy.regression import Objective
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.optimize import approx_fprime
from scipy.special import log_softmax as scipy_log_softmax
from scipy.special import softmax as scipy_softmax
from sklearn.linear_model import LogisticRegression

import harness
from harness.contract.cpu import cpu
from harness.errors import UsageError
from harness.trials.preparation import encode, prepare

MODELS = {model.name: model for model in harness_numpy.harness_models()}
SCALED = harness.Needs(scaled=True)


def setting(n_classes: int, n_features: int = 1) -> harness.Setting:
    return harness.Setting(seed=0, device="cpu", n_features=n_features, n_classes=n_classes)


def training_part(name: str) -> tuple[Any, Any]:
    dataset = next(d for d in harness_classics.harness_datasets() if d.name == name)
    data = prepare(encode(dataset.split(np.random.default_rng(0))), SCALED)
    return data.X_train, data.y_train


def nll(P: Any, y: Any) -> float:
    return float(-np.log(np.maximum(P[np.arange(len(y)), y], 1e-300)).mean())


def softmax(n_classes: int, **parameters: Any) -> Any:
    return harness_numpy.make_softmax(setting(n_classes), **parameters)


def test_the_prior_predicts_the_class_frequencies_for_every_row() -> None:
    prior = MODELS["prior"].make(setting(3)).fit(np.zeros((4, 1)), np.array([0, 2, 2, 2]))
    np.testing.assert_array_equal(prior.predict_proba(np.zeros((2, 1))), [[0.25, 0, 0.75]] * 2)


def test_uniform_predicts_equal_probabilities() -> None:
    uniform = MODELS["uniform"].make(setting(4)).fit(np.zeros((2, 1)), np.array([0, 1]))
    np.testing.assert_array_equal(uniform.predict_proba(np.zeros((1, 1))), [[0.25] * 4])


def test_the_two_models_that_ignore_the_input_are_the_baselines() -> None:
    assert {name for name, model in MODELS.items() if model.baseline} == {"prior", "uniform"}


@given(
    arrays(
        np.float64,
        array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(-1e7, 1e7),
    )
)
def test_log_probabilities_are_scipys_log_softmax(Z: Any) -> None:
    n_classes = Z.shape[1]
    model = softmax(n_classes)
    model.weights_ = np.eye(
        n_classes, n_classes + 1
    )  # with identity weights the logits are the input's columns
    np.testing.assert_allclose(
        model.predict_log_proba(Z), scipy_log_softmax(Z, axis=1), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(model.predict_proba(Z), scipy_softmax(Z, axis=1), atol=1e-12)


@given(
    seed=st.integers(0, 2**32 - 1),
    n_classes=st.integers(2, 5),
    n_features=st.integers(1, 4),
    l2=st.floats(0, 10),
)
def test_the_gradient_is_the_gradient_of_the_loss(
    seed: int, n_classes: int, n_features: int, l2: float
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((7, n_features))
    y = rng.integers(n_classes, size=7)
    weights = rng.standard_normal((n_classes, n_features + 1))
    objective = Objective(X, y, n_classes, l2)

    def loss(flat: Any) -> float:
        return objective(flat.reshape(n_classes, -1))[0]

    measured = approx_fprime(weights.ravel(), loss)
    _, gradient = objective(weights)
    np.testing.assert_allclose(gradient.ravel(), measured, atol=1e-4)


@pytest.mark.parametrize(
    ("n_samples", "n_features", "n_classes"), [(20_001, 3, 4), (1_000, 500, 4), (600, 3, 300)]
)
@pytest.mark.parametrize("size", [1, 100])
def test_loss_and_gradient_computed_in_blocks_equal_those_of_all_rows_at_once(
    n_samples: int, n_features: int, n_classes: int, size: float
) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_features))
    y = rng.integers(n_classes, size=n_samples)
    weights = rng.standard_normal((n_classes, n_features + 1)) * size
    objective = Objective(X, y, n_classes, l2=0.1)
    assert n_samples > 2 * objective.n_rows

    with_ones = np.hstack([X, np.ones((n_samples, 1))])
    log_P = scipy_log_softmax(with_ones @ weights.T, axis=1)
    penalised = weights * ([1.0] * n_features + [0.0])
    residual = np.exp(log_P) - np.eye(n_classes)[y]
    loss, gradient = objective(weights)
    assert loss == pytest.approx(
        -log_P[np.arange(n_samples), y].mean() + 0.05 * (penalised**2).sum(), rel=1e-12
    )
    np.testing.assert_allclose(
        gradient, residual.T @ with_ones / n_samples + 0.1 * penalised, rtol=1e-9, atol=1e-12
    )


def test_the_objective_changes_neither_weights_nor_data_and_repeats_itself() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 2)), rng.integers(3, size=50)
    weights = rng.standard_normal((3, 3))
    before = X.copy(), y.copy(), weights.copy()
    objective = Objective(X, y, 3, l2=0.1)
    loss, gradient = objective(weights)
    objective(weights + 1)
    again, gradient_again = objective(weights)
    assert loss == again
    np.testing.assert_array_equal(gradient, gradient_again)
    for array, copy in zip((X, y, weights), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_the_loss_is_the_mean_nll_plus_half_the_squared_weights_without_the_intercepts() -> None:
    weights = np.array([[1.0, 5.0], [-2.0, 5.0]])
    X, y = np.array([[0.0], [0.0]]), np.array([0, 1])
    loss, _ = Objective(X, y, 2, l2=0.1)(weights)
    assert loss == pytest.approx(np.log(2) + 0.05 * (1 + 4))


@pytest.mark.parametrize("name", ["iris", "wine", "digits"])
@pytest.mark.parametrize("l2", [1e-2, 1e-3])
@pytest.mark.parametrize(("parameters", "within"), [({"tol": 1e-8}, 1e-6), ({}, 1e-5)])
def test_softmax_reaches_scikit_learns_nll_with_the_same_regularisation(
    name: str, l2: float, parameters: Any, within: float
) -> None:
    X, y = training_part(name)
    ours = softmax(y.max() + 1, l2=l2, **parameters).fit(X, y)
    theirs = LogisticRegression(C=1 / (l2 * len(y)), tol=1e-10, max_iter=10_000).fit(X, y)
    assert nll(ours.predict_proba(X), y) == pytest.approx(
        nll(theirs.predict_proba(X), y), abs=within
    )


@pytest.mark.parametrize("name", ["iris", "wine", "digits"])
@pytest.mark.parametrize(("parameters", "within"), [({"tol": 1e-8}, 1e-6), ({}, 1e-5)])
def test_softmax_without_a_penalty_reaches_an_nll_as_low_as_scikit_learns(
    name: str, parameters: Any, within: float
) -> None:
    """Wine and digits are separable, so the NLL tends to 0 as the weights grow without bound."""
    X, y = training_part(name)
    ours = softmax(y.max() + 1, l2=0.0, **parameters).fit(X, y)
    theirs = LogisticRegression(C=np.inf, tol=1e-8, max_iter=10_000).fit(X, y)
    assert nll(ours.predict_proba(X), y) < nll(theirs.predict_proba(X), y) + within


def test_with_two_classes_our_l2_is_half_of_scikit_learns() -> None:
    X, y = training_part("breast-cancer")
    ours = softmax(2, l2=1e-2, tol=1e-8).fit(X, y)
    theirs = LogisticRegression(C=2 / (1e-2 * len(y)), tol=1e-10, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


def test_the_monitor_sees_every_iteration_and_the_last_one_is_the_fitted_model() -> None:
    X, y = training_part("iris")
    seen: list[tuple[int, float]] = []

    def monitor(iteration: int, predict_log_proba: Any) -> None:
        log_P = predict_log_proba(X)
        assert log_P.shape == (len(y), 3)
        seen.append((iteration, -log_P[np.arange(len(y)), y].mean()))

    model = softmax(3).fit(X, y, monitor=monitor)
    assert [iteration for iteration, _ in seen] == list(range(1, model.n_iter_ + 1))
    assert seen[0][1] > seen[-1][1] == pytest.approx(nll(model.predict_proba(X), y), abs=1e-12)


def test_a_monitor_does_not_change_the_fit() -> None:
    X, y = training_part("wine")
    watched = softmax(3).fit(X, y, monitor=lambda *_: None)
    np.testing.assert_array_equal(watched.weights_, softmax(3).fit(X, y).weights_)


def test_stopping_before_the_optimum_is_a_warning() -> None:
    X, y = training_part("iris")
    with pytest.warns(RuntimeWarning, match="stopped after max_iter=3 iterations"):
        softmax(3, max_iter=3).fit(X, y)


def test_a_search_that_stops_early_without_reaching_max_iter_is_a_warning() -> None:
    """Input far from 0 makes logits so large that rounding of the loss stops the line search."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 5))
    y = (X @ rng.standard_normal((5, 4))).argmax(axis=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = softmax(4).fit(X + 1e4, y)
    _, gradient = Objective(X + 1e4, y, 4, model.l2)(model.weights_)
    assert caught or np.abs(gradient).max() <= model.tol


def test_a_fitted_model_can_be_pickled() -> None:
    X, y = training_part("iris")
    model = softmax(3).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_logits_of_ten_thousand_give_probabilities() -> None:
    model = softmax(2)
    model.weights_ = np.array([[1e4, 0.0], [-1e4, 0.0]])
    X = np.array([[1.0], [-1.0]])
    np.testing.assert_array_equal(model.predict_log_proba(X), [[0, -2e4], [-2e4, 0]])
    np.testing.assert_array_equal(model.predict_proba(X), [[1, 0], [0, 1]])


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"l2": -1.0}, "l2=-1.0 is below 0"),
        ({"max_iter": 0}, "max_iter=0 is below 1"),
        ({"tol": float("nan")}, "tol=nan is below 0"),
    ],
)
def test_invalid_parameters_are_a_one_line_error(parameters: Any, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        softmax(3, **parameters)


KERNELS = {kernel.name: kernel for kernel in harness_numpy.harness_kernels()}


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_gives_the_probabilities_of_the_notebook(name: str) -> None:
    P = KERNELS[name](np.array([[-2.3, 8.2]]))
    np.testing.assert_allclose(P, [[2.75356911e-05, 9.99972464e-01]], rtol=1e-8)


@pytest.mark.parametrize("name", KERNELS)
@given(
    logits=arrays(
        st.sampled_from([np.float32, np.float64]),
        array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(-50, 50, width=32),
    )
)
def test_a_kernel_equals_scipys_softmax_in_the_input_dtype(name: str, logits: Any) -> None:
    before = logits.copy()
    P = KERNELS[name](logits)
    assert P.dtype == logits.dtype
    np.testing.assert_allclose(P, scipy_softmax(logits, axis=1), rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(logits, before)


def test_logits_near_minus_ten_million_need_the_stable_kernel() -> None:
    far_down = np.array([[-1e7, -1e7 + 1]])
    np.testing.assert_allclose(kernels.stable(far_down), scipy_softmax(far_down, axis=1))
    with np.errstate(invalid="ignore"):
        assert np.isnan(kernels.naive(far_down)).all()
    assert KERNELS["numpy-stable"].stable
    assert not KERNELS["numpy-naive"].stable


def test_the_cpu_is_a_device_with_a_name() -> None:
    device = cpu()
    assert device.name == device.kind == "cpu"
    assert device.description
