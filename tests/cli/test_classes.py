"""Classes as models on the command line and from Python: ranked, refused, and left out alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from command_line import complaint_of, harness_in
from sklearn.svm import SVC

import harness

if TYPE_CHECKING:
    from pathlib import Path

MINE = """
import numpy as np


class Mine:
    'The nearest mean.'

    def __init__(self, sharpness: float = 1.0):
        self.sharpness = sharpness

    def fit(self, X, y):
        self.means = np.stack([X[y == label].mean(axis=0) for label in np.unique(y)])
        return self

    def predict_proba(self, X):
        distances = ((X[:, None] - self.means) ** 2).sum(axis=2)
        powers = np.exp(-self.sharpness * (distances - distances.min(axis=1, keepdims=True)))
        return powers / powers.sum(axis=1, keepdims=True)
"""

KINDS = (
    "sklearn.svm:SVC",
    "sklearn.svm:LinearSVC",
    "sklearn.svm:LinearSVC[name=calibrated,proba=sigmoid]",
    "sklearn.tree:DecisionTreeClassifier[prepare=raw|frame]",
    "sklearn.naive_bayes:MultinomialNB",
    "sklearn.ensemble:HistGradientBoostingClassifier[max_iter=5]",
    "sklearn.ensemble:GradientBoostingClassifier[n_estimators=5]",
    "sklearn.ensemble:AdaBoostClassifier[estimator=sklearn.tree:ExtraTreeClassifier[max_depth=2]]",
    "sklearn.multiclass:OneVsRestClassifier",
    "sklearn.ensemble:StackingClassifier[estimators=[(a,sklearn.naive_bayes:GaussianNB)],cv=2]",
    "sklearn.multioutput:ClassifierChain[estimator=sklearn.naive_bayes:GaussianNB]",
    "./mine.py:Mine[sharpness=1|2]",
)
"""Classes of every kind: with and without probabilities, tags, defaults and inner estimators."""


def ran(folder: Path, *words: str) -> Any:
    """The tables of a run and its remarks, as the command prints them."""
    done = harness_in(folder, "run", "-r", "1", "--no-progress", "--json", *words)
    assert done.status in (0, 1), done
    return json.loads(done.printed)["tables"] | {"remarks": done.remarks}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a class in a file."""
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def test_a_class_of_ones_own_is_ranked_among_all_by_one_command(folder: Path) -> None:
    tables = ran(folder, "-d", "iris", "-m", "./mine.py:Mine", "-m", "linear:*")
    accuracies = {row["model"]: row["accuracy"] for row in tables["ranking"]}
    assert {"Mine", "sklearn-lda", "sklearn-logistic", "prior"} <= set(accuracies)
    assert accuracies["Mine"] > 0.8


def test_classes_of_every_kind_learn_or_say_why_not(folder: Path) -> None:
    words = [word for selector in KINDS for word in ("-m", selector)]
    tables = ran(folder, "-d", "penguins", *words)
    assert (
        "SVC: gets scaled numbers, categories one-hot encoded, missing values filled in; has no "
        "predict_proba by default, so it is calibrated (proba=sigmoid, 5 folds of the training "
    ) in tables["remarks"]
    failed = {row["model"]: row["reason"] for row in tables["failures"]}
    expected = {
        "LinearSVC": "LinearSVC has no predict_proba; write LinearSVC[proba=sigmoid]",
        "OneVsRestClassifier": "OneVsRestClassifier needs estimator; write",
        "ClassifierChain[estimator=sklearn.naive_bayes:GaussianNB]": "",
        # Without one-hot encoding, scikit-learn's trees meet texts.
        "DecisionTreeClassifier[prepare=frame]": "",
    }
    assert set(failed) == set(expected)
    for model, reason in expected.items():
        assert failed[model].startswith(reason)
    ok = {row["model"]: row["accuracy"] for row in tables["ranking"] if row["model"] not in failed}
    assert {
        "SVC",
        "calibrated[proba=sigmoid]",
        "MultinomialNB",
        "Mine",
        "Mine[sharpness=2.0]",
    } <= set(ok)
    assert ok["AdaBoostClassifier[estimator=sklearn.tree:ExtraTreeClassifier[max_depth=2]]"] > 0.7
    assert ok["DecisionTreeClassifier[prepare=raw]"] > 0.7


