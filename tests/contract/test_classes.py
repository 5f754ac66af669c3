"""A selector may name a class, which is then a plugin of its own that offers one model."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import harness
from harness.contract.classes import ClassPath, class_path, classes, why_unmakeable
from harness.contract.estimators import estimator
from harness.contract.parameters import parameters_of, settled
from harness.contract.registry import load
from harness.contract.selectors import Selector, quoted
from harness.contract.values import Needs
from harness.errors import PluginError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

MINE = """
class Mine:
    'Says the first class.'

    def fit(self, X, y):
        self.n_classes = int(max(y)) + 1
        return self

    def predict_proba(self, X):
        import numpy as np

        return np.eye(self.n_classes)[np.zeros(len(X), dtype=int)]


class Helper:
    pass
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a class in a file."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "spec", "selector"),
    [
        ("sklearn.svm:SVC", "sklearn.svm:SVC", "sklearn.svm:SVC"),
        ("sklearn.svm:SVC[C=1|10]", "sklearn.svm:SVC", "sklearn.svm:SVC[C=1|10]"),
        ("sklearn.svm:SVC[name=svm,C=1]", "sklearn.svm:SVC[name=svm]", "sklearn.svm:svm[C=1]"),
        ("json:JSONDecoder", "json:JSONDecoder", "json:JSONDecoder"),
        (
            "sklearn.svm:SVC[a=x.y:Z[b=1,c=(2,3)],d='e,f']",
            "sklearn.svm:SVC",
            'sklearn.svm:SVC[a=x.y:Z[b=1,c=(2,3)],d="e,f"]',
        ),
    ],
)
def test_a_class_is_taken_apart_into_a_plugin_and_a_selector(
    text: str, spec: str, selector: str
) -> None:
    found = class_path(text)
    assert found is not None
    assert (found[0].spec, found[1]) == (spec, selector)


def test_a_class_of_a_file_keeps_the_files_whole_path(folder: Path) -> None:
    found = class_path("./mine.py:Mine[depth=3]")
    assert found is not None
    assert found[0] == ClassPath(str(folder / "mine.py"), "Mine", "Mine")
    assert found[1] == "mine:Mine[depth=3]"


@pytest.mark.parametrize("text", ["iris", "linear:*", "tree:sklearn-*", "linear:Lasso", "a:b:c"])
def test_names_and_tags_are_left_to_names_and_tags(text: str) -> None:
    assert class_path(text) is None


