"""Confidence intervals of scores, and tests of differences between models: pure, on DataFrames.

The right variance of a mean score depends on what the dataset's repeats have in common:

- ``fresh`` draws are independent: Student's t over the repeats.
- ``resampled`` splits share the rows of one table. Their scores are correlated, and a plain t-test
  on 10 of them rejects a true null in a quarter of all cases instead of 5%. Here the variance of
  the mean is s^2 (1/J + n_test/n_train) (Nadeau & Bengio, Machine Learning 52, 2003).
- folds (``10-fold``) test each row of one table once in each repetition. There is no unbiased
  estimate of the variance of their mean (Bengio & Grandvalet, JMLR 5, 2004). With the variance v of
  the n rows' scores, v/n (Bayle, Bayle, Janson & Mackey, NeurIPS 33, 2020) suits models that hardly
  change if one training row changes. Over 500 tables of 100 rows and 10 folds, 95% intervals of the
  accuracy covered in 94% of cases for naive Bayes, 88% for the nearest neighbour, 79% for a stump.
  The correction by Nadeau & Bengio, which Bouckaert & Frank (PAKDD 2004) apply to the variance
  between folds, covers for the other two, as well. With k folds of n_test rows the variance is
  v/n_test (1/k + n_test/n_train). It does not shrink with more repetitions: dividing by the number
  of all folds, a corrected t-test finds equal stumps different in 14 to 21% of cases, and covers in
  80 to 89%. The variance of fold means beyond that of their rows is added, because a seed may move
  all rows of a fold. With more than `MOST_FOLDS` folds neither variance is right: there is no
  interval and no test.
- a ``fixed`` split has one test part, and only the model's seed varies. The interval of a score has
  the test rows as its sample, and holds for the models that were fitted. Two models are compared
  over rows and seeds, because two fits of one model differ, too: a test over the rows alone finds
  such fits different far too often.

A single repeat does not show the variance between repeats, nor do repeats with exactly equal scores
(accuracy is discrete). Then, too, the test rows are the sample: Wilson's interval and McNemar's
exact test for accuracy, Student's t for the NLL and the Brier score.

Where test rows have weights, scores are weighted means. Over repeats all of the above holds as it
is. Where the rows are the sample, a row's value is linearised (`harness.statistics.rows`), so that
its variance is that of the weighted mean; Wilson's interval has Kish's effective number of rows,
and a t-test replaces McNemar's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from scipy import special  # scipy.stats has clearer names, but takes 0.6 s to import

from harness.contract.values import folds_in
from harness.statistics.moments import mean_of, variance_of
from harness.statistics.multiplicity import lead_p_value, leads, range_p_value, step_down
from harness.statistics.posteriors import paired_shares, point, students, unknown
from harness.statistics.power import POWER, standard_errors_told
from harness.statistics.rows import linearised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from harness.contract.values import Metric, Planned, SplitKind
    from harness.statistics.posteriors import Posterior

    Floats: TypeAlias = NDArray[np.float64]
    Predict: TypeAlias = Callable[[Sequence[int]], pd.DataFrame]
    MetricRows: TypeAlias = Callable[[str, Sequence[int]], Mapping[int, Floats]]

Named = TypeVar("Named")
Score: TypeAlias = str
"""``accuracy``, ``nll``, ``brier``, or the name of a metric that a cell has in `Cell.scales`."""

LEVEL = 0.05
"""Significance level of tests; intervals cover with probability 1 - LEVEL."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The range of a score, and whether a larger value is better.

    Args:
        name: the score's name.
        low: the smallest possible value.
        high: the largest possible value.
        more_is_better: whether a larger value is better.
    """

    name: str
    low: float
    high: float
    more_is_better: bool

    @property
    def span(self) -> float:
        """The largest possible difference."""
        return self.high - self.low


SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "accuracy": Scale("accuracy", 0.0, 1.0, more_is_better=True),
        "nll": Scale("nll", 0.0, math.inf, more_is_better=False),
        "brier": Scale("brier", 0.0, 2.0, more_is_better=False),
    }
)
"""The scores that every result has."""

FEWEST_CARRYING = 10.0
"""An interval of the NLL needs at least this many carrying rows (`Cell.carrying`)."""

MOST_FOLDS = 10
"""With more folds there are no intervals and no tests.