ADDS_LIB = "import sys, pathlib; sys.path.append(str(pathlib.Path(__file__).parent / 'lib'))"


@pytest.mark.parametrize(
    ("reach", "helper"),
    [
        ("from how_sharp import SHARPNESS", "how_sharp.py"),
        ("from values.of_mine import SHARPNESS", "how_sharp.py"),  # which imports it
        (f"{ADDS_LIB}; from how_sharp_there import SHARPNESS", "lib/how_sharp_there.py"),
    ],
)
def test_a_change_of_a_module_near_a_class_makes_its_trials_new(
    folder: Path, reach: str, helper: str
) -> None:
    with_import = MINE.replace("sharpness: float = 1.0", "sharpness: float = SHARPNESS")
    (folder / "mine.py").write_text(f"{reach}\n{with_import}")
    for name in ("values", "lib"):
        (folder / name).mkdir()
    (folder / "values" / "of_mine.py").write_text("from how_sharp import SHARPNESS\n")
    words = ("-d", "iris", "-m", "./mine.py:Mine", "-r", "1")
    told = []
    for sharpness in (1.0, 1.0, 1.5):
        (folder / helper).write_text(f"SHARPNESS = {sharpness}")
        told.append(harness_in(folder, "run", *words).remarks)
    assert "known" not in told[0]
    assert "3 trials: 3 known, 0 to run" in told[1]
    assert "3 trials: 2 known, 1 to run" in told[2]


def test_a_run_of_a_class_is_resumed_unless_its_file_has_changed(folder: Path) -> None:
    words = ("-d", "iris", "-m", "./mine.py:Mine", "-r", "1", "--in-process")
    assert harness_in(folder, "run", *words).status == 0
    assert harness_in(folder, "run", "--resume").status == 0
    (folder / "mine.py").write_text(f"{MINE}\n# changed\n")
    assert "mine.py)' has changed" in complaint_of(harness_in(folder, "run", "--resume"))


@pytest.mark.parametrize(
    ("selector", "complaint"),
    [
        ("sklearn.svm:SVC[CC=3]", "'SVC' has no parameter 'CC': did you mean 'C'?"),
        ("sklearn.svm:SVC[prepare=frame|no]", "prepare=no is not raw or scaled or frame (default"),
        (
            "sklearn.svm.SVC",
            "no model matches 'sklearn.svm.SVC': for a class write 'sklearn.svm:SVC'",
        ),
        ("sklearn.svm", "is a module; for one of its classes write 'sklearn.svm:Class'"),
        ("sklearn:SVC", "sklearn has no 'SVC': name the module that has the class"),
        ("SVC", "no model matches 'SVC': a class needs its module, as in 'sklearn.svm:SVC'"),
        ("lihgtgbm:LGBMClassifier", "there is neither a tag nor a module 'lihgtgbm'"),
        ("./mine.py:Mien", "mine.py has no 'Mien': did you mean 'Mine'?"),
    ],
)
def test_a_class_that_cannot_be_used_is_one_line(
    folder: Path, selector: str, complaint: str
) -> None:
    done = harness_in(folder, "run", "-d", "iris", "-m", selector)
    assert complaint in complaint_of(done)


UNUSABLE = {
    "nowhere.models:Foo": "there is no module 'nowhere'; is 'nowhere' installed in this env",
    "./mien.py:Lost": "there is no file '",
    "./leaves.py:Leaves": "its process ended with status 3",
    "./mine.py:Mien": "has no 'Mien': did you mean 'Mine'?",
    "sklearn.svm:SVC[CC=3|4]": "'SVC' has no parameter 'CC': did you mean 'C'?",
    "sklearn.svm:NuSVC[nu=-1]": "The 'nu' parameter of NuSVC must be a float in the range (0.0, 1",
    "sklearn.linear_model:Perceptron": "has no predict_proba; write Perceptron[proba=sigmoid]",
    "sklearn.ensemble:BaggingClassifier[estimator=sklearn.tree:Oak]": "sklearn.tree has no 'Oak'",
}
"""Classes that cannot be used, with the reason."""


