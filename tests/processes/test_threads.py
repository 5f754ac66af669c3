"""Estimators get the number of threads of their trial, unless their author chose a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from harness.processes.threads import NAMES, give_threads

if TYPE_CHECKING:
    from collections.abc import Callable


class Fits:
    """An estimator, recognised by its method `fit`."""

    def fit(self, X: Any, y: Any) -> None: ...


class Greedy(BaseEstimator, Fits):  # type: ignore[misc]  # scikit-learn has no types
    """Uses all cores by default, like LightGBM."""

    def __init__(self, n_jobs: int | None = None) -> None:
        self.n_jobs = n_jobs


class All(BaseEstimator, Fits):  # type: ignore[misc]
    """Uses all cores by default; the default is their number."""

    def __init__(self, n_jobs: int = -1) -> None:
        self.n_jobs = n_jobs


class Aliased(BaseEstimator, Fits):  # type: ignore[misc]
    """Accepts other names of the parameter in ``kwargs``, like LightGBM and XGBoost."""

    def __init__(self, *, n_jobs: int | None = None, **kwargs: Any) -> None:
        self.n_jobs = n_jobs
        self.more = kwargs

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"n_jobs": self.n_jobs, **self.more}


class Derived(Aliased):
    """Has no parameter of its own, like XGBoost's classifier."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class Sparing(Fits):
    """Keeps and reports only parameters that differ from the default, like CatBoost."""

    def __init__(self, thread_count: int | None = None) -> None:
        self._given = {} if thread_count is None else {"thread_count": thread_count}

    def get_params(self) -> dict[str, Any]:
        return self._given

    def set_params(self, **params: Any) -> None:
        self._given |= params


class Bare(Fits):
    """Not a scikit-learn estimator, but with an attribute of the parameter's name."""

    def __init__(self, nthread: int = 0) -> None:
        self.nthread = nthread


class Slotted(Fits):
    """Not a scikit-learn estimator, and without a ``__dict__``."""

    __slots__ = ("num_threads",)

    def __init__(self, num_threads: int = 8) -> None:
        self.num_threads = num_threads


@dataclass
class Data(Fits):
    """A dataclass, whose parameters are fields."""

    num_threads: int = -1


class Attribute(Fits):
    """Has the number of threads as a class attribute."""

    n_jobs = -1


class Wrapper(Fits):
    """Holds estimators in its attributes, one of them twice."""

    def __init__(self, *inside: Any) -> None:
        self.model = inside[0]
        self.models = {"all": [("name", estimator) for estimator in inside]}
        self.itself = self


def read(estimator: Any) -> Any:
    if isinstance(estimator, Sparing):
        return estimator.get_params().get("thread_count")
    return next(getattr(estimator, name) for name in NAMES if hasattr(estimator, name))


KINDS: list[Callable[[], Any]] = [
    Greedy,
    All,
    Aliased,
    Derived,
    Sparing,
    Bare,
    Slotted,
    Data,
    Attribute,
    RandomForestClassifier,
]


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_chosen_number_of_threads_an_estimator_gets_that_of_the_trial(
    kind: Callable[[], Any], n: int
) -> None:
    estimator = kind()
    give_threads(estimator, n)
    assert read(estimator) == n


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not RandomForestClassifier])
def test_a_trial_with_one_thread_sets_one_thread(kind: Callable[[], Any]) -> None:
    estimator = kind()
    give_threads(estimator, 1)
    assert read(estimator) == 1


def chosen_attribute() -> Attribute:
    estimator = Attribute()
    estimator.n_jobs = 7
    return estimator


