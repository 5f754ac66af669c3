"""The cost of a table: each figure beside its goal, and beside the same done by hand.

    python tests/benchmarks/tables.py            # all
    python tests/benchmarks/tables.py large      # or a part: churn, large, categories

``large`` writes a table of 1,000,000 rows and 30 mixed columns as Parquet, and runs four models on
it twice: by `harness run`, and by a loop with pandas and scikit-learn's ColumnTransformer.
``categories`` encodes 1,000,000 values of 5,000 categories, rare ones grouped, beside
OneHotEncoder. Nothing else should run meanwhile.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.store.environment import processor

COMMAND = [sys.executable, "-m", "harness"]
MODELS = ("sklearn-logistic", "sklearn-hist-gradient-boosting", "sklearn-gaussian-nb", "prior")
ROWS = 1_000_000
CHURN = Path(__file__).parents[2] / "docs" / "examples" / "churn.py"


def main() -> None:
    """Print the parts that are asked for."""
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    parts = {"churn": churn, "large": large, "categories": categories}
    for name in sys.argv[1:] or parts:
        for what, figure, goal in parts[name]():
            print(f"{what:62} {figure:>12}   {goal}", flush=True)


def churn() -> list[tuple[str, str, str]]:
    """A CSV file as a new user would bring it, to a ranked table and a page."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(CHURN)], cwd=folder, check=True)
        seconds = run(folder, "run", "-d", "churn.csv", "--target", "churned")
        seconds += run(folder, "report", "--html", "page.html")
    return [("5,000 rows of CSV to a ranked table and a page", f"{seconds:.1f} s", "at most 60 s")]


def large() -> list[tuple[str, str, str]]:
    """A large table by `harness run`, and by hand."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.parquet"
        mixed(np.random.default_rng(0), ROWS).to_parquet(file, index=False)
        models = [word for model in MODELS for word in ("-m", model)]
        words = ("run", "-d", file.name, "--target", "class", "-r", "2", "--no-timing", *models)
        ours = run(folder, *words)
        before = time.perf_counter()
        by_hand(file)
        theirs = time.perf_counter() - before
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return [
        (f"{ROWS:,} x 30, 4 models, 2 repeats: harness run", f"{ours:.1f} s", ""),
        ("the same with pandas and ColumnTransformer, one after another", f"{theirs:.1f} s", ""),
        ("ratio", f"{ours / theirs:.2f}", "at most 1.25"),
        ("largest process", f"{memory:.2f} GiB", ""),
    ]


def categories() -> list[tuple[str, str, str]]:
    """One-hot encoding of a column with many categories, rare ones grouped."""
    from sklearn.preprocessing import OneHotEncoder

    import harness
    from harness.trials.preparation import encode, prepare

    rng = np.random.default_rng(0)
    names = np.array([f"category {i}" for i in range(5000)], dtype=object)
    values = names[np.minimum(rng.zipf(1.3, ROWS), 5000) - 1]
    frame = pd.DataFrame({"x": pd.Categorical(values)})
    y = rng.integers(0, 2, ROWS)
    split = harness.Split(frame, y, frame[:1000], y[:1000])
    before = time.perf_counter()
    prepare(encode(split), harness.Needs())
    ours = time.perf_counter() - before
    before = time.perf_counter()
    OneHotEncoder(max_categories=51, sparse_output=False).fit_transform(frame)
    theirs = time.perf_counter() - before
    return [
        ("1,000,000 values of 5,000 categories: ours", f"{ours:.2f} s", ""),
        ("OneHotEncoder", f"{theirs:.2f} s", ""),
        ("ratio", f"{ours / theirs:.2f}", "at most 2"),
    ]


def mixed(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """A table of 29 mixed columns and a class: numbers, categories, dates, some missing."""
    columns: dict[str, Any] = {}
    for i in range(16):
        columns[f"number{i}"] = rng.normal(size=n)
    for i in range(4):
        columns[f"count{i}"] = rng.poisson(5, n)
    for i in range(6):
        names = np.array([f"level {j}" for j in range(3 + 4 * i)], dtype=object)
        columns[f"level{i}"] = names[rng.integers(0, len(names), n)]
    columns["flag"] = rng.random(n) < 0.3
    start = np.datetime64("2019-01-01")
    columns["day"] = start + rng.integers(0, 2000, n).astype("timedelta64[D]")
    columns["rare"] = np.array([f"r{i}" for i in range(200)])[np.minimum(rng.zipf(1.5, n), 200) - 1]
    score = columns["number0"] + columns["flag"] + 0.2 * columns["count0"] - 1.5
    columns["class"] = np.where(rng.random(n) < 1 / (1 + np.exp(-score)), "yes", "no")
    table = pd.DataFrame(columns)
    table.loc[rng.random(n) < 0.05, "number1"] = np.nan
    table.loc[rng.random(n) < 0.05, "level1"] = None
    return table


def by_hand(file: Path) -> None:
    """What somebody would write: read, split, prepare, fit, predict, score."""
    from sklearn.compose import ColumnTransformer
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
    from sklearn.model_selection import train_test_split
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    table = pd.read_parquet(file)
    days = table.pop("day")
    table["year"], table["month"] = days.dt.year, days.dt.month
    table["weekday"], table["days"] = days.dt.day_of_week, (days - days.min()).dt.days
    y = table.pop("class")
    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    numbers = [name for name in table if name not in texts]
    for seed in range(2):
        X_train, X_test, y_train, y_test = train_test_split(
            table, y, test_size=0.25, stratify=y, random_state=seed
        )
        for model in (
            LogisticRegression(max_iter=1000),
            HistGradientBoostingClassifier(max_iter=50),
            GaussianNB(),
            DummyClassifier(),
        ):
            pipeline = make_pipeline(
                ColumnTransformer(
                    [
                        (
                            "numbers",
                            make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
                            numbers,
                        ),
                        (
                            "texts",
                            make_pipeline(
                                SimpleImputer(strategy="most_frequent"),
                                OneHotEncoder(
                                    max_categories=51, handle_unknown="ignore", sparse_output=False
                                ),
                            ),
                            texts,
                        ),
                    ]
                ),
                model,
            )
            pipeline.fit(X_train, y_train)
            P = pipeline.predict_proba(X_test)
            predicted = pipeline.classes_[P.argmax(axis=1)]
            accuracy_score(y_test, predicted)
            log_loss(y_test, P, labels=pipeline.classes_)
            roc_auc_score(y_test, P[:, 1])


def run(folder: str, *words: str) -> float:
    """Seconds of a command of the harness in a folder."""
    before = time.perf_counter()
    subprocess.run([*COMMAND, *words], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