For a stump, 95% intervals of the accuracy covered in 95% of 400 tables with 10 folds, 92% with 20,
89% with 30, and 83 to 88% with as many folds as rows. There two equal stumps differed significantly
in 26% of cases, with 60 rows as with 200: fits on nearly the same rows make the same errors. The
rows' losses do not show that, and it grows with the number of features that a stump can choose.
"""

FEW_ROWS_CARRY = f"fewer than {FEWEST_CARRYING:.0f} rows carry the NLL"
FOLDS_TOO_MANY = f"more than {MOST_FOLDS} folds, or folds of one row"
"""Reasons why there is no interval or no test."""


class Basis(StrEnum):
    """The sample and the method of an interval or a comparison, or why there is none."""

    DRAWS = "t over draws"
    SPLITS = "corrected t over splits"
    ROWS = "t over test rows"
    FOLDS = "corrected t over folds"
    FOLDED_ROWS = "corrected t over the rows of all folds"
    WILSON = "Wilson over test rows"
    WILSON_FOLDED = "corrected Wilson over the rows of all folds"
    NO_SCORES = "no scores"
    NO_ROW_SCORES = "no row scores"
    UNDEFINED = "not defined in every repeat"
    FEW_CARRYING = f"no interval: {FEW_ROWS_CARRY}"
    MANY_FOLDS = f"no interval: {FOLDS_TOO_MANY}"

    PAIRED_DRAWS = "paired t over draws"
    PAIRED_SPLITS = "paired corrected t over splits"
    PAIRED_ROWS = "paired t over test rows"
    PAIRED_FOLDED_ROWS = "paired corrected t over the rows of all folds"
    PAIRED_SEEDS = "paired t over test rows and seeds"
    MCNEMAR = "McNemar's exact test"
    SIGNS = "sign test over test rows"
    EQUAL = "no difference in any repeat"
    NO_COMMON_REPEAT = "no repeat in common"
    NO_COMMON_ROWS = "no test rows in common"
    FEW_ROWS = "too few test rows"
    NO_TEST = f"no test: {FOLDS_TOO_MANY}"

    @property
    def withheld(self) -> str:
        """Why there is no interval although there are scores; empty if there is one."""
        return {Basis.FEW_CARRYING: FEW_ROWS_CARRY, Basis.MANY_FOLDS: FOLDS_TOO_MANY}.get(self, "")

    @property
    def over_test_rows(self) -> bool:
        """Whether an interval's sample is the test rows of one split."""
        return self in (Basis.ROWS, Basis.WILSON)

    @property
    def over_repeats(self) -> bool:
        """Whether a comparison's sample is the repeats."""
        return self in (Basis.PAIRED_DRAWS, Basis.PAIRED_SPLITS)


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95% confidence interval, and its sample and method."""

    low: float
    high: float
    basis: Basis


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of two contenders on a dataset: difference, p-value and interval.

    Args:
        difference: mean of the first's score - the second's, over the repeats that both have.
        p_value: two-sided, of the null of no difference; NaN if the two cannot be compared.
        basis: the test.
        low: lower end of the difference's 95% interval, by the same method: it excludes 0 if the
            difference is significant by itself. NaN if the two cannot be compared.
        high: its upper end.
        visible: the smallest difference that the test detects with power 80%; infinite if it
            detects none, NaN if the two cannot be compared.
        below: the posterior probability that the true difference is below a value.
        of_fits: whether the comparison holds only for the two fitted models. On a fixed split with
            one seed the variance between seeds is unknown, so that two fits of the same randomized
            model may differ significantly.
    """

    difference: float
    p_value: float
    basis: Basis
    low: float = math.nan
    high: float = math.nan
    visible: float = math.nan
    below: Posterior = field(default=unknown, repr=False, compare=False)
    of_fits: bool = False

    @property
    def told_apart(self) -> bool:
        """Whether the difference is significant."""
        return self.p_value < LEVEL


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A contender's scores on a dataset, over the repeats (J,) that it completed.

    Args:
        kind: kind of the dataset's splits; None if no trial had a split.
        total: number of planned repeats of the dataset.
        n_train: mean number of training rows in a repeat.
        n_test: mean number of test rows in a repeat.
        repeats: (J,), numbers of the completed repeats.
        result_ids: (J,), ids of their results, under which predictions are stored.
        accuracy: (J,), share of the test rows whose class was predicted.
        nll: (J,), mean negative log likelihood.
        nll_sd: (J,), standard deviation of the negative log likelihood over the test rows.
        brier: (J,), mean over the test rows of the squared error, summed over classes.
        others: (J,) values of other metrics, by name; NaN where a metric is not defined.
        scales: their scales.
        weight_share: how many rows of equal weight a test row is worth, at most 1.
    """

    kind: SplitKind | None
    total: int
    n_train: float
    n_test: float
    repeats: NDArray[np.int64]
    result_ids: NDArray[np.int64]
    accuracy: Floats
    nll: Floats
    nll_sd: Floats
    brier: Floats
    others: Mapping[str, Floats] = field(default_factory=dict)
    scales: Mapping[str, Scale] = field(default_factory=dict)
    weight_share: float = 1.0

    def of(self, score: Score) -> Floats:
        """The repeats' values (J,) of one score."""
        if score in self.others:
            return self.others[score]
        return {"accuracy": self.accuracy, "nll": self.nll, "brier": self.brier}[score]

    def scale(self, score: Score) -> Scale:
        """The scale of one score."""
        return self.scales[score] if score in self.scales else SCALES[score]

    @property
    def complete(self) -> bool:
        """Whether every repeat has a score; only complete contenders can be the best."""
        return 0 < len(self.repeats) == self.total

    @property
    def variance_factor(self) -> float:
        """The factor that turns the variance between repeats into the variance of their mean."""
        return _factor(self.kind, len(self.repeats), self.n_test, self.n_train)

    @property
    def rows(self) -> float:
        """The effective sample size: how many independent test rows the repeats are worth."""
        return _rows(self.kind, len(self.repeats), self.n_test, self.n_train)

    @property
    def too_many_folds(self) -> bool:
        """Whether there are too many folds, or too small ones, for intervals and tests."""
        n_folds = folds_in(self.kind)
        many = n_folds > MOST_FOLDS or (n_folds > 0 and self.n_test < 2)
        return many and len(self.repeats) > 1

    @property
    def carrying(self) -> float:
        """How many test rows the mean NLL effectively rests on, with one wrong row added.

        Near accuracy 1 a few wrong rows make up the whole NLL, and their number depends on chance:
        then no t interval covers, least of all without a wrong row. This is Kish's effective number
        (sum l)^2 / sum l^2 of the losses l of the n distinct test rows and of one more, wrong row,
        which the test part lacks by chance. Its loss is 1 + log(n), as for a calibrated model that
        is wrong once in n rows.
        """
        J = len(self.repeats)
        n = self.n_test * (1 if self.kind == "fixed" else _parts(self.kind, J))
        if self.kind == "resampled":
            n = min(n, self.n_train + self.n_test)
        missed_loss = 1 + math.log(n)
        spread = np.nan_to_num(self.nll_sd)  # NaN with a single test row
        squares = n * mean_of(np.square(self.nll) + np.square(spread))
        return float((n * mean_of(self.nll) + missed_loss) ** 2 / (squares + missed_loss**2))