@pytest.mark.parametrize(
    "make",
    [
        lambda: Greedy(n_jobs=7),
        lambda: All(n_jobs=7),
        lambda: Aliased(n_jobs=7),
        lambda: Derived(n_jobs=7),
        lambda: Sparing(thread_count=7),
        lambda: Bare(nthread=7),
        lambda: Slotted(num_threads=7),
        lambda: Data(num_threads=7),
        lambda: RandomForestClassifier(n_jobs=7),
        chosen_attribute,
    ],
)
def test_a_chosen_number_of_threads_stays(make: Callable[[], Any]) -> None:
    estimator = make()
    give_threads(estimator, 1)
    assert read(estimator) == 7


@pytest.mark.parametrize("kind", [Aliased, Derived])
@pytest.mark.parametrize("name", ["nthread", "num_threads", "thread_count"])
def test_a_number_chosen_under_another_parameter_name_stays_the_only_number(
    kind: Any, name: str
) -> None:
    """These libraries raise or warn if one parameter gets two numbers."""
    estimator = kind(**{name: 7})
    give_threads(estimator, 1)
    assert estimator.get_params() == {"n_jobs": None, name: 7}


def test_a_number_written_in_the_model_s_code_stays() -> None:
    class Decided(Fits):
        def __init__(self) -> None:
            self.n_jobs = 4

    estimator = Decided()
    give_threads(estimator, 1)
    assert estimator.n_jobs == 4


def test_every_step_of_a_pipeline_is_given_threads() -> None:
    pipeline = make_pipeline(StandardScaler(), Greedy(), RandomForestClassifier(n_jobs=5))
    give_threads(pipeline, 2)
    assert pipeline.get_params()["greedy__n_jobs"] == 2
    assert pipeline.get_params()["randomforestclassifier__n_jobs"] == 5


def test_estimators_in_attributes_of_any_class_are_given_threads() -> None:
    inside = [Greedy(), Sparing(), make_pipeline(All())]
    give_threads(Wrapper(*inside), 2)
    assert [read(inside[0]), read(inside[1]), read(inside[2][0])] == [2, 2, 2]


@pytest.mark.parametrize("n", [1, 2])
def test_an_estimator_inside_one_with_threads_gets_one_thread(n: int) -> None:
    """A search with two workers of two threads each would use four threads."""
    search = GridSearchCV(Greedy(), {"n_jobs": [None]})
    vote = VotingClassifier([("one", Greedy()), ("other", make_pipeline(All()))])
    for estimator in (search, vote):
        give_threads(estimator, n)
    assert search.n_jobs == vote.n_jobs == (None if n == 1 else n)
    assert search.estimator.n_jobs == 1
    assert vote.estimators[0][1].n_jobs == vote.estimators[1][1][0].n_jobs == 1


def test_none_means_one_thread_in_scikit_learn_and_stays() -> None:
    """Some scikit-learn classes warn if a deprecated `n_jobs` is set."""
    estimator = LogisticRegression()
    give_threads(estimator, 1)
    assert estimator.n_jobs is None


class RaisesAtGet(Greedy):
    def get_params(self, deep: bool = True) -> Any:
        raise RuntimeError("no")


class RaisesAtSet(Greedy):
    def set_params(self, **params: Any) -> Any:
        raise RuntimeError("no")


class Leaves(Greedy):
    def set_params(self, **params: Any) -> Any:
        raise SystemExit(3)


class Proxy(Fits):
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class Signed(Fits):
    __signature__ = "none"

    def __init__(self, *args: Any, n_jobs: Any = "deprecated") -> None:
        self.n_jobs = n_jobs


@pytest.mark.parametrize(
    "make",
    [
        RaisesAtGet,
        RaisesAtSet,
        Leaves,
        Proxy,
        Signed,
        object,
        lambda: None,
        lambda: 3,
        lambda: Fits,
    ],
)
def test_an_estimator_that_raises_is_left_unchanged(make: Callable[[], Any]) -> None:
    estimator = make()
    give_threads(estimator, 2)
    if isinstance(estimator, Greedy):
        assert estimator.n_jobs is None
    if isinstance(estimator, Signed):
        assert estimator.n_jobs == "deprecated"
