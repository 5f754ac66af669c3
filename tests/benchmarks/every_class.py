"""Every classifier of scikit-learn by its import path, with default parameters, on three tables.

    python tests/benchmarks/every_class.py [NAME...]

Each is ok, or skipped for a reason that is true of the class and that says a way out; then the
classifier is tried again in that way. A few fail, because scikit-learn's class refuses these data
with its defaults while it learns or predicts. Any other end is wrong, and the exit status is 1.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

from sklearn.utils import all_estimators

import harness

TABLES = ("iris", "penguins", "breast-cancer")
LOGISTIC = "sklearn.linear_model:LogisticRegression"
PAIR = f"estimators=[(a,{LOGISTIC}),(b,sklearn.naive_bayes:GaussianNB)]"
REASONS = {
    "has no predict_proba; write": "proba=sigmoid",
    "needs estimator; write": f"estimator={LOGISTIC}",
    "needs estimators; write": PAIR,
    "The 'estimator' parameter of SelfTrainingClassifier": f"estimator={LOGISTIC}",
    "has no predict_proba with voting=hard; write": "voting=soft",
    "has neither predict_proba nor decision_function": "",
    "takes codes of categories only": "",
    "Only binary classification is supported": "",
    # With its default, scikit-learn's class divides 0 by 0 far from the training rows.
    "probabilities are not finite": "kernel=knn",
    # Standardised columns of a category add up to a constant.
    "covariance matrix of class": "reg_param=0.1",
    "No neighbors found": "outlier_label=most_frequent",
}
"""Words of true reasons to skip a class, each with parameters that mend it; empty if none do."""

OF_LABELS = ("ClassifierChain", "MultiOutputClassifier")
"""Classes that learn several columns of labels, which no table here has."""


@dataclass(frozen=True, slots=True)
class End:
    """How a class ended on a table: accuracy if it is ok, else the reason."""

    table: str
    reason: str = ""
    accuracy: float = float("nan")


def path_of(cls: type) -> str:
    """The public import path of a class of scikit-learn."""
    public = [part for part in cls.__module__.split(".") if not part.startswith("_")]
    if public[-1] == "gradient_boosting":
        public.pop()
    return f"{'.'.join(public)}:{cls.__name__}"


def ends(selector: str, store: Path) -> list[End]:
    """How a class ends on each table."""
    try:
        outcome = harness.run(TABLES, selector, repeats=2, timing=False, store=store)
    except harness.UsageError as error:
        return [End(table, str(error)) for table in TABLES]
    results = outcome.results[~outcome.results["baseline"]]
    found = []
    for table in TABLES:
        rows = results[results["dataset"] == table]
        failed = rows[rows["status"] != "ok"]
        reason = f"{failed['status'].iloc[0]}: {failed['reason'].iloc[0]}" if len(failed) else ""
        found.append(End(table, reason, float(rows["accuracy"].mean())))
    return found


def judged(name: str, found: list[End]) -> tuple[str, str, list[str]]:
    """The status of a class, the reason if it is not ok, and parameters that may mend it.

    The status is ``ok``; ``skip`` before the run, ``fail`` in it, for a true reason; or ``WRONG``.
    """
    reasons = [end.reason for end in found if end.reason]
    if not reasons:
        return "ok", "", []
    if name in OF_LABELS and "needs estimator" not in reasons[0]:
        return "skip", "it learns several columns of labels, which no table here has", []
    words = [word for word in REASONS if all(word in reason for reason in reasons)]
    ways_out = [REASONS[word] for word in words if REASONS[word]]
    refused = "fail" if any(reason.startswith("failed: ") for reason in reasons) else "skip"
    return refused if words else "WRONG", reasons[0], ways_out


def main() -> int:
    """Print a line for each class, and give the exit status."""
    wanted = sys.argv[1:]
    counts = {"ok": 0, "skip": 0, "fail": 0, "WRONG": 0}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, cls in all_estimators("classifier"):
            if wanted and name not in wanted:
                continue
            given: list[str] = []
            while True:
                selector = f"{path_of(cls)}[{','.join(given)}]" if given else path_of(cls)
                found = ends(selector, Path(folder) / "harness.db")
                status, reason, ways_out = judged(name, found)
                counts[status] += 1
                accuracies = " ".join(f"{end.accuracy:.3f}" for end in found)
                print(f"{status:5} {selector}: {reason or accuracies}", flush=True)
                if not ways_out or ways_out[0] in given:
                    break
                given.append(ways_out[0])
    print(", ".join(f"{count} {status}" for status, count in counts.items()))
    return 1 if counts["WRONG"] else 0


if __name__ == "__main__":
    sys.exit(main())