def scale_of(metric: Metric, name: str) -> Scale:
    """The scale of a metric whose column has this name."""
    return Scale(name, metric.low, metric.high, more_is_better=metric.greater_is_better)


def cells(
    results: pd.DataFrame,
    planned: Sequence[Planned] = (),
    metrics: Mapping[str, Metric] = MappingProxyType({}),
) -> dict[tuple[str, str, str], Cell]:
    """A cell for each (dataset, model, device) of `harness.contract.values.Frames.results`.

    A dataset's repeats are those that were planned, and those that any contender ran on. So a
    repeat without a row counts as incomplete, like a failed trial.

    Args:
        results: as in `Frames`.
        planned: as in `Run`; a planned contender without a row gets a cell without repeats. Empty
            if it is not known: then only rows tell which repeats and contenders there are.
        metrics: other metrics that are columns of the results, by name, as in `Frames`.
    """
    columns = {
        name: results[name].to_numpy(dtype=np.float64)
        for name in ("n_train", "n_test", "accuracy", "nll", "nll_sd", "brier", *metrics)
    }
    columns["weight_share"] = np.ones(len(results))
    if "n_effective" in results:
        weighted = results["n_effective"].to_numpy(dtype=np.float64) / columns["n_test"]
        columns["weight_share"] = np.where(np.isnan(weighted), 1.0, weighted)
    scales = {name: scale_of(metric, name) for name, metric in metrics.items()}
    ids = results["result_id"].to_numpy(dtype=np.int64)
    repeat = results["repeat"].to_numpy(dtype=np.int64)
    kinds: dict[str, SplitKind] = {}
    repeats_by_dataset: dict[str, set[int]] = {}
    groups: dict[tuple[str, str, str], list[int]] = {}
    for pairing in planned:
        groups[pairing.dataset, pairing.model, pairing.device] = []
        repeats_by_dataset.setdefault(pairing.dataset, set()).update(range(pairing.repeats))
    named = (results[name].tolist() for name in ("dataset", "model", "device"))
    stated = (results[name].tolist() for name in ("status", "split_kind"))
    for row, (dataset, model, device, status, kind) in enumerate(zip(*named, *stated, strict=True)):
        group = groups.setdefault((dataset, model, device), [])
        repeats = repeats_by_dataset.setdefault(dataset, set())
        if status != "skipped":
            repeats.add(int(repeat[row]))
        if status == "ok":
            group.append(row)
        if isinstance(kind, str):
            kinds[dataset] = kind
    # Sorted once, so that a cell's scores are slices, not copies.
    order = np.array([row for group in groups.values() for row in group], dtype=np.intp)
    which = np.repeat(np.arange(len(groups)), [len(group) for group in groups.values()])
    order = order[np.lexsort((repeat[order], which))]
    repeat, ids = repeat[order], ids[order]
    columns = {name: column[order] for name, column in columns.items()}
    stop = 0
    cells_by_contender = {}
    for key, group in groups.items():
        start, stop = stop, stop + len(group)
        rows = slice(start, stop)
        cells_by_contender[key] = Cell(
            kind=kinds.get(key[0]),
            total=len(repeats_by_dataset[key[0]]),
            n_train=mean_of(columns["n_train"][rows]),
            n_test=mean_of(columns["n_test"][rows]),
            repeats=repeat[rows],
            result_ids=ids[rows],
            accuracy=columns["accuracy"][rows],
            nll=columns["nll"][rows],
            nll_sd=columns["nll_sd"][rows],
            brier=columns["brier"][rows],
            others={name: columns[name][rows] for name in metrics},
            scales=scales,
            weight_share=mean_of(columns["weight_share"][rows]) if group else 1.0,
        )
    return cells_by_contender


def interval(cell: Cell, score: Score, rows: RowScores | None = None) -> Interval:
    """The mean score's 95% interval, within the score's bounds.

    Over several splits or folds the interval holds for the learning algorithm. If the test rows of
    one split are the sample, it holds for the fitted models. The NLL has no interval if fewer than
    `FEWEST_CARRYING` test rows carry it (`Cell.carrying`), and no score has one over more than
    `MOST_FOLDS` folds: then the ends are NaN, and the basis gives the reason.

    Args:
        cell: the contender's scores.
        score: one of them.
        rows: scores of single rows. Where the test rows are the sample, every score except the
            accuracy and the NLL needs them.
    """
    values = cell.of(score)
    scale = cell.scale(score)
    J = len(values)
    if J == 0:
        return Interval(math.nan, math.nan, Basis.NO_SCORES)
    if cell.too_many_folds:
        return Interval(math.nan, math.nan, Basis.MANY_FOLDS)
    mean = mean_of(values)
    if math.isnan(mean):
        return Interval(math.nan, math.nan, Basis.UNDEFINED)
    if score == "nll" and cell.carrying < FEWEST_CARRYING:
        return Interval(math.nan, math.nan, Basis.FEW_CARRYING)
    if folds_in(cell.kind) and J > 1:
        return _over_folds(cell, score)
    if cell.kind == "fixed" or J == 1 or _constant(values):
        if score == "accuracy":
            return _wilson(mean, cell.rows * cell.weight_share)
        variance = _variance_of_rows(cell, score, rows)
        if math.isnan(variance):
            return Interval(math.nan, math.nan, Basis.NO_ROW_SCORES)
        half, basis = _half_width(math.sqrt(variance / cell.rows), cell.rows - 1), Basis.ROWS
    else:
        spread = math.sqrt(variance_of(values)) * math.sqrt(cell.variance_factor)
        basis = Basis.SPLITS if cell.kind == "resampled" else Basis.DRAWS
        half = _half_width(spread, J - 1)
    return Interval(max(mean - half, scale.low), min(mean + half, scale.high), basis)


