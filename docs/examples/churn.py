"""Write churn.csv, a table as companies have them: 5,000 customers, of whom 6% left.

    python churn.py [churn.csv]

It has an identifier, a date, categories, numbers, missing values and a constant column.
"""

import sys

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
n = 5000
plan = rng.choice(["basic", "plus", "pro"], n, p=[0.7, 0.2, 0.1])
age = rng.normal(47, 15, n).round()
newsletter = rng.choice(["yes", "no"], n, p=[0.4, 0.6])
score = -3.6 + 0.03 * (age - 47) + 1.6 * (plan == "pro") + 0.8 * (newsletter == "yes")
table = pd.DataFrame(
    {
        "customer_id": [f"C{i:05d}" for i in rng.permutation(n)],
        "joined": np.datetime64("2019-01-01") + rng.integers(0, 2000, n).astype("timedelta64[D]"),
        "age": age,
        "region": rng.choice(["north", "south", "east", "west"], n),
        "plan": plan,
        "postcode": rng.integers(10000, 99999, n),
        "revenue": np.exp(rng.normal(4, 1, n)).round(2),
        "newsletter": newsletter,
        "currency": "EUR",
        "churned": np.where(rng.random(n) < 1 / (1 + np.exp(-score)), "yes", "no"),
    }
)
table.loc[rng.random(n) < 0.07, "age"] = np.nan
table.loc[rng.random(n) < 0.05, "region"] = None
table.to_csv(sys.argv[1] if len(sys.argv) > 1 else "churn.csv", index=False)
