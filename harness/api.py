"""The harness from Python: the same runs as from the command line, as DataFrames."""

from __future__ import annotations

import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterable
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from harness import notebook, units
from harness.analysis import ranking
from harness.contract.classes import classes
from harness.contract.openers import FRAME_FOLDER, NAME, opened, opening
from harness.contract.registry import Registry, load
from harness.contract.selectors import quoted
from harness.contract.values import Wanted
from harness.errors import UsageError, nearest
from harness.runs.campaign import TIMEOUT, TIMING_BUDGET, Request, begin
from harness.runs.metrics import chosen_metrics, with_metrics
from harness.settings import choose_store, read_settings
from harness.store.database import Store
from harness.store.frames import load_frames
from harness.trials import discovery
from harness.trials.plan import SEED, Selection, plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from harness.contract.values import Frames, Run
    from harness.runs.campaign import Campaign
    from harness.trials.events import Tell

Selectors: TypeAlias = "str | Path | Table | type | Sequence[str | Path | Table | type]"


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a run measured, as DataFrames; a notebook shows it as tables."""

    run: Run
    frames: Frames
    tables: Mapping[str, pd.DataFrame]

    @property
    def results(self) -> pd.DataFrame:
        """One row per trial; `harness.Frames` describes the columns."""
        return self.frames.results

    @property
    def traces(self) -> pd.DataFrame:
        """Likelihood of the training and test part by epoch, for models that learn by epochs."""
        return self.frames.traces()

    @property
    def ranking(self) -> pd.DataFrame:
        """Datasets and models, ranked by likelihood, with 95% intervals."""
        return self.tables["ranking"]

    @property
    def accuracy(self) -> pd.DataFrame:
        """Accuracy, models by datasets."""
        return self.tables["accuracy"]

    @property
    def likelihood(self) -> pd.DataFrame:
        """Likelihood, models by datasets."""
        return self.tables["likelihood"]

    @property
    def training(self) -> pd.DataFrame:
        """Fits and predictions, timed alone: one row per pairing."""
        return self.tables["training"]

    @property
    def failures(self) -> pd.DataFrame:
        """The trials without scores, and why."""
        return self.tables["failures"]

    def plot(
        self,
        kind: str,
        *,
        model: str | None = None,
        dataset: str | None = None,
        device: str | None = None,
    ) -> Figure:
        """A picture, which a notebook shows; `harness.sheets.output.save` writes it to a file.

        Args:
            kind: name of the picture; `harness list pictures` prints all names. ``history`` is not
                a picture of a run.
            model: name or glob of a model; for ``softmax``, of a kernel.
            dataset: name or glob of a dataset.
            device: name or glob of a device.

        Raises:
            UsageError: there is no such picture of the run, or the names match several pairings
                and the picture shows one.
        """
        pictures = self.frames.pictures
        known = [name for name, picture in pictures.items() if picture.scope != "history"]
        if kind not in known:
            raise UsageError(f"no picture of a run is called '{kind}': {nearest(kind, known)}")
        figure: Figure = pictures[kind].draw(self.frames, Wanted(model, dataset, device)).figure
        return figure

    def __repr__(self) -> str:
        counts = self.results["status"].value_counts().to_dict()
        listed = ", ".join(f"{count} {status}" for status, count in counts.items())
        return f"<harness run {self.run.id}: {listed}>"

    def _repr_html_(self) -> str:
        return notebook.page(self.tables)


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Table:
    """A table as a dataset, as `table` makes it; give it to `run` as one of the datasets.

    Args:
        selector: selects it, as on the command line.
    """

    selector: str

    def __str__(self) -> str:
        return self.selector


def table(data: Any, target: str = "", *, name: str = "table", **options: Any) -> Table:
    """A table as a dataset: ``harness.run(harness.table(frame, "churned"))``.

    Args:
        data: a DataFrame, an Arrow table, a dict of columns, or the path of a file.
        target: the column that holds the classes.
        name: name of the dataset; a file has its own name by default.
        options: as on the command line: ``drop``, ``categorical``, ``weights``, ``groups``,
            ``time``, ``cv`` and so on; several columns as a list.

    Raises:
        UsageError: the data cannot be kept in a file, or lacks the target column, or the file does
            not exist.
    """
    given = {"target": target, **options}
    texts = {key: text for key, value in given.items() if (text := _option_text(key, value))}
    if isinstance(data, str | Path):
        if name != "table":
            texts[NAME] = name
        return Table(_selector_of(str(data), texts))
    folder = tempfile.mkdtemp(prefix=FRAME_FOLDER)
    try:
        file = Path(folder) / "table.arrow"
        names = _write_arrow(data, file)
        if target and target not in names:
            raise UsageError(f"the table has no column '{target}': {nearest(target, names)}")
        made = Table(_selector_of(str(file), texts | {NAME: name}))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    # The file lives as long as the table, or as this process.
    weakref.finalize(made, shutil.rmtree, folder, ignore_errors=True)
    return made


def _option_text(name: str, value: Any) -> str:
    """An option as on the command line: a text, a number, or the parts of a list, joined."""
    if value is None or value is False:
        return ""
    if hasattr(value, "items"):  # a Series, for example
        raise UsageError(
            f"{name} is a {type(value).__name__}; write the name of a column of the table, or a "
            "list of names"
        )
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "+".join(map(str, value))
    return str(value)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """A DataFrame that Arrow takes: dense, and its categories are texts or numbers.

    Those of `pandas.cut` are intervals.

    Raises:
        UsageError: Arrow takes no values of some column.
    """
    import pandas as pd
    import pyarrow as pa

    columns = {}
    for name, column in frame.items():
        if isinstance(column.dtype, pd.SparseDtype):
            column = column.astype(column.dtype.subtype)
        elif isinstance(column.dtype, pd.CategoricalDtype):
            names = column.cat.categories
            if pd.api.types.infer_dtype(names) not in ("string", "integer", "floating"):
                column = column.cat.rename_categories(names.astype(str).tolist())
        try:
            pa.array(column, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise UsageError(
                f"the table's column '{name}' mixes types, or holds values that are no data; "
                "convert it, for example by .astype(str), or drop it"
            ) from error
        columns[name] = column
    return pd.DataFrame(columns, index=frame.index, copy=False)


def _selector_of(path: str, options: Mapping[str, str]) -> str:
    found = opening(quoted(path), options)
    if found is None:
        raise UsageError(f"'{path}' is no file that an installed plugin opens")
    return found.spec


def _write_arrow(data: Any, file: Path) -> list[str]:
    """Write a table as a file, and return the names of its columns."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import feather

    try:
        if isinstance(data, pd.DataFrame):
            if not data.columns.is_unique:
                repeated = data.columns[data.columns.duplicated()][0]
                raise UsageError(f"the table has two columns '{repeated}'; rename one")
            arrow = pa.Table.from_pandas(_plain(data), preserve_index=False)
        elif hasattr(data, "to_arrow"):
            arrow = data.to_arrow()
        else:
            arrow = data if isinstance(data, pa.Table) else pa.table(data)
        feather.write_feather(arrow, str(file), compression="uncompressed")
    except (pa.ArrowException, TypeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise UsageError(
            f"the table cannot be kept in a file: {text[:300]}; give a DataFrame, an Arrow table "
            "or a dict of columns of equal lengths"
        ) from error
    return list(map(str, arrow.column_names))


def discover(plugins: Selectors = ()) -> Registry:
    """The registry of all plugins: installed, listed in the nearest pyproject.toml, or given here.

    Args:
        plugins: paths of ``.py`` files, or import names of modules.

    Raises:
        PluginError: a given plugin cannot be used, or two plugins offer the same name.
    """
    return load((*read_settings().plugins, *_words(plugins)))


def run(
    datasets: Selectors = (),
    models: Selectors = (),
    *,
    metrics: Selectors = (),
    repeats: int | str | None = None,
    seed: int | None = None,
    train_sizes: Sequence[int] = (),
    device: Selectors | None = None,
    jobs: int | None = None,
    timeout: float | str | None = None,
    memory: int | str | None = None,
    timing_budget: float | str | None = None,
    timing: bool = True,
    batching: bool = True,
    fresh: bool = False,
    plugins: Selectors = (),
    store: str | Path | None = None,
    name: str = "",
    in_process: bool = False,
    progress: bool | None = None,
) -> Outcome:
    """Run every selected model on every selected dataset; store and return the results.

    Arguments that are left out come from ``[tool.harness.run]`` in the nearest pyproject.toml, or
    have the defaults of ``harness run``.

    Args:
        datasets: selectors, such as ``"iris"``, ``"toy:*"`` or ``"threshold[n_train=50]"``; files,
            such as ``"churn.csv[target=churned]"``; or tables that `table` made; if left out, all
            datasets.
        models: selectors likewise, or classes, such as ``"sklearn.svm:SVC[C=1|10]"``,
            ``"./mine.py:Mine"`` and ``SVC``; the baselines always run.
        repeats: number of splits of each dataset; 'auto' adds more where the best model is not
            significantly better than all others by the score that ranks.
        seed: seed of the whole run.
        metrics: scores to show, such as ``auc`` or ``f1[positive=yes]``; the first one ranks.
        train_sizes: numbers of training rows, each used in turn; if left out, all training rows.
        device: names of devices.
        jobs: number of trials that run at the same time.
        timeout: seconds a trial may take, or a text such as ``"2m"``.
        memory: bytes a trial may use, or a text such as ``"2G"``.
        timing_budget: seconds, or a text such as ``"2m"``, in which to time the pairings alone
            after the trials.
        timing: whether to time the pairings.
        batching: whether to train the repeats of a pairing in one call if the model can.
        fresh: whether to run every trial, even if the store has its result already, from the same
            code, data, versions and seeds.
        plugins: paths of ``.py`` files, or import names of modules.
        store: path of an SQLite file, or a database URL.
        name: name of the run, by which people find it.
        in_process: whether to run without isolation, for debugging.
        progress: whether to show progress in a notebook or on a terminal; if left out, in a
            notebook only.

    Raises:
        HarnessError: the selection cannot be run, or the store cannot be used.
    """
    settings = read_settings()
    arguments = {
        "datasets": datasets or None,
        "models": models or None,
        "metrics": metrics or None,
        "repeats": repeats,
        "seed": seed,
        "device": device,
        "jobs": jobs,
        "timeout": timeout,
        "memory": memory,
        "timing_budget": timing_budget,
    }
    options = dict(settings.run) | {k: v for k, v in arguments.items() if v is not None}
    files, names = opened(_words(options.get("datasets", ())), declared=settings.datasets)
    classes_given, models_named = classes(_words(options.get("models", ())), strict=in_process)
    request = Request(
        Selection(
            datasets=tuple(names),
            models=tuple(models_named),
            devices=_words(options.get("device", ("cpu",))),
            repeats=options.get("repeats"),
            seed=options.get("seed", SEED),
            train_sizes=tuple(train_sizes),
        ),
        plugins=(*settings.plugins, *_words(plugins), *files, *classes_given),
        metrics=_words(options.get("metrics", ())),
        name=name,
        jobs=options.get("jobs"),
        timeout=units.seconds(options.get("timeout", TIMEOUT)),
        memory=units.size(options["memory"]) if "memory" in options else None,
        timing_budget=units.seconds(options.get("timing_budget", TIMING_BUDGET)) if timing else 0.0,
        batching=batching,
        fresh=fresh,
        in_process=in_process,
    )
    registry = (
        load(request.plugins) if in_process else discovery.discover(request.plugins, strict=False)
    )
    choices = chosen_metrics(registry, request.metrics)
    with ExitStack() as stack:
        if isinstance(registry, discovery.Described):
            # Otherwise they would live until garbage collection, which a notebook may delay.
            stack.callback(registry.processes.close)
        planned = plan(registry, request.selection)
        with closing(
            Store(choose_store(str(store) if store else None, settings), create=True)
        ) as database:
            campaign = begin(database, registry, request, planned)
            campaign = _finished(campaign, progress)
            frames = load_frames(database, database.find(str(campaign.run.id)), registry.pictures)
            frames = with_metrics(frames, registry, choices)
            return Outcome(frames.run, frames, ranking.tables(frames))


def _finished(campaign: Campaign, progress: bool | None) -> Campaign:
    """Run a campaign and all that add repeats to it, time the pairings; gives the last campaign."""
    here = notebook.is_here()
    wanted = here if progress is None else progress
    following: Campaign | None = campaign
    while following is not None:
        campaign = following
        bar = notebook.Bar(campaign) if wanted and here else None
        try:
            with (
                _display(campaign, bar, wanted=wanted) as tell,
                closing(campaign.results(tell)) as results,
            ):
                for _ in results:
                    pass
            following = campaign.further()
            if following is None:
                campaign.time(bar.timing) if bar else campaign.time()
        finally:
            if bar:
                bar.end()
    return campaign


@contextmanager
def _display(campaign: Campaign, bar: notebook.Bar | None, *, wanted: bool) -> Iterator[Tell]:
    """Yield the function that takes events: a notebook's bar, or the command line's display."""
    if bar or not wanted:
        yield bar or (lambda _: None)
        return
    from harness.terminal.display import display  # rich loads only if it shows something

    with display(campaign, shown=True, watch=False) as tell:
        yield tell


def _words(given: Selectors) -> tuple[str, ...]:
    """Selectors as texts; a class becomes its import path."""
    if isinstance(given, str | Path | Table | type) or not isinstance(given, Iterable):
        return (_word(given),)
    return tuple(map(_word, given))


def _word(given: object) -> str:
    if isinstance(given, str | Path | Table):
        return str(given)
    if isinstance(given, type):
        if given.__module__ == "__main__" or "<" in given.__qualname__:
            raise UsageError(
                f"{given.__qualname__} is a class of this script or notebook, which no other "
                f"process can import; write it to a file: './mine.py:{given.__name__}'"
            )
        # The public module that a library offers the class from, such as sklearn.svm.
        module = given.__module__.partition("._")[0]
        if getattr(sys.modules.get(module), given.__name__, None) is not given:
            module = given.__module__
        return f"{module}:{given.__qualname__}"
    raise UsageError(
        f"{given!r:.80} is no text; select by a name, such as 'sklearn-svc', 'auc' or "
        "'sklearn.svm:SVC[C=10]'; what has no name yet is offered by a plugin: plugins='mine.py'"
    )