def _variance_of_rows(cell: Cell, score: Score, rows: RowScores | None) -> float:
    """The mean variance of a score over the test rows; NaN if it has no values for rows."""
    if score == "nll":
        return float(np.square(cell.nll_sd).mean())
    values = rows.of(cell.result_ids.tolist(), score) if rows else []
    if not values or min(map(len, values)) < 2:
        return math.nan
    return float(np.mean([result.var(ddof=1) for result in values]))


def _over_folds(cell: Cell, score: Score) -> Interval:
    """The interval over folds: over all their rows, or, for other scores, over fold means."""
    scale = cell.scale(score)
    values = cell.of(score)
    mean, J = mean_of(values), len(values)
    n, k = J * cell.n_test, folds_in(cell.kind)
    if score == "accuracy":
        variance = mean * (1 - mean) * n / (n - 1)
        rows = cell.rows * cell.weight_share
        between, freedom = _between_folds(values, variance, cell.n_test * cell.weight_share, k)
        if not between:
            return replace(_wilson(mean, rows), basis=Basis.WILSON_FOLDED)
        # Wilson's interval widens with fewer rows: reduce them until it is as wide as it has to be.
        z = float(special.ndtri(1 - LEVEL / 2))
        rows_only = variance / rows
        variance_ratio = (
            1 + between * (float(special.stdtrit(freedom, 1 - LEVEL / 2)) / z) ** 2 / rows_only
        )
        return replace(_wilson(mean, rows / variance_ratio), basis=Basis.WILSON_FOLDED)
    if score == "nll":
        within = float(np.square(np.nan_to_num(cell.nll_sd)).mean()) * (1 - 1 / cell.n_test)
        variance = (within + float(values.var())) * n / (n - 1)
        between, freedom = _between_folds(values, variance, cell.n_test, k)
        half = _parts_half_width(
            ((variance / cell.rows, cell.rows - 1), (between, freedom)), LEVEL / 2
        )
        basis = Basis.FOLDED_ROWS
    else:
        if _constant(values):
            return Interval(math.nan, math.nan, Basis.NO_ROW_SCORES)
        spread = math.sqrt(variance_of(values)) * math.sqrt(cell.variance_factor)
        half, basis = _half_width(spread, _parts(cell.kind, J) - 1), Basis.FOLDS
    return Interval(max(mean - half, scale.low), min(mean + half, scale.high), basis)


def likelihood_interval(nll: Interval) -> Interval:
    """The likelihood's interval: exp(-NLL) of the NLL's ends, in reverse order.

    >>> likelihood_interval(Interval(0.0, float("inf"), Basis.DRAWS))
    Interval(low=0.0, high=1.0, basis=<Basis.DRAWS: 't over draws'>)
    """
    return Interval(math.exp(-nll.high), math.exp(-nll.low), nll.basis)


FETCHED = 500
"""The most results of which the rows' predictions are read from the store at once."""


class RowScores:
    """Scores of single test rows, read from the store only when a comparison needs them.

    Args:
        predictions: as in `Frames`.
        metric_rows: as in `Frames`.
    """

    def __init__(
        self, predictions: Predict, metric_rows: MetricRows = lambda _name, _ids: {}
    ) -> None:
        self._predictions, self._metric_rows = predictions, metric_rows
        self._kept: dict[int, dict[Score, Floats]] = {}  # by result id
        self._others: dict[Score, dict[int, Floats]] = {}

    def of(self, result_ids: Sequence[int], score: Score) -> list[Floats]:
        """The rows' scores (n_test,) for each result, in the order of the test part.

        Empty arrays for results of which the metric has no values for rows.
        """
        if score in SCALES:
            self.fetch(result_ids)
            return [self._kept[i][score] for i in result_ids]
        known = self._others.setdefault(score, {})
        missing = [i for i in result_ids if i not in known]
        if missing:
            known |= dict.fromkeys(missing, np.empty(0))
            known |= self._metric_rows(score, missing)
        return [known[i] for i in result_ids]

    def fetch_all(self, result_ids: Iterable[int], score: Score) -> None:
        """Read the rows of several results at once, for later calls of `of`."""
        if score in SCALES:
            self.fetch(result_ids)
        else:
            self.of(sorted(set(result_ids)), score)

    def fetch(self, result_ids: Iterable[int]) -> None:
        """Read the rows' predictions of several results at once."""
        missing = sorted(set(result_ids) - self._kept.keys())
        for start in range(0, len(missing), FETCHED):
            self._keep(missing[start : start + FETCHED])

    def _keep(self, missing: Sequence[int]) -> None:
        frame = self._predictions(missing)
        ids = frame["result_id"].to_numpy(dtype=np.int64)
        order = np.lexsort((frame["row"].to_numpy(dtype=np.int64), ids))
        right = frame["true"].to_numpy() == frame["predicted"].to_numpy()
        columns: dict[Score, Floats] = {
            "accuracy": right.astype(np.float64)[order],
            "nll": -frame["log_probability"].to_numpy(dtype=np.float64)[order],
            "brier": frame["brier"].to_numpy(dtype=np.float64)[order],
        }
        weights = np.ones(len(frame))
        if "weight" in frame:
            weights = frame["weight"].to_numpy(dtype=np.float64)[order]
        starts = np.searchsorted(ids[order], [*missing, missing[-1] + 1])
        for i, start, stop in zip(missing, starts[:-1], starts[1:], strict=True):
            w = weights[start:stop]
            self._kept[i] = {
                score: linearised(column[start:stop], None if (w == 1).all() else w)
                for score, column in columns.items()
            }


