from __future__ import annotations

import gc
import pickle
import weakref
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import harness_torch
import harness_toys
import numpy as np
import pytest
import torch
from harness_torch.optimisers import optimiser
from harness_torch.perceptrons import fit_together
from harness_torch.recording import recorded
from harness_torch.stack import ACTIVATIONS, Batch, Stack, indicators, network, stacked_rows
from torch import nn

import harness
from harness.contract.parameters import parameters_of
from harness.errors import UsageError
from harness.trials.preparation import encode, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS = {model.name: model for model in harness_torch.harness_models()}
FEW: dict[str, dict[str, Any]] = {
    "torch-mlp": {"epochs": 3, "hidden": (8,)},
    "notebook-mlp": {"epochs": 3},
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """One thread, as in a worker; on small networks more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def threshold(name: str, seed: int = 0) -> Any:
    data = encode(harness_toys.threshold(np.random.default_rng(seed)))
    return prepare(data, MODELS[name].needs), data.y_test


def setting(device: str = "cpu", seed: int = 11) -> harness.Setting:
    return harness.Setting(seed=seed, device=device, n_features=1, n_classes=3)


def likelihood(P: Any, y: Any) -> float:
    return float(np.exp(np.log(P[np.arange(len(y)), y]).mean()))


def test_the_default_perceptron_learns_the_thresholds() -> None:
    data, y_test = threshold("torch-mlp")
    model = MODELS["torch-mlp"].make(setting()).fit(data.X_train, data.y_train)
    P = model.predict_proba(data.X_test)
    assert (P.argmax(axis=1) == y_test).mean() > 0.97
    assert likelihood(P, y_test) > 0.93


@pytest.mark.slow
def test_the_notebooks_loop_with_cleared_gradients_reaches_its_likelihood() -> None:
    """Four draws of the notebook's data gave likelihoods from .954 to .979.

    Ten thousand steps amplify rounding: on this draw an Intel processor got every row right, and
    an AMD processor got the row at 5.943, just below 6, wrong. PyTorch's own loop did the same.
    """
    data, _ = threshold("notebook-mlp")
    model = MODELS["notebook-mlp"].make(setting()).fit(data.X_train, data.y_train)
    P = model.predict_proba(data.X_train)
    assert likelihood(P, data.y_train) == pytest.approx(0.968, abs=0.015)
    assert (P.argmax(axis=1) == data.y_train).mean() >= 0.99


@pytest.mark.parametrize("zero_grad", [True, False])
def test_the_notebooks_network_is_a_plain_autograd_loop(zero_grad: bool) -> None:
    data, _ = threshold("notebook-mlp")
    epochs = 200 if zero_grad else 40  # accumulated gradients amplify rounding
    ours, plain = (
        make(setting(), zero_grad=zero_grad, epochs=epochs).fit(data.X_train, data.y_train)
        for make in (MODELS["notebook-mlp"].make, MODELS["notebook-mlp"].reference)
        if make is not None
    )
    np.testing.assert_allclose(
        ours.predict_log_proba(data.X_train), plain.predict_log_proba(data.X_train), atol=1e-4
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_the_competing_perceptron_is_a_plain_autograd_loop(name: str, activation: str) -> None:
    """Compared for a few epochs only; later, rounding makes the two differ."""
    data, _ = threshold("torch-mlp")
    recipe: dict[str, Any] = {"optimiser": name, "activation": activation, "epochs": 4}
    ours, plain = (
        make(setting(), hidden=(8, 5), batch_size=30, **recipe).fit(data.X_train, data.y_train)
        for make in (MODELS["torch-mlp"].make, MODELS["torch-mlp"].reference)
        if make is not None
    )
    np.testing.assert_allclose(
        ours.predict_log_proba(data.X_train), plain.predict_log_proba(data.X_train), atol=1e-4
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (7,), (16, 9)])
def test_the_gradient_written_by_hand_equals_autograds(
    activation: str, hidden: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(3)
    kind = ACTIVATIONS[activation]
    Xs = [torch.randn(13, 4, generator=generator) for _ in range(3)]
    ys = [torch.randint(5, (13,), generator=generator) for _ in range(3)]
    plain = [network((4, *hidden, 5), kind.module, generator) for _ in Xs]
    networks = [network((4, *hidden, 5), kind.module, generator) for _ in Xs]
    for ours, theirs in zip(networks, plain, strict=True):
        ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        stack = Stack(networks, kind)
        inputs = stacked_rows(Xs)
        stack.step(Batch(stack, inputs, indicators(ys, 5, inputs)))
    for i, theirs in enumerate(plain):
        nn.functional.cross_entropy(theirs(Xs[i]), ys[i]).backward()  # type: ignore[no-untyped-call]
        layers = [layer for layer in theirs if isinstance(layer, nn.Linear)]
        for gradient, layer in zip(stack.gradients, layers, strict=True):
            assert layer.weight.grad is not None
            assert layer.bias.grad is not None
            torch.testing.assert_close(gradient[i, :, :-1], layer.weight.grad, atol=1e-6, rtol=1e-4)
            torch.testing.assert_close(gradient[i, :, -1], layer.bias.grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "recipe",
    [
        *({"activation": activation} for activation in ACTIVATIONS),
        {"optimiser": "adamw"},
        {"optimiser": "sgd"},
        {"hidden": ()},
        {"hidden": (7,)},
    ],
    ids=str,
)
def test_a_perceptron_trained_with_others_gets_the_same_bits_as_alone(recipe: Any) -> None:
    """The sizes are no multiples of a vector register's."""
    rng = np.random.default_rng(0)
    n, d, K = 111, 5, 3
    Xs = [rng.normal(size=(n, d)).astype(np.float32) for _ in range(5)]
    ys = [rng.integers(K, size=n) for _ in range(5)]
    kept: list[list[Any]] = []
    for together in (True, False):
        made: Any = [
            harness_torch.make_mlp(
                harness.Setting(seed=i, device="cpu", n_features=d, n_classes=K),
                epochs=8,
                **recipe,
            )
            for i in range(5)
        ]
        if together:
            fit_together(made, Xs, ys, [None] * 5)
        else:
            for perceptron, X, y in zip(made, Xs, ys, strict=True):
                perceptron.fit(X, y)
        kept.append([perceptron.predict_proba(X) for perceptron, X in zip(made, Xs, strict=True)])
    np.testing.assert_array_equal(*kept)


def test_perceptrons_trained_together_are_independent_afterwards() -> None:
    data, _ = threshold("notebook-mlp")
    first, second = (harness_torch.make_notebook_mlp(setting(seed=i), epochs=3) for i in (1, 2))
    X, y = data.X_train, data.y_train
    fit_together([first, second], [X, X], [y, y], [None, None])
    before = second.predict_proba(X)
    again = pickle.loads(pickle.dumps(second))
    first.fit(X, 2 - y)
    np.testing.assert_array_equal(second.predict_proba(X), before)
    np.testing.assert_array_equal(again.predict_proba(X), before)
    assert len(pickle.dumps(second)) < 10_000


def test_accumulated_gradients_ruin_the_fit() -> None:
    """``zero_grad=false`` reproduces the notebook's fault."""
    data, _ = threshold("notebook-mlp")
    right, wrong = (
        harness_torch.make_notebook_mlp(setting(), zero_grad=zero_grad, epochs=2000)
        .fit(data.X_train, data.y_train)
        .predict_proba(data.X_train)
        for zero_grad in (True, False)
    )
    assert likelihood(wrong, data.y_train) < likelihood(right, data.y_train)


def test_a_new_layer_is_initialised_as_pytorch_does() -> None:
    """Weights and biases are uniform on ±1/sqrt(fan_in)."""
    torch_state = torch.get_rng_state()
    drawn: Any = network((25, 4000), nn.Tanh, torch.Generator().manual_seed(0))[0]
    theirs = nn.Linear(25, 4000)
    torch.set_rng_state(torch_state)
    for name in ("weight", "bias"):
        ours, reference = (getattr(layer, name).detach() for layer in (drawn, theirs))
        assert ours.abs().max() <= 0.2
        assert ours.abs().max().item() == pytest.approx(0.2, abs=1e-3)
        assert ours.std().item() == pytest.approx(reference.std().item(), rel=0.05)
        assert ours.mean().item() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("adam", lambda p: torch.optim.Adam(p, lr=0.1)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.0)),
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    ],
)
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_an_optimiser_steps_as_pytorchs_does_without_weight_decay_of_biases(
    name: str, oracle: Any, decay: float
) -> None:
    start = torch.tensor([1.0, -2.0, 0.5, 3.0])
    ours, weights, biases = start.clone(), *(start[i : i + 2].clone() for i in (0, 2))

    class Vector:
        point, gradient = ours, torch.zeros(4)
        is_weight = torch.tensor([1.0, 1.0, 0.0, 0.0])

    vector = Vector()
    mine = optimiser(name, vector, decay)
    reference = oracle(
        [{"params": [weights], "weight_decay": decay}, {"params": [biases], "weight_decay": 0.0}]
    )
    generator = torch.Generator().manual_seed(0)
    for rate in (0.1, 0.1, 0.05, 0.2, *[0.01] * 20):
        gradient = torch.randn(4, generator=generator)
        vector.gradient.copy_(gradient)
        mine.prepare(rate)
        mine.step()
        weights.grad, biases.grad = gradient[:2], gradient[2:]
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
        torch.testing.assert_close(vector.point, torch.cat([weights, biases]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_gives_the_same_bits_without_using_the_global_generator(
    name: str,
) -> None:
    data, _ = threshold(name)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    first, second, other = (
        MODELS[name]
        .make(setting(seed=seed), **FEW[name])
        .fit(data.X_train, data.y_train)
        .predict_proba(data.X_test)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_float64_and_rows_sum_to_one(name: str) -> None:
    data, _ = threshold(name)
    model = MODELS[name].make(setting(), **FEW[name]).fit(data.X_train, data.y_train)
    P = model.predict_proba(data.X_test)
    assert P.dtype == np.float64
    assert P.shape == (100, 3)
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=1e-14)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(data.X_test)), P, atol=1e-14)
    np.testing.assert_allclose(model.predict_proba(data.X_test[:1]), P[:1], atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_the_monitor_is_called_after_every_epoch_and_changes_nothing(name: str) -> None:
    data, _ = threshold(name)
    seen: list[int] = []

    def monitor(epoch: int, predict_log_proba: Any) -> None:
        assert predict_log_proba(data.X_test).shape == (100, 3)
        seen.append(epoch)

    watched: Any
    watched, alone = (MODELS[name].make(setting(), **FEW[name]) for _ in range(2))
    watched.fit(data.X_train, data.y_train, monitor=monitor)
    alone.fit(data.X_train, data.y_train)
    assert seen == [1, 2, 3]
    np.testing.assert_array_equal(
        watched.predict_proba(data.X_test), alone.predict_proba(data.X_test)
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_fitted_model_can_be_pickled(name: str) -> None:
    data, _ = threshold(name)
    model = MODELS[name].make(setting(), **FEW[name]).fit(data.X_train, data.y_train)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.predict_proba(data.X_test), model.predict_proba(data.X_test)
    )


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu", "silu"])
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_every_activation_learns_with_every_optimiser(activation: Any, name: Any) -> None:
    data, _ = threshold("torch-mlp")
    model: Any = harness_torch.make_mlp(setting(), activation=activation, optimiser=name, epochs=40)
    model.fit(data.X_train, data.y_train)
    assert (
        likelihood(model.predict_proba(data.X_train), data.y_train) > 0.5
    )  # the prior's likelihood is 0.36


def test_parameters_are_read_and_written_as_on_the_command_line() -> None:
    known = parameters_of(harness_torch.make_mlp)
    assert known["hidden"].parse("32x16") == (32, 16)
    assert known["activation"].parse("relu") == "relu"
    with pytest.raises(ValueError, match="sine"):
        known["activation"].parse("sine")
    assert parameters_of(harness_torch.make_notebook_mlp)["zero_grad"].parse("false") is False


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"hidden": (64, 0)}, "hidden=0 is below 1"),
        ({"epochs": 0}, "epochs=0 is below 1"),
        ({"batch_size": -1}, "batch_size=-1 is below 1"),
        ({"learning_rate": -0.1}, "learning_rate=-0.1 is below 0"),
        ({"weight_decay": float("nan")}, "weight_decay=nan is below 0"),
    ],
)
def test_invalid_parameters_are_a_one_line_error(parameters: Any, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        harness_torch.make_mlp(setting(), **parameters)


def test_a_perceptron_without_hidden_layers_is_softmax_regression() -> None:
    data, _ = threshold("torch-mlp")
    model: Any = harness_torch.make_mlp(setting(), hidden=()).fit(data.X_train, data.y_train)
    assert [type(layer) for layer in model.network] == [nn.Linear]


def test_every_device_can_be_synchronized_and_has_a_kind_that_the_models_support() -> None:
    for device in harness_torch.harness_devices():
        device.synchronize()
        assert device.description
        assert all(device.kind in model.devices for model in MODELS.values())


def test_a_recorded_step_keeps_the_memory_that_its_graph_uses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With doubles for CUDA, so that it runs anywhere; tests/gpu has the same on a device."""
    monkeypatch.setattr(torch, "cuda", MagicMock())
    ones = torch.ones(3)
    memory = weakref.ref(ones)

    def step(ones: torch.Tensor = ones) -> None:
        ones.sum()

    replay = recorded(step, [], torch.device("cuda:0"))
    del step, ones
    gc.collect()
    assert memory() is not None
    replay()
    torch.cuda.CUDAGraph().replay.assert_called_once_with()  # type: ignore[attr-defined]