def test_classes_that_cannot_be_used_are_skipped_and_the_others_run(folder: Path) -> None:
    (folder / "leaves.py").write_text("import os\nos._exit(3)\n")
    words = [word for selector in UNUSABLE for word in ("-m", selector)]
    others = ["-m", "*-knn", "-m", "./mine.py:Mine[sharpness=2.5]", "--no-timing"]
    tables = ran(folder, "-d", "iris", *words, *others)
    assert {"sklearn-knn", "Mine[sharpness=2.5]"} < {
        row["model"] for row in tables["ranking"] if row["accuracy"] is not None
    }
    skipped = {row["model"]: row for row in tables["failures"]}
    assert {row["status"] for row in skipped.values()} == {"skipped"}
    assert len(skipped) == len(UNUSABLE) + 1  # one has two values
    reasons = "\n".join(row["reason"] for row in skipped.values())
    assert [told for told in UNUSABLE.values() if told not in reasons] == []


def test_other_classes_are_checked_beside_one_that_cannot_be_used(folder: Path) -> None:
    done = harness_in(folder, "check", "./mine.py:Mine", "./mine.py:Mien")
    assert "has no 'Mien': did you mean 'Mine'?" in done.printed
    assert done.printed.count("pass Mine: ") > 5
    assert "1 failed" in done.printed


def test_a_dry_run_tells_which_classes_would_be_skipped(folder: Path) -> None:
    words = ["-m", "sklearn.svm:LinearSVC", "-m", "./mine.py:Mine"]
    done = harness_in(folder, "run", "--dry-run", "-d", "iris", "-r", "2", *words)
    assert "6 trials to run, 1 model-dataset pair skipped" in done.printed
    assert "LinearSVC has no predict_proba" in done.printed


def test_show_and_check_take_a_class_too(folder: Path) -> None:
    shown = harness_in(folder, "show", "./mine.py:Mine")
    assert shown.status == 0
    assert "model Mine: The nearest mean." in shown.printed
    assert "raw or scaled or frame" in shown.printed
    checked = harness_in(folder, "check", "./mine.py:Mine")
    assert (checked.status, "FAIL" in checked.printed) == (0, False), checked.printed
    refused = harness_in(folder, "show", "./mine.py:Mine[sharpness=2]")
    assert "name the class without parameters here" in complaint_of(refused)


def test_a_class_runs_from_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    outcome = harness.run("iris", ["sklearn.svm:SVC[C=10]", SVC], repeats=1, timing=False)
    assert set(outcome.results["model"]) == {"SVC", "SVC[C=10]", "prior", "uniform"}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"models": [SVC()]}, "SVC() is no text; select by a name, such as "),
        ({"metrics": harness.Metric("own", len)}, "what has no name yet is offered by a plugin"),
        ({"models": type("Own", (), {"__module__": "__main__"})}, "write it to a file: './mine.py"),
    ],
)
def test_objects_that_name_nothing_are_refused_with_the_way_out(
    tmp_path: Path, given: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(harness.UsageError) as refusal:
        harness.run("iris", store=tmp_path / "harness.db", **given)
    assert complaint in str(refusal.value)


def test_prepare_overrules_what_any_model_gets(folder: Path) -> None:
    words = ("-d", "wine", "-m", "sklearn-knn[prepare=raw|scaled]", "-m", "linear:*lda*")
    tables = ran(folder, *words, "--in-process")
    accuracies = {row["model"]: row["accuracy"] for row in tables["ranking"]}
    # The default is no parameter of the name.
    assert accuracies["sklearn-knn"] > accuracies["sklearn-knn[prepare=raw]"] + 0.1


def test_slow_models_run_only_when_selected(folder: Path) -> None:
    by_default = harness_in(folder, "run", "-d", "iris", "--dry-run").printed
    assert "sklearn-svc" in by_default
    assert "sklearn-mlp" not in by_default
    assert "sklearn-mlp" in harness_in(folder, "run", "-m", "slow:*", "--dry-run").printed