def fetch_for(datasets: Iterable[Mapping[Named, Cell]], score: Score, rows: RowScores) -> None:
    """Read at once the rows that comparisons of each dataset's contenders will need, if any."""
    result_ids: list[int] = []
    for contenders in datasets:
        scored = [cell for cell in contenders.values() if len(cell.repeats)]
        if any(c.kind == "fixed" or folds_in(c.kind) > 0 or len(c.repeats) == 1 for c in scored):
            result_ids += (i for cell in scored for i in cell.result_ids.tolist())
    rows.fetch_all(result_ids, score)


def compare(a: Cell, b: Cell, score: Score, rows: RowScores, *, level: float = LEVEL) -> Comparison:
    """Test the mean difference of two contenders on one dataset, paired over common repeats.

    Over more than `MOST_FOLDS` folds there is no test.

    Args:
        a: scores of the first contender.
        b: scores of the second contender, on the same dataset.
        score: the score to compare.
        rows: row scores of both.
        level: significance level for the smallest visible difference; the interval always has 95%.
    """
    i, j = _common_repeats(a, b)
    if not len(i):
        return Comparison(math.nan, math.nan, Basis.NO_COMMON_REPEAT)
    scale = a.scale(score)
    differences = a.of(score)[i] - b.of(score)[j]
    mean, J = mean_of(differences), len(differences)
    if math.isnan(mean):
        return Comparison(math.nan, math.nan, Basis.UNDEFINED)
    if a.too_many_folds:
        return Comparison(mean, math.nan, Basis.NO_TEST)
    worth = _rows(a.kind, J, a.n_test, a.n_train)
    folded = folds_in(a.kind) > 0 and J > 1
    if a.kind != "fixed" and J > 1:
        if not _constant(differences) and not folded:
            factor = _factor(a.kind, J, a.n_test, a.n_train)
            spread = math.sqrt(variance_of(differences)) * math.sqrt(factor)
            basis = Basis.PAIRED_SPLITS if a.kind == "resampled" else Basis.PAIRED_DRAWS
            return _by_t(mean, spread, J - 1, basis, scale, level)
        if _constant(differences) and abs(mean) < 1e-12:
            return _equal_scores(a, b, scale, rows, (i, j), worth, level)
    scores_a = rows.of(a.result_ids[i].tolist(), score)
    scores_b = rows.of(b.result_ids[j].tolist(), score)
    if any(len(x) != len(y) or not len(x) for x, y in zip(scores_a, scores_b, strict=True)):
        lacking = not any(map(len, scores_a)) and score in a.scales
        return Comparison(mean, math.nan, Basis.NO_ROW_SCORES if lacking else Basis.NO_COMMON_ROWS)
    paired = [x - y for x, y in zip(scores_a, scores_b, strict=True)]
    if folded and worth > 1 and not _constant(np.concatenate(paired)):
        return _over_folded_rows(mean, paired, worth, folds_in(a.kind), scale, level)
    if a.kind != "fixed":
        return _over_rows(mean, np.concatenate(paired), worth, scale, level)
    if J > 1 and worth > 1 and not _constant(differences):
        return _over_seeds(mean, np.array(paired), scale, level)
    comparison = _over_rows(mean, np.mean(paired, axis=0), worth, scale, level)
    return replace(comparison, of_fits=J == 1)


def best(contenders: Mapping[Named, Cell], score: Score) -> Named | None:
    """The complete contender with the best mean score; None if none is complete."""
    complete = {key: cell for key, cell in contenders.items() if cell.complete}
    means = {key: mean_of(cell.of(score)) for key, cell in complete.items()}
    means = {key: mean for key, mean in means.items() if not math.isnan(mean)}
    if not means:
        return None
    more_is_better = complete[next(iter(means))].scale(score).more_is_better
    return (max if more_is_better else min)(means, key=means.__getitem__)