@given(
    st.sampled_from(["sklearn.svm:SVC", "json:JSONDecoder"]),
    st.dictionaries(
        st.sampled_from(["a", "b"]),
        st.lists(
            st.text(string.ascii_letters + "(){}[],|='\" :", min_size=1, max_size=8),
            min_size=1,
            max_size=2,
        ),
        max_size=2,
    ),
)
@example("json:JSONDecoder", {"a": ["(", ")"], "b": ["{", "}"]})
@example("json:JSONDecoder", {"a": ["x=(", ")"], "b": ["(", ")"]})
def test_any_parameters_of_a_class_reach_its_model_unchanged(
    head: str, values: dict[str, list[str]]
) -> None:
    inside = ",".join(f"{name}={'|'.join(map(quoted, texts))}" for name, texts in values.items())
    found = class_path(f"{head}[name=x{',' if inside else ''}{inside}]")
    assert found is not None
    expected = {name: tuple(texts) for name, texts in values.items()} or None
    assert Selector.parse(found[1]).parameters == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "./mine.py",
            "'./mine.py' names no class; write './mine.py:Class'; its classes with fit: ",
        ),
        ("./mien.py:Mine", "'./mien.py:Mine': there is no file './mien.py'; check the path"),
        ("mine:Mine", "there is no module 'mine'; for the file write './mine.py:Mine'"),
        ("sklern.svm:SVC", "there is no module 'sklern'; is 'sklern' installed in this environ"),
        ('json:JSONDecoder[name="a b"]', "name=a b is no name; names are words joined by '-'"),
        ("json:JSONDecoder[x=1,x=2]", "'x' is given twice; separate several values by '|': x=a|b"),
        ("json:JSONDecoder[name=a|b]", "name has several values; write a selector for each"),
    ],
)
def test_what_nearly_names_a_class_is_refused_with_the_way_out(
    folder: Path, text: str, message: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        class_path(text)
    assert message in str(refusal.value)


def test_two_classes_of_one_name_are_refused_with_the_way_out(folder: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        classes(["sklearn.svm:SVC", "./mine.py:Mine[name=SVC]"])
    path = folder / "mine.py"
    assert str(refusal.value) == (
        f"'sklearn.svm:SVC' and '{path}:Mine' would both be model 'SVC'; write "
        f"'{path}:Mine[name=...]'"
    )
    specs, names = classes(["sklearn.svm:SVC[C=1]", "sklearn.svm:SVC[C=2]", "linear:*"])
    assert specs == ["sklearn.svm:SVC"]
    assert names == ["sklearn.svm:SVC[C=1]", "sklearn.svm:SVC[C=2]", "linear:*"]


def test_a_class_may_not_have_the_name_of_another_model() -> None:
    with pytest.raises(PluginError, match="give the class's another name: 'skl"):
        load(["sklearn.svm:SVC[name=sklearn-knn]"])


@pytest.mark.parametrize(
    ("path", "needs"),
    [
        ("sklearn.svm:SVC", Needs(scaled=True)),
        ("sklearn.tree:DecisionTreeClassifier", Needs(scaled=True, finite=False)),
        ("sklearn.naive_bayes:MultinomialNB", Needs(positive=True)),
        ("sklearn.ensemble:HistGradientBoostingClassifier", Needs(frame=True, finite=False)),
        ("sklearn.multiclass:OneVsRestClassifier", Needs(scaled=True)),
    ],
)
def test_the_input_follows_the_tags_of_the_class(path: str, needs: Needs) -> None:
    registry = load([path])
    assert registry.models[path.partition(":")[2]].needs == needs


def test_a_class_has_an_origin_that_changes_with_its_code(folder: Path) -> None:
    registry = load(["sklearn.svm:SVC", "./mine.py:Mine"])
    svc, mine = (registry.origin("models", name) for name in ("SVC", "Mine"))
    assert (svc.distribution, svc.digest(), svc.is_class) == ("scikit-learn", "", True)
    assert str(mine) == str(folder / "mine.py")
    before = mine.digest()
    (folder / "mine.py").write_text(f"{MINE}\n# changed\n")
    assert mine.digest() != before


def test_a_tag_of_the_models_comes_before_a_module(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "linear.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(folder))
    assert class_path("linear:Lasso") is not None
    assert "Lasso" not in load(["linear:Lasso"]).models


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("sklearn.linear_model:Ridge", "is a regressor, not a classifier: did you mean 'RidgeCl"),
        ("sklearn.svm._base:BaseSVC", "is an abstract class, which lacks __init__; name a class"),
        ("sklearn.cluster:KMeans", "is no classifier of scikit-learn's style, with fit and pred"),
        ("sklearn.preprocessing:StandardScaler", "is no classifier of scikit-learn's style"),
        ("sklearn.naive_bayes:CategoricalNB", "takes codes of categories only"),
        ("./mine.py:Helper", "is no classifier of scikit-learn's style, with fit and predict_pro"),
        ("./mine.py:Mien", "mine.py has no 'Mien': did you mean 'Mine'?"),
    ],
)
def test_what_is_no_classifier_is_refused_in_one_line(
    folder: Path, path: str, message: str
) -> None:
    with pytest.raises(UsageError) as refusal:
        load([path])
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


class Open:
    """Passes on what it does not name, as LightGBM's classes do."""

    def __init__(self, rounds: int = 10, **others: object) -> None:
        self.rounds, self.others = rounds, others

    def fit(self, X: object, y: object) -> Open:
        return self

    def predict_proba(self, X: object) -> object:
        return X


def settled_for(path: str, text: str) -> dict[str, object]:
    (choices,) = Selector.parse(f"x[{text}]").choices()
    return dict(settled("Class", parameters_of(estimator(path)), choices))


def test_a_constructor_with_kwargs_gets_what_it_does_not_name() -> None:
    path = f"{__file__}:Open"
    given = settled_for(path, "min_data_in_leaf=3,verbose=-1")
    assert given == {"min_data_in_leaf": 3, "verbose": -1}
    made: Any = estimator(path)(harness.Setting(0, "cpu", 1, 2), **given)
    assert made.others == given
    with pytest.raises(UsageError, match="did you mean 'rounds'"):
        settled_for(path, "round=3")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("class_weight={0:1,1:5.5}", {"class_weight": {0: 1, 1: 5.5}}),
        ("class_weight=balanced", {"class_weight": "balanced"}),
    ],
)
def test_dictionaries_can_be_written(text: str, expected: dict[str, object]) -> None:
    path = "sklearn.linear_model:LogisticRegression"
    made: Any = estimator(path)(harness.Setting(0, "cpu", 1, 2), **settled_for(path, text))
    assert {name: made.get_params()[name] for name in expected} == expected


