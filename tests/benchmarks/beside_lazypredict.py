"""Three example tables of lazypredict, by lazypredict and by harness, on the same split.

    python tests/benchmarks/beside_lazypredict.py PYTHON

PYTHON is an interpreter that has lazypredict, such as that of a virtual environment made with
``python -m venv --system-site-packages lazy; lazy/bin/pip install --no-deps lazypredict``.

Models without randomness must reach the same accuracy: lazypredict's defaults, which are
scikit-learn's, are offered here by a plugin of one line a model.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.model_selection import train_test_split

import harness

TABLES = {"breast-cancer": load_breast_cancer, "iris": load_iris, "wine": load_wine}
CLASSES = {
    "LogisticRegression": "sklearn.linear_model",
    "GaussianNB": "sklearn.naive_bayes",
    "KNeighborsClassifier": "sklearn.neighbors",
    "LinearDiscriminantAnalysis": "sklearn.discriminant_analysis",
    "QuadraticDiscriminantAnalysis": "sklearn.discriminant_analysis",
    "BernoulliNB": "sklearn.naive_bayes",
}
PLUGIN = f"""
import harness


@harness.hookimpl
def harness_models():
    for name, module in {CLASSES!r}.items():
        make = harness.estimator(f"{{module}}:{{name}}")
        yield harness.Model(name, make, needs=harness.Needs(scaled=True))
"""
THEIRS = """
import sys
import pandas as pd
from lazypredict.Supervised import LazyClassifier

train, test = (pd.read_csv(f"{part}.csv") for part in ("train", "test"))
lazy = LazyClassifier(verbose=0, ignore_warnings=True, custom_metric=None)
X, y = train.drop(columns="target"), train["target"]
scores, _ = lazy.fit(X, test.drop(columns="target"), y, test["target"])
scores["Accuracy"].to_csv("theirs.csv")
"""


def main() -> None:
    """Print, for each table, the accuracies of both and the largest difference."""
    (python,) = sys.argv[1:]
    for name, load in TABLES.items():
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            table = load(as_frame=True).frame
            parts = train_test_split(table, test_size=0.5, random_state=123)
            for part, rows in zip(("train", "test"), parts, strict=True):
                rows.to_csv(place / f"{part}.csv", index=False)
            (place / "plugin.py").write_text(PLUGIN, encoding="utf-8")
            before = time.perf_counter()
            subprocess.run([python, "-c", THEIRS], cwd=folder, check=True, capture_output=True)
            their_seconds = time.perf_counter() - before
            theirs = pd.read_csv(place / "theirs.csv").set_index("Model")["Accuracy"]
            before = time.perf_counter()
            given = harness.table(place / "train.csv", "target", test=str(place / "test.csv"))
            outcome = harness.run(
                given,
                list(CLASSES),
                repeats=1,
                timing=False,
                plugins=place / "plugin.py",
                store=place / "store.db",
            )
            our_seconds = time.perf_counter() - before
            ours = outcome.results.set_index("model")["accuracy"]
        print(
            f"{name}: lazypredict {their_seconds:.1f} s for {len(theirs)} models, "
            f"harness {our_seconds:.1f} s for {len(ours)}"
        )
        for model in CLASSES:
            both = (theirs.get(model, float("nan")), ours.get(model, float("nan")))
            print(f"  {model:32} {both[0]:.4f} {both[1]:.4f}  {both[1] - both[0]:+.4f}")


if __name__ == "__main__":
    main()