def against_best(
    contenders: Mapping[Named, Cell], score: Score, rows: RowScores, *, looks: int = 1
) -> dict[Named, Comparison]:
    """Compare a dataset's best contender with each other contender that has scores.

    P-values allow for the number of contenders, and for choosing the leader by the same scores
    (`harness.statistics.multiplicity`): with equal contenders, any difference is significant in 5%
    of all cases. A contender that failed in some repeats may be ahead on the others; then it gets a
    p-value of 1, because it is neither the best nor shown to be worse. Intervals and visible
    differences are those of a single comparison.

    Args:
        contenders: scores by contender.
        score: the score to compare.
        rows: row scores of all contenders.
        looks: number of times that the scores are tested before the number of repeats is final;
            p-values are multiplied by it (Bonferroni).
    """
    leader = best(contenders, score)
    if leader is None:
        return {}
    scored = {key: cell for key, cell in contenders.items() if len(cell.repeats)}
    best_cell = scored[leader]
    fetch_for([scored], score, rows)
    comparisons = {
        key: compare(best_cell, cell, score, rows) for key, cell in scored.items() if key != leader
    }
    sign = 1 if best_cell.scale(score).more_is_better else -1
    p_alone = [
        1.0 if sign * comparison.difference < 0 else comparison.p_value
        for comparison in comparisons.values()
    ]  # a contender that is ahead on the common repeats is not worse
    # Only comparisons over repeats estimate a variance between repeats, from which leads borrow.
    paired = {
        index: _paired(best_cell, scored[key], score)
        for index, (key, comparison) in enumerate(comparisons.items())
        if comparison.basis.over_repeats
    }
    leads_by_index = leads(paired)

    def among(index: int, n_left: int) -> float:
        if n_left > 2 and index in leads_by_index and p_alone[index] < 1.0:
            lead, n_repeats = leads_by_index[index]
            return lead_p_value(lead, n_left, n_repeats)
        return range_p_value(p_alone[index], n_left)

    adjusted = step_down(p_alone, among)
    return {
        key: replace(comparison, p_value=min(looks * p, 1.0) if p == p else p)
        for (key, comparison), p in zip(comparisons.items(), adjusted, strict=True)
    }


def _common_repeats(a: Cell, b: Cell) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each contender has the repeats that both have."""
    if np.array_equal(a.repeats, b.repeats):  # quicker by far, and nearly always so
        every = np.arange(len(a.repeats))
        return every, every
    _, i, j = np.intersect1d(a.repeats, b.repeats, return_indices=True)
    return i, j


def _paired(a: Cell, b: Cell, score: Score) -> tuple[Floats, float]:
    """Differences (J,) of the common repeats, and the factor that makes their mean's variance."""
    i, j = _common_repeats(a, b)
    factor = _factor(a.kind, len(i), a.n_test, a.n_train)
    return a.of(score)[i] - b.of(score)[j], factor


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, which hold the family-wise error rate (Holm 1979).

    NaN stays NaN, and does not count.

    >>> [round(p, 3) for p in holm([0.04, 0.01, 0.03])]
    [0.06, 0.03, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]  # NaN sorts to the end
    stepped = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(value) for value in adjusted]


def _parts(kind: SplitKind | None, J: int) -> int:
    """The number of distinct test parts: repetitions of folds test the same rows again."""
    return min(J, folds_in(kind) or J)


def _factor(kind: SplitKind | None, J: int, n_test: float, n_train: float) -> float:
    """The factor that turns the variance between repeats into the variance of their mean."""
    shared = kind == "resampled" or folds_in(kind) > 0
    return 1 / _parts(kind, J) + (n_test / n_train if shared else 0.0)


def _rows(kind: SplitKind | None, J: int, n_test: float, n_train: float) -> float:
    """The effective sample size n: v/n is the variance of the mean, for rows of variance v.

    A repeat's mean has variance s^2 = v/n_test. So with `_factor` the mean of J repeats has
    variance v/n_test (1/J + n_test/n_train) = v (1/(J n_test) + 1/n_train). One repeat, or any
    number of repeats of a fixed split, is worth n_test rows.
    """
    if kind == "fixed" or J == 1:
        return n_test
    return n_test / _factor(kind, J, n_test, n_train)


def _constant(values: Floats) -> bool:
    """Whether all values are equal, apart from rounding."""
    high, low = float(np.maximum.reduce(values)), float(np.minimum.reduce(values))
    return high - low <= 1e-12 * max(1.0, abs(high), abs(low))


def _wilson(p: float, n: float) -> Interval:
    """Wilson's score interval (1927) for a share p of n rows; n may be fractional."""
    z = float(special.ndtri(1 - LEVEL / 2))
    shrink = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / shrink
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / shrink
    # Rounding may exclude p just so if it is 0 or 1.
    return Interval(max(min(centre - half, p), 0.0), min(max(centre + half, p), 1.0), Basis.WILSON)


def _half_width(spread: float, freedom: float) -> float:
    """Half the width of a t interval; infinite without degrees of freedom."""
    if freedom <= 0 or math.isnan(spread):
        return math.inf
    return float(special.stdtrit(freedom, 1 - LEVEL / 2)) * spread


def _p_value(t: float, freedom: float) -> float:
    return float(2 * special.stdtr(freedom, -abs(t)))


def _by_t(
    mean: float, spread: float, freedom: float, basis: Basis, scale: Scale, level: float
) -> Comparison:
    """Compare by a t-test of a mean difference whose standard error is the spread."""
    half = _half_width(spread, freedom)
    return Comparison(
        mean,
        _p_value(mean / spread, freedom),
        basis,
        max(mean - half, -scale.span),
        min(mean + half, scale.span),
        spread * standard_errors_told(freedom, level),
        students(mean, spread, freedom),
    )


def mean_squares(differences: Floats) -> tuple[float, float, float]:
    """Mean squares of rows, of seeds and of the residual, for differences (J seeds, n rows).

    Two-way random effects: Cornfield & Tukey, Ann. Math. Stat. 27, 1956.
    """
    J, n = differences.shape
    by_row, by_seed, mean = differences.mean(axis=0), differences.mean(axis=1), differences.mean()
    residuals = differences - by_row - by_seed[:, None] + mean
    return (
        J * float(np.square(by_row - mean).sum()) / (n - 1),
        n * float(np.square(by_seed - mean).sum()) / (J - 1),
        float(np.square(residuals).sum()) / ((n - 1) * (J - 1)),
    )


