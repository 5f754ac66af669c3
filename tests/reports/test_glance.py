"""What a run prints without ``--verbose``: the verdict, an overview, the best of each dataset."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from command_line import harness_in
from made_frames import DATASETS, MODELS, make_frames
from rich.cells import cell_len
from rich.console import Console
from terminals import printed

if TYPE_CHECKING:
    from pathlib import Path

    from harness.contract.values import Frames, Report

pytestmark = pytest.mark.usefixtures("known_plugins")

SMALL = {"iris": DATASETS["iris"], "three-integers": DATASETS["three-integers"]}
FEW = {name: MODELS[name] for name in ("prior", "numpy-softmax", "torch-mlp")}
ONE = {"iris": DATASETS["iris"]}
LATE = {("iris", "torch-mlp", 2): ("timeout", "timeout", "no answer within 60 s")}


def glance(report: Report, frames: Frames, width: int = 80) -> list[str]:
    return printed(report, frames, width, verbose=False).splitlines()


def test_the_first_lines_say_what_is_best_at_what_price_and_what_failed(report: Report) -> None:
    first, *others = glance(report, make_frames(SMALL, FEW), 200)
    assert first.startswith("Best: torch-mlp, mean likelihood .")
    assert "over 2 datasets" in first
    assert [line.split(":")[0] for line in others[:2]] == ["If time matters", "Failed"]
    assert others[1] == "Failed: nothing; all 30 trials are ok."


def test_failed_trials_are_counted_first_and_their_reasons_follow(report: Report) -> None:
    lines = glance(report, make_frames(SMALL, FEW, faults=LATE), 200)
    assert any(line.startswith("Failed: ") and "timeout" in line for line in lines[:4])
    assert any(line.startswith("Failures: torch-mlp on iris: 1 × timeout") for line in lines)


def test_a_model_that_is_not_complete_is_not_the_best(report: Report) -> None:
    lines = glance(report, make_frames(SMALL, FEW, faults=LATE), 200)
    assert not lines[0].startswith("Best: torch-mlp")


def test_a_run_takes_at_most_a_line_a_model_four_a_dataset_and_fifteen_more(
    report: Report,
) -> None:
    lines = glance(report, make_frames())
    assert len(lines) <= len(MODELS) + 4 * len(DATASETS) + 15


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(report: Report, width: int) -> None:
    for frames in (make_frames(), make_frames(SMALL, FEW), make_frames(ONE, FEW, faults=LATE)):
        assert all(cell_len(line) <= width for line in glance(report, frames, width))


def test_baselines_stand_below_all_models(report: Report) -> None:
    lines = glance(report, make_frames(SMALL, FEW))
    head = next(i for i, line in enumerate(lines) if line.startswith("exp(-log loss)"))
    assert [line.split()[0] for line in lines[head + 1 : head + 4]][-1] == "prior"


def test_a_baseline_that_leads_is_said_to_be_one(report: Report) -> None:
    frames = make_frames(ONE, FEW)
    results = frames.results.copy()
    others = ~results["baseline"].astype(bool)
    results.loc[others, "nll"] += 5
    results.loc[others, "likelihood"] = np.exp(-results.loc[others, "nll"])
    first = glance(report, replace(frames, results=results), 300)[0]
    assert first.startswith("Best: prior (a baseline, which ignores the features), likelihood")


def test_what_ties_with_the_best_but_is_worse_than_a_baseline_has_a_mark_of_its_own(
    report: Report,
) -> None:
    frames = make_frames(SMALL, FEW)
    assert not any("?" in line for line in glance(report, frames))
    noisy = (frames.results["model"] == "numpy-softmax") & (frames.results["dataset"] == "iris")
    nll = frames.results["nll"].where(
        ~noisy, frames.results["repeat"].map(lambda i: 40.0 * (i == 2))
    )
    results = frames.results.assign(nll=nll, likelihood=np.exp(-nll))
    lines = glance(report, replace(frames, results=results))
    row = next(line for line in lines if line.startswith("numpy-softmax"))
    assert " ?.000" in row
    assert "≈.000" not in row
    assert "?: likewise, but below a baseline." in " ".join(lines)


def test_a_run_without_scores_has_no_best_model(report: Report) -> None:
    frames = make_frames(SMALL, FEW)
    failed = frames.results.assign(status="failed", accuracy=np.nan, nll=np.nan, likelihood=np.nan)
    lines = glance(report, replace(frames, results=failed), 200)
    assert lines[0] == "Best: none, because no model completed every repeat on every dataset."
    assert "Failed: 30 of 30 trials." in lines


def test_one_dataset_has_its_whole_table_and_no_overview(report: Report) -> None:
    text = "\n".join(glance(report, make_frames(ONE, FEW)))
    assert "Brier" in text
    assert "mean likelihood" not in text


def test_variants_lose_the_parameters_that_they_share(report: Report) -> None:
    models = {
        "prior": MODELS["prior"],
        "mlp[hidden=8,lr=0.1]": MODELS["numpy-softmax"],
        "mlp[hidden=64,lr=0.1]": MODELS["torch-mlp"],
    }
    text = "\n".join(glance(report, make_frames(SMALL, models)))
    assert "mlp[hidden=8]" in text
    assert "lr=0.1" not in text.split("Failed")[1]


def test_datasets_that_do_not_fit_are_counted(report: Report) -> None:
    many = {f"data-{i}": DATASETS["iris"] for i in range(30)}
    text = "\n".join(glance(report, make_frames(many, FEW)))
    assert "more datasets: harness report -v" in text
    assert "data-29 ·" in text


def test_scores_are_coloured_only_where_there_is_colour(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    frames = make_frames(SMALL, FEW)
    with_colours = printed(
        report, frames, verbose=False, force_terminal=True, color_system="truecolor"
    )
    assert "\x1b[1;37;48;2;" in with_colours
    assert "\x1b" not in printed(report, frames, verbose=False)


def test_an_ascii_console_gets_only_ascii(report: Report) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(file=file, width=80).print(report.render(make_frames(), "rich"))
    file.seek(0)
    assert file.read().isascii()


def test_all_tables_are_printed_on_request(tmp_path: Path) -> None:
    words = ("-d", "threshold", "-d", "three-integers", "-m", "numpy-softmax", "-r", "2")
    done = harness_in(tmp_path, "run", *words, "--no-timing")
    assert "How to read this" not in done.printed
    assert harness_in(tmp_path, "report").printed == done.printed
    again = harness_in(tmp_path, "run", *words, "--no-timing", "-v")
    assert "How to read this" in again.printed
    assert harness_in(tmp_path, "report", "--verbose").printed == again.printed