def test_a_grid_of_parameters_can_be_written() -> None:
    path = "sklearn.model_selection:GridSearchCV"
    text = "estimator=sklearn.linear_model:LogisticRegression,param_grid={C:[1,10],solver:[lbfgs]}"
    made: Any = estimator(path)(harness.Setting(0, "cpu", 1, 2), **settled_for(path, text))
    assert made.param_grid == {"C": [1, 10], "solver": ["lbfgs"]}


NB = "sklearn.naive_bayes:GaussianNB"


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("sklearn.svm:SVC", "C=-1", "The 'C' parameter of SVC must be a float in the range"),
        ("sklearn.ensemble:StackingClassifier", f"estimators=[{NB},{NB}]", "are named classes; "),
        ("sklearn.ensemble:VotingClassifier", "estimators=[(a,b,c)]", "are named classes; write V"),
        ("sklearn.ensemble:VotingClassifier", "estimators=[(a,no)]", "a=no is no class; write a=m"),
        ("sklearn.ensemble:VotingClassifier", f"estimators=[(a,{NB})]", "write VotingClassifier[v"),
        (
            "sklearn.ensemble:VotingClassifier",
            "estimators=[(a,sklearn.svm:SVC)],voting=soft",
            "a: SVC has no predict_proba; write SVC[proba=sigmoid]",
        ),
        ("sklearn.ensemble:BaggingClassifier", "estimator=no", "estimator=no is no class; write "),
        ("sklearn.ensemble:BaggingClassifier", "estimator=sklearn.svm:SVR", "SVR is a regressor"),
        ("sklearn.ensemble:VotingClassifier", f"estimators=[(a,{NB})],voting=soft", ""),
        ("sklearn.ensemble:BaggingClassifier", f"estimator={NB}", ""),
        ("sklearn.svm:SVC", "C=2", ""),
    ],
)
def test_why_a_class_cannot_be_made_is_told_with_the_way_out(
    path: str, text: str, reason: str
) -> None:
    model = harness.Model("x", estimator(path))
    found = why_unmakeable(model, settled_for(path, text))
    assert reason in found
    assert bool(reason) == bool(found)


class Writes:
    def __init__(self, allow_writing_files: bool | None = None) -> None:
        self.allow_writing_files = allow_writing_files

    def fit(self, X: object, y: object) -> Writes:
        return self

    def predict_proba(self, X: object) -> object:
        return X


def test_a_class_that_asks_whether_it_may_write_files_may_not() -> None:
    make, setting = estimator(f"{__file__}:Writes"), harness.Setting(0, "cpu", 1, 2)
    plain: Any = make(setting)
    allowed: Any = make(setting, allow_writing_files=True)
    assert (plain.allow_writing_files, allowed.allow_writing_files) == (False, True)


def test_a_seed_is_no_parameter() -> None:
    with pytest.raises(UsageError, match="random_state is the trial's seed; leave it out"):
        settled_for("sklearn.ensemble:RandomForestClassifier", "random_state=5")