def _over_seeds(mean: float, differences: Floats, scale: Scale, level: float) -> Comparison:
    """Compare by the differences (J, n) of n rows crossed with J seeds; both are samples.

    With mean squares R of rows, S of seeds and E of the residual, the mean's variance is
    (R + S - E) / (J n) (two-way random effects; Cornfield & Tukey, Ann. Math. Stat. 27, 1956). Few
    seeds estimate S badly, and Satterthwaite's degrees of freedom trust a seed variance that is
    small by chance: then 3% of equal models have p < .001. Here each part has the t quantile of its
    own degrees of freedom: the half-width is sqrt(t(n-1)^2 (R - E) + t(J-1)^2 S) / sqrt(J n), with
    R - E at least 0. Such intervals cover at least as often as they claim, at every level and for
    any shares of the parts (Banerjee, Sankhya 22, 1960).
    """
    J, n = differences.shape
    R, S, E = mean_squares(differences)
    parts = ((max(R - E, 0.0) / (J * n), n - 1.0), (S / (J * n), J - 1.0))
    spread = math.sqrt(max(R + S - E, R, S) / (J * n))
    return _by_parts(mean, parts, spread, Basis.PAIRED_SEEDS, scale, level)


def _over_folded_rows(
    mean: float, paired: Sequence[Floats], worth: float, k: int, scale: Scale, level: float
) -> Comparison:
    """Compare by the rows' differences in each fold, which are worth `worth` independent rows.

    A seed may move all rows of a fold together. Tested over the rows alone, two runs of such a
    model differ at the 1% level in a quarter of cases. So the variance of fold means beyond that of
    their rows is a second part of the variance (`_between_folds`).
    """
    differences = np.concatenate(paired)
    variance = float(differences.var(ddof=1))
    means = np.array([fold.mean() for fold in paired])
    between, freedom = _between_folds(means, variance, len(differences) / len(paired), k)
    basis = Basis.PAIRED_FOLDED_ROWS
    if not between:
        return _by_t(mean, math.sqrt(variance / worth), worth - 1, basis, scale, level)
    parts = ((variance / worth, worth - 1), (between, freedom))
    return _by_parts(mean, parts, math.sqrt(variance / worth + between), basis, scale, level)


def _between_folds(means: Floats, variance: float, n_test: float, k: int) -> tuple[float, float]:
    """The variance that folds add to the mean of all rows, and its degrees of freedom.

    Fits of the same fold in several repetitions may make the same errors, so that repetitions do
    not reduce it.

    Args:
        means: (J,), mean scores of all folds of all repetitions.
        variance: variance of the rows' scores.
        n_test: number of rows in a fold.
        k: number of folds in a repetition.
    """
    J = len(means)
    parts = min(J, k)
    excess = max(n_test * float(means.var(ddof=1)) - variance, 0.0)
    return excess / (n_test * parts), float(max(J - math.ceil(J / k), 1))


def _parts_half_width(parts: Sequence[tuple[float, float]], tail: float) -> float:
    """Half the interval's width, from each part's variance and degrees of freedom.

    Each part has the t quantile of its own degrees of freedom (Banerjee, Sankhya 22, 1960).
    """
    return math.sqrt(sum(v * float(special.stdtrit(f, tail)) ** 2 for v, f in parts))


def _by_parts(
    mean: float,
    parts: Sequence[tuple[float, float]],
    spread: float,
    basis: Basis,
    scale: Scale,
    level: float,
) -> Comparison:
    """Compare by a mean difference whose variance has two parts.

    Args:
        mean: the mean difference.
        parts: variance and degrees of freedom of each part; the second has fewer degrees.
        spread: standard error of the mean difference.
        basis: the test.
        scale: the score to compare.
        level: significance level for the smallest visible difference.
    """

    def tail_beyond(distance: float) -> float:
        """The one-sided p-value of a distance: the tail whose half-width equals the distance."""
        low, high = -700.0, math.log(0.5)
        for _ in range(60):
            middle = (low + high) / 2
            beyond = _parts_half_width(parts, math.exp(middle)) > distance
            low, high = (middle, high) if beyond else (low, middle)
        return math.exp((low + high) / 2)

    def below(value: float) -> float:
        beyond = tail_beyond(abs(value - mean))
        return beyond if value < mean else 1 - beyond

    half = _parts_half_width(parts, LEVEL / 2)
    (_, max_freedom), (_, min_freedom) = parts
    return Comparison(
        mean,
        min(2 * tail_beyond(abs(mean)), 1.0),
        basis,
        max(mean - half, -scale.span),
        min(mean + half, scale.span),
        _visible_by(_parts_half_width(parts, level / 2), spread, min_freedom, max_freedom, level),
        below,
    )


def _visible_by(
    half: float, spread: float, min_freedom: float, max_freedom: float, level: float
) -> float:
    """The smallest difference that a test with this half-width detects, from a similar t-test.

    That t-test has the same spread, and the degrees of freedom that give it the same half-width.

    Args:
        half: half-width of the test at this level.
        spread: standard error of the mean difference.
        min_freedom: lower bound of the degrees of freedom.
        max_freedom: upper bound of the degrees of freedom.
        level: significance level.
    """
    low, high = min_freedom, max_freedom
    for _ in range(40):
        middle = (low + high) / 2
        wider = float(special.stdtrit(middle, 1 - level / 2)) * spread > half
        low, high = (middle, high) if wider else (low, middle)
    freedom = (low + high) / 2
    critical = float(special.stdtrit(freedom, 1 - level / 2))
    return half * standard_errors_told(freedom, level) / critical


