"""A class of scikit-learn's style, named by its import path, makes classifiers."""

from __future__ import annotations

import inspect
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest

import harness
from harness import estimator
from harness.contract.parameters import parameters_of, settled
from harness.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

SETTING = harness.Setting(seed=7, device="cpu", n_features=1, n_classes=2)
TREE = "sklearn.tree:DecisionTreeClassifier"


def made(path: str, **texts: str) -> Any:
    """A classifier of a class, with parameters as users write them."""
    make = estimator(path)
    return make(SETTING, **dict(settled("it", parameters_of(make), texts)))


def test_our_defaults_are_in_the_signature_and_reach_the_constructor() -> None:
    make = estimator("sklearn.neighbors:KNeighborsClassifier", n_neighbors=15)
    parameters = inspect.signature(make).parameters
    assert next(iter(parameters)) == "setting"
    assert parameters["n_neighbors"].default == 15
    assert parameters["weights"].default == "uniform"
    made: Any = make(SETTING, weights="distance")
    assert (made.n_neighbors, made.weights) == (15, "distance")


def test_a_constructor_that_takes_a_seed_gets_the_seed_of_the_setting() -> None:
    forest: Any = estimator("sklearn.ensemble:RandomForestClassifier")(SETTING)
    assert forest.random_state == 7
    assert not hasattr(estimator("sklearn.naive_bayes:GaussianNB")(SETTING), "random_state")


def test_a_parameter_accepts_other_types_than_that_of_its_default() -> None:
    known = parameters_of(estimator("sklearn.ensemble:RandomForestClassifier"))
    assert known["max_features"].parse("0.5") == 0.5
    assert known["max_features"].parse("log2") == "log2"
    assert known["min_samples_leaf"].parse("0.1") == 0.1
    assert known["n_estimators"].parse("10") == 10
    assert known["bootstrap"].parse("false") is False


class Base:
    def __init__(self, depth: int = 3, random_state: int | None = None) -> None:
        self.depth, self.random_state = depth, random_state

    def predict_proba(self, X: Any) -> Any: ...


class HandsTheRestOn(Base):
    """Passes further arguments to its base class, like XGBoost's classifier."""

    def __init__(self, *, objective: str = "softmax", **rest: Any) -> None:
        super().__init__(**rest)
        self.objective = objective


class Quiet(HandsTheRestOn):
    pass


def test_parameters_that_a_constructor_passes_to_its_base_class_are_known_too() -> None:
    sys.modules["strangers"] = type(sys)("strangers")
    sys.modules["strangers"].Quiet = Quiet  # type: ignore[attr-defined]
    make = estimator("strangers:Quiet", depth=5)
    assert [*inspect.signature(make).parameters] == ["setting", "objective", "depth", "proba"]
    made: Any = make(SETTING, objective="hinge")
    assert (made.depth, made.random_state, made.objective) == (5, 7, "hinge")
    del sys.modules["strangers"]


def test_a_recipe_can_be_pickled_and_shows_what_it_is() -> None:
    make = estimator("sklearn.naive_bayes:GaussianNB", var_smoothing=0.1)
    again = pickle.loads(pickle.dumps(make))
    assert repr(again) == "estimator('sklearn.naive_bayes:GaussianNB', var_smoothing=0.1)"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(20,20)", (20, 20)),
        ("20x20", (20, 20)),
        ("(20,)", (20,)),
        ("20", (20,)),
    ],
)
def test_hidden_layers_are_written_as_a_tuple_or_with_x(text: str, value: object) -> None:
    network = made("sklearn.neural_network:MLPClassifier", hidden_layer_sizes=text)
    assert network.hidden_layer_sizes == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("none", None),
        ("true", True),
        ("3", 3),
        ("0.5", 0.5),
        ("balanced", "balanced"),
        ("[1,0.5,a]", [1, 0.5, "a"]),
        ("(a, 'b,c', (1,2))", ("a", "b,c", (1, 2))),
        ("[]", []),
    ],
)
def test_a_text_stands_for_any_plain_value(text: str, value: object) -> None:
    assert made(TREE, class_weight=text).class_weight == value


def test_an_int_or_float_may_also_be_none() -> None:
    boosting = "sklearn.ensemble:HistGradientBoostingClassifier"
    assert made(boosting, max_leaf_nodes="none").max_leaf_nodes is None
    assert made("sklearn.ensemble:BaggingClassifier", max_samples="10").max_samples == 10