def _equal_scores(
    a: Cell,
    b: Cell,
    scale: Scale,
    rows: RowScores,
    common: tuple[NDArray[np.intp], NDArray[np.intp]],
    worth: float,
    level: float,
) -> Comparison:
    """Compare two contenders with equal scores in each of several common repeats."""
    if scale.name != "accuracy":
        return Comparison(0.0, 1.0, Basis.EQUAL, 0.0, 0.0, 0.0, point(0.0))
    # Equal accuracies, but perhaps not on the same rows.
    i, j = common
    scores_a = np.concatenate(rows.of(a.result_ids[i].tolist(), scale.name))
    scores_b = np.concatenate(rows.of(b.result_ids[j].tolist(), scale.name))
    if len(scores_a) != len(scores_b):
        return Comparison(0.0, math.nan, Basis.NO_COMMON_ROWS)
    discordant = float((scores_a > scores_b).mean()) * worth
    low, high = _tango(discordant, discordant, worth)
    below = paired_shares(discordant, discordant, worth)
    return Comparison(
        0.0, 1.0, Basis.EQUAL, low, high, _visible_apart(2 * discordant, worth, level), below
    )


def _by_signs(mean: float, n: float, basis: Basis, scale: Scale, level: float) -> Comparison:
    """Compare by n independent differences that are all equal.

    A t-test needs some variance, but the sign test does not: n differences have the same sign.
    """
    smallest_p = min(1.0, 2.0 ** (1 - n))
    p = 1.0 if abs(mean) < 1e-12 else smallest_p
    significant = smallest_p < LEVEL
    low, high = (mean, mean) if significant else (-scale.span, scale.span)
    visible = 0.0 if smallest_p < level else math.inf
    return Comparison(mean, p, basis, low, high, visible, point(mean) if significant else unknown)


def _over_rows(
    mean: float, differences: Floats, rows: float, scale: Scale, level: float
) -> Comparison:
    """Compare by differences of rows that are worth ``rows`` independent ones."""
    independent = rows >= len(differences) - 1e-9
    if scale.name == "accuracy" and independent and np.isin(differences, (-1.0, 0.0, 1.0)).all():
        return _mcnemar(
            mean,
            int((differences > 0).sum()),
            int((differences < 0).sum()),
            len(differences),
            level,
        )
    ceiling = scale.span
    if _constant(differences):
        return _by_signs(mean, rows, Basis.SIGNS, scale, level)
    if rows <= 1:
        return Comparison(mean, math.nan, Basis.FEW_ROWS, -ceiling, ceiling, math.inf)
    spread = float(differences.std(ddof=1)) / math.sqrt(rows)
    return _by_t(mean, spread, rows - 1, Basis.PAIRED_ROWS, scale, level)


def _mcnemar(mean: float, better: int, worse: int, n: int, level: float) -> Comparison:
    """Compare by the rows, out of n, that only one of the two contenders predicts correctly.

    The interval inverts McNemar's test in its large-sample form (`_tango`). The exact test rejects
    less often; if it does not reject, the interval is extended to include 0.
    """
    p = min(2 * float(special.bdtr(min(better, worse), better + worse, 0.5)), 1.0)
    low, high = _tango(better, worse, n)
    if p >= LEVEL:
        low, high = min(low, 0.0), max(high, 0.0)
    visible = _visible_apart(better + worse, n, level)
    return Comparison(mean, p, Basis.MCNEMAR, low, high, visible, paired_shares(better, worse, n))


@lru_cache(maxsize=4096)  # models of one dataset often differ by the same numbers of rows
def _tango(better: float, worse: float, n: float) -> tuple[float, float]:
    """The score interval of a difference of paired shares (Tango, Stat. Med. 17, 1998)."""
    z = float(special.ndtri(1 - LEVEL / 2))

    def score(delta: float) -> float:
        # The maximum likelihood share of worse rows, if better rows' share is larger by delta.
        b = (2 * n - better + worse) * delta - better - worse
        root = math.sqrt(max(b * b + 8 * n * worse * delta * (1 - delta), 0.0))
        variance = n * (2 * (root - b) / (4 * n) + delta * (1 - delta))
        return (better - worse - n * delta) / math.sqrt(max(variance, 1e-300))

    def end(wanted: float, below: float, above: float) -> float:
        for _ in range(60):  # the score falls as delta grows
            middle = (below + above) / 2
            below, above = (middle, above) if score(middle) > wanted else (below, middle)
        return (below + above) / 2

    observed = (better - worse) / n
    return end(z, -1.0, observed), end(-z, observed, 1.0)


def _visible_apart(discordant: float, n: float, level: float) -> float:
    """The smallest difference in accuracy that McNemar's test detects with power `POWER`.

    It is (z_{1-level/2} + z_{POWER}) sqrt(discordant) / n, where `discordant` is the number of rows
    that only one of the two predicts correctly. It is also large enough that the fewest such rows
    that can be significant (six at the 5% level) occur with probability `POWER`.
    """
    fewest = math.ceil(1 - math.log2(level))
    if n < fewest:
        return math.inf
    quantiles = float(special.ndtri(1 - level / 2) + special.ndtri(POWER))
    least_difference = float(special.bdtri(fewest - 1, math.floor(n), 1 - POWER))
    return max(quantiles * math.sqrt(discordant) / n, least_difference)