def test_an_estimator_within_another_gets_its_parameters_and_the_seed() -> None:
    boosted = made("sklearn.ensemble:AdaBoostClassifier", estimator=f"{TREE}[max_depth=3]")
    assert type(boosted.estimator).__name__ == "DecisionTreeClassifier"
    assert (boosted.estimator.max_depth, boosted.estimator.random_state) == (3, 7)


def test_a_list_may_hold_named_estimators() -> None:
    vote = made(
        "sklearn.ensemble:VotingClassifier",
        estimators=f"[(a,{TREE}[max_depth=2]),(b,sklearn.svm:LinearSVC[C=10])]",
    )
    (a, tree), (b, svc) = vote.estimators
    assert (a, b, tree.max_depth, svc.C) == ("a", "b", 2, 10)


def test_a_text_with_a_colon_that_names_no_class_stays_a_text() -> None:
    assert made(TREE, class_weight="a b:c").class_weight == "a b:c"


def test_a_class_without_predict_proba_is_calibrated_if_asked() -> None:
    with pytest.raises(UsageError) as refusal:
        made("sklearn.svm:LinearSVC")
    assert str(refusal.value) == (
        "LinearSVC has no predict_proba; write LinearSVC[proba=sigmoid] or [proba=isotonic] to "
        "calibrate it by 5-fold cross-validation within the training part"
    )
    calibrated = made("sklearn.svm:LinearSVC", proba="isotonic")
    assert (calibrated.method, calibrated.cv, calibrated.ensemble) == ("isotonic", 5, False)
    assert calibrated.estimator.random_state == 7


def test_a_class_with_predict_proba_under_other_parameters_is_calibrated_by_itself() -> None:
    """scikit-learn 1.9 advises that for SVC in place of probability=True, which it deprecates."""
    assert made("sklearn.svm:SVC").method == "sigmoid"
    sgd = "sklearn.linear_model:SGDClassifier"
    assert made(sgd).method == "sigmoid"
    assert type(made(sgd, loss="log_loss")).__name__ == "SGDClassifier"
    assert made(sgd, loss="log_loss", proba="sigmoid").method == "sigmoid"


@pytest.mark.parametrize(
    ("path", "texts", "message"),
    [
        ("sklearn.svm:SVV", {}, "sklearn.svm has no 'SVV': did you mean 'SVC' or 'SVR'?"),
        ("sklearn.svmm:SVC", {}, "there is no module 'sklearn.svmm': did you mean 'sklearn.svm'?"),
        ("sklern.svm:SVC", {}, "there is no module 'sklern'; is it installed here?"),
        ("no/such.py:A", {}, "there is no file 'no/such.py'; check the path"),
        ("a b:C", {}, "'a b:C' is no import path; write module:Class or ./file.py:Class"),
        ("sklearn.metrics:log_loss", {}, "is a function, not a class"),
        (
            "sklearn.multiclass:OneVsRestClassifier",
            {},
            "needs estimator; write OneVsRestClassifier[estimator=module:Class]",
        ),
        (
            "sklearn.ensemble:AdaBoostClassifier",
            {"estimator": "sklearn.tree:DecisionTree"},
            "AdaBoostClassifier: estimator: 'sklearn.tree:DecisionTree': sklearn.tree has no ",
        ),
        (
            "sklearn.ensemble:AdaBoostClassifier",
            {"estimator": f"{TREE}[depth=3]"},
            "'DecisionTreeClassifier' has no parameter 'depth': did you mean 'max_depth'?",
        ),
        (
            "sklearn.ensemble:AdaBoostClassifier",
            {"estimator": f"{TREE}[max_depth=3|5]"},
            "has several values; write an estimator for each, joined by |",
        ),
        (
            "sklearn.ensemble:AdaBoostClassifier",
            {"n_estimatros": "3"},
            "'it' has no parameter 'n_estimatros': did you mean 'n_estimators'?",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(
    path: str, texts: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        made(path, **texts)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_module_that_raises_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise SystemExit('no\\nway')\n")
    with pytest.raises(UsageError) as refusal:
        made(f"{tmp_path}/broken.py:Mine")
    assert str(refusal.value).endswith("does not import: SystemExit: no way")
