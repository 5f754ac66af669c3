"""Pictures show the measured values, are reproducible byte for byte, and accept any names."""

from __future__ import annotations

import itertools
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import harness_pictures
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from command_line import complaint_of, harness_in
from harness_pictures import KINDS
from harness_pictures.costs import front
from harness_pictures.inputs import FILL
from histories import point
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

import harness
from harness.analysis.history import Segment, segments
from harness.analysis.names import base
from harness.analysis.reliability import bins
from harness.contract.values import Frames, Sketch, Timing, Wanted
from harness.errors import UsageError
from harness.sheets.choosing import chosen
from harness.sheets.drawing import Drawing, shortened, text
from harness.sheets.output import inline_svg, save
from harness.sheets.palette import (
    CSS,
    DARK,
    DASHES,
    FAINT,
    INK,
    MARKERS,
    PAPER,
    SERIES,
    TINT,
    VARIABLES,
    look,
)
from harness.sheets.thinning import bends
from harness.statistics.calibration import ECE_BINS
from harness.statistics.changepoints import Step
from harness.store.database import Store
from harness.store.frames import timings_frame
from harness.testing.samples import sample_frames

pytestmark = pytest.mark.usefixtures("known_plugins")

WHOLE = Wanted("ridge[l2=0.1]", "tides")
"""The pairing of the sample run that has all data for pictures."""

STRANGE = """<b a="'">&$x_1$^ עברית مرحبا 🦜"""
"""A name with markup, a formula, right-to-left text, and characters missing from our fonts."""


def drawn(kind: str, frames: Frames | None = None, wanted: Wanted = WHOLE) -> Drawing:
    return KINDS[kind].draw(sized() if frames is None else frames, wanted)


def fault(kind: str, source: Any, wanted: Wanted | None = None) -> str:
    """The one-line error of drawing a picture."""
    with pytest.raises(UsageError) as caught:
        KINDS[kind].draw(source, wanted)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sized() -> Frames:
    """The sample run with one dataset at three training sizes; every picture can be drawn."""
    frames = sample_frames()
    results = frames.results.copy()
    names = {"pebbles": "tides[n_train=60]", "shells": "tides[n_train=30,n_test=40]"}
    for name, n in (("pebbles", 60), ("shells", 30)):
        results.loc[results["dataset"] == name, "n_train"] = n
    results["dataset"] = results["dataset"].replace(names)
    return replace(frames, results=results)


def renamed(frames: Frames, **names: str) -> Frames:
    """The same run with other names of datasets, models and classes."""
    results = frames.results.copy()
    for old, new in names.items():
        results = results.replace({"dataset": {old: new}, "model": {old: new}})
    return replace(frames, results=results)


def predicting(true: Any, predicted: Any, confidence: Any = 0.9, K: int = 0) -> Frames:
    """A run of one trial with these predictions."""
    frames = sample_frames()
    results = frames.results.iloc[[1]].copy()
    table = pd.DataFrame(
        {"result_id": 2, "row": np.arange(len(true)), "true": true, "predicted": predicted}
        | {"log_probability": -0.1, "confidence": confidence, "brier": 0.1}
    )
    names = tuple(f"species number {k}" for k in range(K))
    sketch = Sketch(names, ("a", "b"), np.zeros((1, 2), np.float32), np.array([0]))
    return replace(
        frames,
        results=results,
        predictions=lambda ids: table[table["result_id"].isin(list(ids))],
        sketches=lambda ids: {2: sketch} if K and 2 in ids else {},
    )


def traced(*lines: tuple[int, Any, Any]) -> Frames:
    """The sample run with these traces: result id, and training and test likelihoods by epoch."""
    table = pd.concat(
        pd.DataFrame(
            {"result_id": i, "epoch": np.arange(1, len(train) + 1)}
            | {"train_likelihood": train, "test_likelihood": test}
        )
        for i, train, test in lines
    )
    return replace(sample_frames(), traces=lambda: table)


def history() -> list[Segment]:
    rng = np.random.default_rng(0)
    steady = [point(day, rng.normal(0, 0.01), subject="knn") for day in range(30)]
    slower = [point(day, rng.normal(0.2 * (day >= 15), 0.01)) for day in range(30)]
    return segments([*slower, *steady])


def source_of(kind: str) -> Any:
    return history() if KINDS[kind].scope == "history" else sized()


def wanted_of(kind: str) -> Wanted:
    return WHOLE if KINDS[kind].scope == "pairing" else Wanted()


# -- all pictures


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_drawing_a_description_and_a_table(kind: str) -> None:
    picture = KINDS[kind].draw(source_of(kind), wanted_of(kind))
    assert isinstance(picture.figure, Figure)
    assert picture.title
    assert picture.title.split()[0] in picture.figure.get_suptitle()
    assert picture.description.endswith(".")
    assert "nan" not in picture.description
    assert len(picture.table)
    assert len(inline_svg(picture.figure, picture.title, picture.description)) < 100_000


HERE = Path(__file__).parent

IN_ALL_FORMATS = ("confusion", "likelihood", "hidden")

SCRIPT = """
import hashlib, os, sys
from pathlib import Path
folder, tests, turn = sys.argv[1:]
sys.path[:0] = tests.split(os.pathsep)
import test_pictures as t
from harness_pictures import KINDS
from harness.sheets.output import save
for kind in list(KINDS)[::int(turn)]:
    figure = KINDS[kind].draw(t.source_of(kind), t.wanted_of(kind)).figure
    # The other formats show the same figure, so that a few of them are enough.
    for suffix in (".svg", *((".png", ".pdf") if kind in t.IN_ALL_FORMATS else ()))[::int(turn)]:
        file = Path(folder) / (kind + suffix)
        save(figure, file)
        print(file.name, hashlib.sha256(file.read_bytes()).hexdigest())
print("pyplot", "matplotlib.pyplot" in sys.modules)
"""


@pytest.mark.slow
def test_the_same_data_give_the_same_bytes_in_every_process_and_order(tmp_path: Path) -> None:
    printed = []
    for turn, time in (("1", "0"), ("-1", "999999999")):
        words = [
            sys.executable,
            "-c",
            SCRIPT,
            str(tmp_path),
            os.pathsep.join([str(HERE), str(HERE.parent)]),
            turn,
        ]
        env = os.environ | {"PYTHONHASHSEED": time, "SOURCE_DATE_EPOCH": time}
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=env)
        printed.append(sorted(done.stdout.splitlines()))
    assert printed[0] == printed[1]
    assert len(printed[0]) == len(KINDS) + 2 * len(IN_ALL_FORMATS) + 1
    assert "pyplot False" in printed[0]


def test_the_users_settings_of_matplotlib_have_no_effect(tmp_path: Path) -> None:
    usual, others = tmp_path / "usual.svg", tmp_path / "others.svg"
    save(drawn("recall").figure, usual)
    mine = {"text.usetex": True, "svg.fonttype": "path", "axes.facecolor": "red", "font.size": 30}
    with mpl.rc_context(mine):
        save(drawn("recall").figure, others)
        assert mpl.rcParams["font.size"] == 30
    assert usual.read_bytes() == others.read_bytes()


# -- colours


def linear(colour: str) -> np.ndarray[Any, Any]:
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(colour: np.ndarray[Any, Any], other_colour: np.ndarray[Any, Any]) -> float:
    """The contrast ratio as WCAG 2 defines it."""
    low, high = sorted(float(c @ [0.2126, 0.7152, 0.0722]) for c in (colour, other_colour))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("shown", [{c: c for c in DARK}, DARK], ids=["light", "dark"])
def test_texts_and_lines_have_enough_contrast_to_the_background(shown: dict[str, str]) -> None:
    paper = linear(shown[PAPER])
    for ink in (INK, FAINT):
        assert contrast(linear(shown[ink]), paper) >= 4.5
    for line in SERIES:
        assert contrast(linear(shown[line]), paper) >= 3
    # Text on a tint; browsers and printers blend in sRGB.
    channels = [[int(shown[c][i : i + 2], 16) for i in (1, 3, 5)] for c in (SERIES[0], PAPER)]
    mixed = [round(TINT * a + (1 - TINT) * b) for a, b in zip(*channels, strict=True)]
    assert contrast(linear("#" + "".join(f"{c:02x}" for c in mixed)), linear(shown[INK])) >= 4.5


# Machado, Oliveira & Fernandes (2009), severity 1, on linear RGB.
SIGHT = {
    "all cones": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                 [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def cielab(colour: str, sight: Any) -> np.ndarray[Any, Any]:
    seen = np.clip(np.asarray(sight) @ linear(colour), 0, 1)
    ratios = XYZ @ seen / [0.9505, 1, 1.089]
    f = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHT)
def test_series_have_distinct_colours_for_colour_blind_people(sight: str) -> None:
    for colours in (SERIES, [DARK[c] for c in SERIES]):
        seen = [cielab(c, SIGHT[sight]) for c in colours]
        assert min(math.dist(a, b) for a, b in itertools.combinations(seen, 2)) >= 20


def test_no_series_is_a_shade_of_another() -> None:
    """The two perceptrons of a default run were two blues."""
    for colours in (SERIES, [DARK[c] for c in SERIES]):
        seen = [cielab(c, SIGHT["all cones"]) for c in colours]
        assert min(math.hypot(a, b) for _, a, b in seen) >= 20  # none is grey
        hues = [math.degrees(math.atan2(b, a)) for _, a, b in seen]
        gaps = [abs((a - b + 180) % 360 - 180) for a, b in itertools.combinations(hues, 2)]
        assert min(gaps) >= 30


def test_a_series_has_a_similar_hue_on_light_and_dark_paper() -> None:
    for light, dark in DARK.items():
        if light in SERIES:
            hues = [
                math.degrees(math.atan2(*cielab(c, SIGHT["all cones"])[:0:-1]))
                for c in (light, dark)
            ]
            assert abs((hues[0] - hues[1] + 180) % 360 - 180) <= 10


def test_series_differ_in_more_than_colour() -> None:
    assert len(set(MARKERS)) == len(set(DASHES)) == len(SERIES)
    looks = [look(i) for i in range(64)]
    assert len({tuple(map(str, look.values())) for look in looks}) == 64


def test_the_style_sheet_defines_every_colour_for_light_and_dark() -> None:
    light, dark = CSS.split("@media (prefers-color-scheme: dark)")
    for colour, variable in VARIABLES.items():
        assert f"{variable}: {colour};" in light
        assert f"{variable}: {DARK[colour]};" in dark
    assert len(set(VARIABLES)) == len(set(VARIABLES.values())) == len(SERIES) + 4


def test_colours_are_defined_only_in_the_palette() -> None:
    core, plugin = (Path(str(package.__file__)).parent for package in (harness, harness_pictures))
    files = [*plugin.glob("*.py"), *(core / "sheets").glob("*.py")]
    assert len(files) > 10
    for file in files:
        if file.name != "palette.py":
            assert not re.search(r"#[0-9a-fA-F]{6}\b", file.read_text()), file


# -- in a page


def test_a_figure_in_a_page_is_one_element_with_a_name() -> None:
    picture = drawn("confusion")
    svg = inline_svg(picture.figure, 'A < B & "C"', "Seen <b>here</b>\x00.")
    root = ET.fromstring(svg)
    names = {e.attrib.get("id"): e for e in root.iter()}
    title, description = root.attrib["aria-labelledby"].split()
    assert root.attrib["role"] == "img"
    assert root.attrib["width"] == "100%"
    assert names[title].text == 'A < B & "C"'
    assert names[description].text == "Seen <b>here</b>�."
    assert svg.startswith("<svg ")
    for absent in ("<style", "metadata", "DOCTYPE", "<?xml", "rdf", "xlink", "font-family"):
        assert absent not in svg
    assert not re.search(r"#[0-9a-fA-F]{6}\b(?!-)[;\"]", svg), "a colour that no page can change"


def test_figures_in_one_page_do_not_share_ids() -> None:
    ids: list[str] = []
    for kind in KINDS:
        picture = KINDS[kind].draw(source_of(kind), wanted_of(kind))
        svg = inline_svg(picture.figure, picture.title, picture.description)
        own = re.findall(r'\bid="([^"]+)"', svg)
        referred = re.findall(r'(?:href="#|url\(#)([^")]+)', svg)
        assert set(referred) <= set(own)
        ids += own
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("kind", KINDS)
def test_names_with_special_characters_are_escaped(tmp_path: Path, kind: str) -> None:
    if KINDS[kind].scope == "history":
        points = [point(day, 0.0, subject=STRANGE, case=STRANGE) for day in range(9)]
        picture = KINDS[kind].draw(segments(points))
    else:
        names = {"ridge[l2=0.1]": STRANGE, "forest": f"{STRANGE} 2", "tides": STRANGE}
        frames = renamed(sized(), **names, **{"tides[n_train=60]": f"{STRANGE}[n_train=60]"})
        sketches, timings = frames.sketches, frames.timings
        kernels = timings["subject"].where(timings["kind"] != "softmax", STRANGE)
        frames = replace(
            frames,
            timings=timings.assign(subject=kernels),
            sketches=lambda ids: {
                i: replace(s, class_names=(STRANGE, "b", "c"), input_names=(STRANGE,))
                for i, s in sketches(ids).items()
            },
        )
        picture = KINDS[kind].draw(
            frames, Wanted() if kind == "softmax" else Wanted(STRANGE, STRANGE)
        )
    svg = inline_svg(picture.figure, picture.title, picture.description)
    shown = [element.text or "" for element in ET.fromstring(svg).findall(".//{*}text")]
    assert any(STRANGE[:15] in text_of_picture for text_of_picture in shown)
    assert "<b " not in svg
    for suffix in (".png", ".pdf", ".svg"):
        save(picture.figure, tmp_path / f"file{suffix}")
    ET.parse(tmp_path / "file.svg")


def test_characters_that_xml_cannot_hold_are_replaced_visibly() -> None:
    assert text("a\nb\tc" + "d" * 99).startswith("a b cddd")
    assert len(text("x" * 99)) == 34
    assert text("\ud800\x00\ufffe\U0001fffe🦜") == "\ufffd" * 4 + "🦜"


def test_characters_that_change_text_direction_are_replaced_visibly() -> None:
    for invisible in "\u202e\u2066\u200f\u200b\u00ad\ufeff\u200d":
        assert text(f"a{invisible}b") == "a\ufffdb"
    together = "\U0001f469\U0001f3fd\u200d\U0001f4bb ❤\ufe0f\u200d\U0001f525"
    assert text(together) == together
    turned = renamed(sample_frames(), forest="\u202etserof")
    for kind in ("fit-time", "latency"):
        picture = KINDS[kind].draw(turned)
        svg = inline_svg(picture.figure, picture.title, picture.description)
        assert "\u202e" not in svg
        assert "\ufffdtserof" in svg


def test_different_names_stay_different_when_shortened() -> None:
    sweep = [f"mlp[hidden=64x64,epochs={n},lr={lr},batch_size=32]" for n in (5, 50) for lr in "12"]
    names = shortened([*sweep, "forest", "a" * 99 + "b" + "c" * 99, "a" * 99 + "d" + "c" * 99])
    assert len(set(names.values())) == len(names)
    assert max(map(len, names.values())) <= 34
    assert names["forest"] == "forest"
    assert names[sweep[3]] == "mlp[…epochs=50,lr=2…]"


def visible(axis: Any) -> list[Any]:
    """The visible tick labels of a drawn axis."""
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    labels = [tick.label1 for tick in ticks if tick.label1.get_visible()]
    return [label for label in labels if label.get_text()]


def overlapping(texts: list[Any]) -> list[tuple[str, str]]:
    """Pairs of texts that overlap."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    pairs = itertools.combinations(boxes, 2)
    return [(a, b) for (a, box), (b, other_box) in pairs if box.overlaps(other_box)]


@pytest.mark.parametrize("low", [2.3e-5, 0.75])
@pytest.mark.parametrize("ratio", [1.0, 1.0003, 1.25, 2.6, 7.0, 45.0, 3e3, 3e11])
def test_tick_labels_never_overlap(low: float, ratio: float) -> None:
    frames = sized()
    times = np.geomspace(low, low * ratio, len(frames.results))
    results = frames.results.assign(fit_seconds=times)
    for kind in ("fit-time", "sizes"):
        figure = drawn(kind, replace(frames, results=results), Wanted()).figure
        for ax in figure.axes:
            for axis in (ax.xaxis, ax.yaxis):
                assert not overlapping(visible(axis))
                if axis.get_scale() == "log":
                    assert len(visible(axis)) in range(1, 8)


# -- selection of data


def test_an_exact_name_has_priority_over_a_glob() -> None:
    names = ["knn", "knn[k=3]", "knn[k=*]", "forest"]
    assert chosen(names, "knn") == ["knn"]
    assert chosen(names, "knn*") == ["knn", "knn[k=3]", "knn[k=*]"]
    assert chosen(names, "knn[k=?]") == ["knn[k=3]", "knn[k=*]"]
    assert chosen(names, "knn[k=*]") == ["knn[k=*]"]
    assert chosen(names, "[kf]*") == []
    assert chosen(names, None) == names


def test_a_picture_of_one_pairing_needs_a_selection() -> None:
    line = fault("confusion", sample_frames())
    assert line == (
        "6 model-dataset pairs have predictions: ridge[l2=0.1] on tides, forest on tides, "
        "ridge[l2=0.1] on pebbles, forest on pebbles, ridge[l2=0.1] on shells and 1 more; "
        "choose one with -m and -d"
    )


def test_baselines_are_left_out_unless_named() -> None:
    frames = sample_frames()
    results = frames.results[frames.results["model"] != "forest"]
    alone = replace(frames, results=results)
    assert "ridge" in drawn("recall", alone, Wanted(dataset="tides")).title
    assert "prior" in drawn("recall", alone, Wanted("prior", "tides")).title


def test_the_only_pairing_with_the_data_is_drawn() -> None:
    frames = sample_frames()
    sketch = next(iter(frames.sketches([2]).values()))
    with_one_sketch = replace(frames, sketches=lambda ids: {2: sketch} if 2 in ids else {})
    assert (
        drawn("hidden", with_one_sketch, Wanted()).title == "Hidden layers: ridge[l2=0.1] on tides"
    )
    line = fault("hidden", with_one_sketch, Wanted("forest", "shells"))
    assert line == (
        "no trial of forest on shells has hidden layers over one input; ridge[l2=0.1] on tides has"
    )


def test_the_error_says_if_no_pairing_has_the_data() -> None:
    frames = replace(sample_frames(), sketches=lambda _: {})
    assert fault("regions", frames, WHOLE) == (
        "no trial of ridge[l2=0.1] on tides has stored predictions for a picture of the inputs; "
        "no trial of run 1 has"
    )


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted("forrest"), "run 1 has no model 'forrest': did you mean 'forest'?"),
        (Wanted(dataset="tide"), "run 1 has no dataset 'tide': did you mean 'tides'?"),
        (Wanted(device="cuda:0"), "run 1 has no device 'cuda:0': there are cpu"),
    ],
)
def test_the_error_of_an_unknown_name_suggests_the_nearest_name(wanted: Wanted, words: str) -> None:
    for kind in ("likelihood", "recall", "fit-time"):
        assert fault(kind, sample_frames(), wanted) == words


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].scope != "history"])
def test_an_empty_run_and_a_run_of_failures_are_one_line_errors(kind: str) -> None:
    failed = sample_frames(all_failed=True)
    empty = replace(failed, results=failed.results.iloc[:0])
    if kind == "softmax":
        assert "timed no softmax" in fault(kind, empty)
        return
    assert "run 1 has no trials" in fault(kind, empty)
    assert "`harness show 1 --failures` tells why" in fault(kind, failed)
    assert "no trial of forest on any dataset" in fault(kind, failed, Wanted("forest"))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("history", "sizes")])
def test_one_result_is_enough_for_a_picture(kind: str) -> None:
    frames = sample_frames()
    single = replace(frames, results=frames.results.iloc[[1]].assign(accuracy=1.0))
    assert len(drawn(kind, single, Wanted()).table)


# -- learning


def medians(picture: Drawing) -> pd.DataFrame:
    return picture.table[picture.table["repeat"] == "median"]


def test_likelihood_is_the_median_over_repeats() -> None:
    frames = traced(
        (2, [0.1, 0.2], [0.1, 0.1]), (5, [0.3, 0.6], [0.2, 0.2]), (8, [0.2, 0.9], [0, 0])
    )
    table = medians(drawn("likelihood", frames, WHOLE))
    assert table["train likelihood"].tolist() == pytest.approx([0.2, 0.6])
    assert table["test likelihood"].tolist() == pytest.approx([0.1, 0.1])
    assert table["repeats"].tolist() == [3, 3]
    assert table["diverged"].tolist() == [0, 0]


def test_a_repeat_that_stopped_early_keeps_its_last_value_in_the_median() -> None:
    frames = traced(
        (2, [0.1, 0.2], [0.1, 0.15]), (5, [0.3, 0.6, 0.7], [0.2] * 3), (8, [0.2] * 4, [0.9] * 4)
    )
    picture = drawn("likelihood", frames, WHOLE)
    table = medians(picture)
    assert table["epoch"].iloc[-1] == 4
    assert table["train likelihood"].iloc[-1] == np.median([0.2, 0.7, 0.2])
    assert table["test likelihood"].iloc[-1] == np.median([0.15, 0.2, 0.9])
    assert set(table["repeats"]) == {3}
    assert "ends at 0.200 and 0.200" in picture.description


def test_a_diverged_repeat_is_mentioned_and_does_not_hide_the_others() -> None:
    nan = float("nan")
    picture = drawn(
        "likelihood", traced((2, [0.3, nan], [0.3, nan]), (5, [0.4, 0.5, 0.6], [0.4, 0.5, 0.6]))
    )
    assert picture.figure.axes[0].get_title(loc="left") == "1 of 3 repeats diverged"
    table = medians(picture)
    assert table["train likelihood"].tolist() == pytest.approx([0.35, 0.5, 0.6])
    assert table["repeats"].tolist() == [2, 1, 1]
    assert table["diverged"].tolist() == [0, 1, 1]
    never = drawn("likelihood", traced((2, [nan] * 3, [nan] * 3)))
    assert never.table["diverged"].max() == 1
    assert "nan" not in never.description


def test_a_likelihood_picture_has_the_curve_of_each_repeat() -> None:
    table = drawn("likelihood", traced((2, [0.1, 0.2], [0.1, 0.3]), (5, [0.3], [0.4]))).table
    assert table["repeat"].tolist() == ["median", "median", 0, 0, 1]
    own = table[table["repeat"] == 0]
    assert own["epoch"].tolist() == [1, 2]
    assert own["train likelihood"].tolist() == [0.1, 0.2]
    assert own["test likelihood"].tolist() == [0.1, 0.3]


def test_an_enormous_trace_stays_a_small_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    line = 1 - np.exp(-np.linspace(0, 5, 100_000))
    noisy = line * rng.uniform(0.5, 1, 100_000)
    for curve, most in ((line, 50), (noisy, 400)):
        picture = drawn("likelihood", traced(*((i, curve, curve) for i in (2, 5, 8))))
        assert picture.table.groupby("repeat").size().max() <= most
        assert picture.table["epoch"].iloc[-1] == 100_000
        save(picture.figure, tmp_path / "file.svg")
        assert (tmp_path / "file.svg").stat().st_size < 200_000


def test_a_simplified_line_stays_close_to_the_original() -> None:
    rng = np.random.default_rng(0)
    x = np.arange(300.0)
    lines = np.stack([np.tanh(x / 50) + rng.normal(0, noise, 300) for noise in (0, 0.01)], axis=1)
    kept = bends(x, lines, 0.02)
    assert len(kept) < 150
    for line in lines.T:
        assert np.abs(np.interp(x, x[kept], line[kept]) - line).max() <= 0.02
    lines[100:200] = np.nan
    assert {99, 100, 199, 200} <= set(bends(x, lines, 0.02))


def test_the_description_mentions_models_that_do_not_fit() -> None:
    frames = sample_frames()
    ok = frames.results[frames.results["status"] == "ok"].iloc[:1]
    many = pd.concat([ok.assign(model=f"m{i}", result_id=i) for i in range(20)])
    lines = traced(*((i, [0.1, 0.2], [0.1, 0.2]) for i in range(20))).traces
    picture = drawn("likelihood", replace(frames, results=many, traces=lines), Wanted())
    assert picture.title == "Likelihood by epoch (12 of 20): tides"
    panels = [ax for ax in picture.figure.axes if ax.get_visible() and ax.lines]
    assert len(panels) == 12
    assert {ax.get_ylim() for ax in panels} == {(-0.02, 1.02)}
    assert len({ax.get_xlim() for ax in panels}) == 1


def test_sizes_are_lines_over_the_number_of_training_rows() -> None:
    frames = sized()
    picture = drawn("sizes", frames, Wanted(dataset="tides"))
    own = picture.table[picture.table["model"] == "forest"]
    assert own["training rows"].tolist() == [60, 120]
    results = frames.results[frames.results["status"] == "ok"]
    first = results[(results["model"] == "forest") & (results["dataset"] == "tides")]
    assert own["likelihood"].iloc[1] == pytest.approx(np.exp(-first["nll"].mean()))
    assert own["fit seconds"].iloc[1] == pytest.approx(first["fit_seconds"].median())
    assert (own["likelihood low"] <= own["likelihood"]).all()
    assert "prior" not in set(picture.table["model"])


def test_sizes_name_the_model_with_the_best_score_where_less_is_better() -> None:
    frames = replace(sized(), metrics=("brier",))
    picture = drawn("sizes", frames, Wanted(dataset="tides"))
    largest = picture.table[picture.table["training rows"] == 120]
    best = largest.loc[largest["brier"].idxmin()]
    end = f"With 120 rows {best['model']} has the lowest brier, {best['brier']:.3f}."
    assert end in picture.description


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("iris", "iris"),
        ("iris[train_size=50]", "iris"),
        ("threshold[n_test=9,n_train=5]", "threshold[n_test=9]"),
        ("odd[", "odd["),
        ("a[b_n_train=5]", "a[b_n_train=5]"),
    ],
)
def test_a_dataset_with_several_training_sizes_has_one_name(dataset: str, name: str) -> None:
    assert base(dataset) == name


def test_the_picture_of_sizes_needs_several_training_sizes() -> None:
    assert fault("sizes", sample_frames(), Wanted(dataset="tides")) == (
        "tides was not run with several training sizes; `harness run --train-sizes` does so"
    )
    assert fault("sizes", sample_frames()) == (
        "no dataset was run with several training sizes; `harness run --train-sizes` does so"
    )
    assert "tides was" in fault("sizes", sized(), Wanted(dataset="tides[n_train=30,n_test=40]"))


def test_intervals_of_models_at_the_same_size_are_drawn_side_by_side() -> None:
    frames = crowded(3, 2)
    # With enough test rows, each likelihood has an interval.
    frames = replace(frames, results=frames.results.assign(n_test=2000))
    left, right = drawn("sizes", frames, Wanted()).figure.axes
    for ax in (left, right):
        places = [line[0][0] for lines in ax.collections for line in lines.get_segments()]
        assert len(set(places)) == len(places) == 6
        assert all(min(abs(x - 100), abs(x - 200)) < 10 for x in places)


def test_likelihoods_without_an_interval_are_open_circles_explained_in_the_legend() -> None:
    """Two of four likelihoods have too few test rows for an interval."""
    frames = crowded(2, 2)
    first = frames.results["dataset"] == frames.results["dataset"].iloc[0]
    frames = replace(frames, results=frames.results.assign(n_test=np.where(first, 2000, 3)))
    picture = drawn("sizes", frames, Wanted())
    withheld = picture.table[picture.table["likelihood low"].isna()]
    assert len(withheld) == 2
    left, _ = picture.figure.axes
    rings = [
        x for line in left.lines if line.get_markerfacecolor() == "none" for x in line.get_xdata()
    ]
    sizes = withheld["training rows"].tolist()
    assert sorted(rings) == pytest.approx(sorted(sizes), rel=0.1)
    (legend,) = picture.figure.legends
    assert "no interval" in [entry.get_text() for entry in legend.get_texts()]
    reason = "2 of 4 points have no interval: fewer than 10 rows carry the NLL."
    assert reason in picture.description
    assert "no interval" not in drawn("sizes", crowded_with(2000), Wanted()).description


def crowded_with(n_test: int) -> Frames:
    frames = crowded(2, 2)
    return replace(frames, results=frames.results.assign(n_test=n_test))


# -- costs


@pytest.mark.filterwarnings("error")
def test_accuracies_without_any_interval_are_drawn_and_the_description_says_why() -> None:
    """This happens with more than ten folds."""
    frames = sample_frames()
    picture = drawn(
        "fit-time",
        replace(frames, results=frames.results.assign(split_kind="20-fold")),
        Wanted(dataset="tides"),
    )
    assert picture.table["accuracy low"].isna().all()
    assert "have no interval: more than 10 folds" in picture.description


def brute_force(times: list[float], accuracies: list[float]) -> set[int]:
    pairs = list(zip(times, accuracies, strict=True))
    return {
        i
        for i, (t, a) in enumerate(pairs)
        if not any(s <= t and b >= a and (s, b) != (t, a) for s, b in pairs)
    }


@given(
    st.lists(st.tuples(st.sampled_from([1.0, 2.0, 3.0, 5.0]) | st.floats(0.1, 9), st.floats(0, 1)))
)
def test_the_pareto_front_has_the_models_that_no_other_beats_in_both(
    pairs: list[tuple[float, float]],
) -> None:
    times, accuracies = [t for t, _ in pairs], [a for _, a in pairs]
    indices = front(times, accuracies)
    assert set(indices) == brute_force(times, accuracies)
    assert [times[i] for i in indices] == sorted(times[i] for i in indices)
    assert front([*times, math.nan], [*accuracies, 1.0]) == indices


def timed_alone(*pairings: tuple[str, str], kind: Any = "fit") -> pd.DataFrame:
    """Timings of these pairings: 1 s, 2 s and so on."""
    return timings_frame(
        [
            Timing(kind, model, dataset, "cpu", 1, "ok", samples=((t, t), (t, t), (t, t)))
            for t, (model, dataset) in enumerate(pairings, 1)
        ]
    )


RIDGE, FOREST = ("ridge[l2=0.1]", "tides"), ("forest", "tides")


def test_costs_are_from_timings_if_every_model_was_timed() -> None:
    frames = sample_frames()
    alone = replace(frames, timings=timed_alone(FOREST, RIDGE, ("prior", "tides")))
    picture = drawn("fit-time", alone, Wanted(dataset="tides"))
    assert picture.table["time of a fit (s)"].tolist() == [1.0, 2.0]
    assert set(picture.table["clock"]) == {"alone"}
    assert "timed alone" in picture.description
    (ax,) = picture.figure.axes
    assert ax.get_xlabel() == "time of a fit, timed alone"
    assert ax.get_xscale() == "log"


@pytest.mark.parametrize("kind", ["fit-time", "latency"])
def test_if_a_model_was_not_timed_costs_are_from_trials_so_that_none_is_missing(kind: str) -> None:
    measure = "fit" if kind == "fit-time" else "predict-row"
    timings = timed_alone(FOREST, RIDGE, ("forest", "shells"), kind=measure)
    picture = drawn(kind, replace(sample_frames(), timings=timings), Wanted())
    table = picture.table
    assert sorted(table["model"]) == ["forest"] * 3 + ["ridge[l2=0.1]"] * 3
    # Each panel uses one source of times and names it.
    clocks = table.groupby("dataset")["clock"].agg(set)
    assert clocks["tides"] == {"alone"}
    assert clocks["shells"] == clocks["pebbles"] == {"among trials"}
    titles = [ax.get_title(loc="left").replace("\n", " ") for ax in picture.figure.axes]
    assert titles == [
        "tides: timed alone",
        "pebbles: taken while other trials ran",
        "shells: taken while other trials ran",
    ]
    assert "timed alone on tides." in picture.description
    assert "taken while other trials ran on pebbles, shells." in picture.description
    assert "Baselines are left out: prior." in picture.description


def test_the_description_mentions_models_without_a_time() -> None:
    frames = sample_frames()
    forest = frames.results["model"] == "forest"
    seconds = frames.results["fit_seconds"].mask(forest)
    unknown = replace(frames, results=frames.results.assign(fit_seconds=seconds))
    picture = drawn("fit-time", unknown, Wanted(dataset="tides"))
    assert picture.table["model"].tolist() == ["ridge[l2=0.1]"]
    assert "Left out, having no time: forest on tides." in picture.description
    sizes = KINDS["sizes"].draw(
        replace(sized(), results=sized().results.assign(fit_seconds=seconds))
    )
    assert "No time is known of forest." in sizes.description


def test_training_sizes_of_a_dataset_share_one_source_of_times() -> None:
    timings = timed_alone(FOREST, RIDGE)
    table = KINDS["sizes"].draw(replace(sized(), timings=timings)).table
    assert set(table["clock"]) == {"among trials"}
    assert table["fit seconds"].max() < 1


@cache
def crowded(n_models: int, n_datasets: int) -> Frames:
    """A run of many models with long names on a dataset at several sizes, and many kernels."""
    rng = np.random.default_rng(0)
    names = [f"torch-mlp[hidden=64x64,epochs={i},lr=0.0001,batch=32]" for i in range(n_models)]
    frames, n = sample_frames(), n_models * n_datasets
    rows = 100 * np.repeat(np.arange(1, n_datasets + 1), n_models)
    results = (
        frames.results.iloc[[1] * n]
        .reset_index(drop=True)
        .assign(
            dataset=[f"tides[n_train={k}]" for k in rows],
            model=names * n_datasets,
            result_id=np.arange(n),
            n_train=rows,
            accuracy=rng.uniform(0.5, 1, n),
            nll=rng.uniform(0.1, 1, n),
            fit_seconds=10 ** rng.uniform(-3, 1, n),
            predict_seconds=10 ** rng.uniform(-6, -4, n),
        )
    )
    epochs = np.arange(1, 4)
    traces = pd.DataFrame(
        {"result_id": np.repeat(np.arange(n), 3), "epoch": np.tile(epochs, n)}
        | {f"{part}_likelihood": np.tile(epochs / 4, n) for part in ("train", "test")}
    )
    timings = [
        Timing("softmax", name, f"{k}x3 float32 warm", "cpu", 1, "ok", samples=((t,), (t,), (t,)))
        for k in sorted(set(rows))
        for name, t in zip(names, 1e-7 * k * rng.uniform(1, 2, n_models), strict=True)
    ]
    return replace(frames, results=results, traces=lambda: traces, timings=timings_frame(timings))


@pytest.mark.parametrize(
    ("n_datasets", "n_models"), [(1, 1), (1, 40), (1, 200), (12, 1), (12, 20), (12, 40)]
)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].scope == "run"])
def test_many_long_names_leave_room_for_the_panels(
    kind: str, n_datasets: int, n_models: int
) -> None:
    if kind == "sizes" and n_datasets == 1:
        return
    picture = KINDS[kind].draw(crowded(n_models, n_datasets))
    figure = picture.figure
    width = figure.get_figwidth() * figure.dpi
    (legend,) = figure.legends
    box = legend.get_window_extent()
    panels = [ax for ax in figure.axes if ax.axison]
    assert len(panels) <= 12
    for ax in panels:
        assert ax.get_window_extent().width > 1.5 * figure.dpi
        assert ax.get_window_extent().height > 1.2 * figure.dpi
        assert ax.get_window_extent().x1 < box.x0
    assert box.x1 <= width
    assert not overlapping([label for ax in panels for label in visible(ax.xaxis)])
    entries = [entry.get_text() for entry in legend.get_texts()]
    assert len(entries) == len(set(entries)) <= 27
    if kind != "likelihood":
        assert (f"and {n_models - 24} more" in entries) == (n_models > 24)
        subject = "kernel" if kind == "softmax" else "model"
        assert picture.table[subject].nunique() == n_models


@pytest.mark.parametrize("kind", ["fit-time", "latency"])
@pytest.mark.parametrize("n_models", [2, 6, 40])
def test_labels_of_the_front_stay_within_their_panel_and_do_not_overlap(
    kind: str, n_models: int
) -> None:
    picture = KINDS[kind].draw(crowded(n_models, 9))
    for ax in picture.figure.axes:
        box, labels = ax.get_window_extent(), [note for note in ax.texts if note.get_text()]
        assert labels
        for note in labels:
            own = Text.get_window_extent(note)
            assert box.x0 <= own.x0
            assert own.x1 <= box.x1
            assert box.y0 <= own.y0
            assert own.y1 <= box.y1
        for label, other_label in itertools.combinations(labels, 2):
            assert not Text.get_window_extent(label).overlaps(Text.get_window_extent(other_label))
        assert len({note.get_text() for note in labels}) == len(labels)


@pytest.mark.parametrize("kind", ["fit-time", "latency"])
def test_labels_of_a_default_runs_size_cover_no_point(kind: str) -> None:
    picture = KINDS[kind].draw(crowded(16, 9))
    n_covered = 0
    for ax in picture.figure.axes:
        points = [
            ax.transData.transform(line.get_xydata()) for line in ax.lines if len(line.get_xydata())
        ]
        markers = [
            p for p, line in zip(points, ax.lines, strict=True) if line.get_marker() != "None"
        ]
        for note in ax.texts:
            box = Text.get_window_extent(note)
            n_covered += sum(box.contains(x, y) for x, y in np.concatenate(markers))
    assert n_covered == 0


def test_scores_far_from_the_others_have_labels_that_do_not_overlap() -> None:
    """Three of sixteen models are far off at nearly the same time."""
    frames = crowded(16, 1)
    far = frames.results.index[[2, 3, 4]]
    results = frames.results.assign(accuracy=np.linspace(0.9, 0.95, 16), fit_seconds=1.0)
    results.loc[:, "fit_seconds"] = np.geomspace(0.001, 1, 16)
    results.loc[far, "accuracy"] = [0.2, 0.3, 0.4]
    results.loc[far, "fit_seconds"] = [0.01, 0.0101, 0.0102]
    picture = KINDS["fit-time"].draw(replace(frames, results=results))
    (ax,) = picture.figure.axes
    labels = [note for note in ax.texts if "↓" in note.get_text()]
    assert sorted(note.get_text() for note in labels) == [".200 ↓", ".300 ↓", ".400 ↓"]
    for label, other_label in itertools.combinations(ax.texts, 2):
        assert not Text.get_window_extent(label).overlaps(Text.get_window_extent(other_label))
    assert ax.get_ylim()[0] > 0.5


def test_each_panel_of_likelihoods_spans_its_own_epochs() -> None:
    """One model of 10,000 epochs left others' panels of 50 epochs half blank."""
    frames = crowded(2, 1)
    ids = frames.results["result_id"].tolist()
    traces = pd.concat(
        pd.DataFrame({"result_id": i, "epoch": np.arange(start, stop + 1, start)})
        for i, start, stop in ((ids[0], 50, 10_000), (ids[1], 1, 40))
    ).assign(train_likelihood=0.5, test_likelihood=0.5)
    picture = KINDS["likelihood"].draw(replace(frames, traces=lambda: traces))
    for ax, (start, stop) in zip(picture.figure.axes, ((50, 10_000), (1, 40)), strict=True):
        low, high = np.log(ax.get_xlim())
        assert (np.log(stop) - np.log(start)) / (high - low) > 0.8
        assert ax.get_xscale() == "log"


def test_intervals_fit_into_the_axes() -> None:
    picture = drawn("fit-time", crowded(5, 3), Wanted())
    for ax, (_, group) in zip(
        picture.figure.axes, picture.table.groupby("dataset", sort=False), strict=True
    ):
        low, high = ax.get_ylim()
        assert low < group["accuracy low"].min()
        assert high > group["accuracy high"].max()
        assert all(0 <= tick <= 1 for tick in ax.get_yticks())


def test_the_wide_interval_of_a_poor_model_does_not_flatten_the_others() -> None:
    frames = sample_frames()
    own = frames.results[frames.results["dataset"] == "pebbles"]
    own = own[own["status"] == "ok"]
    accuracies = {"forest": [0.95, 0.951, 0.952], "ridge[l2=0.1]": [0.98, 0.981]}
    rows = pd.concat(
        [
            own[own["model"] == model].iloc[: len(values)].assign(accuracy=values, fit_seconds=t)
            for (model, values), t in zip(accuracies.items(), (0.1, 0.2), strict=True)
        ]
        + [
            own[own["model"] == "forest"].assign(
                model="wild", accuracy=[0.6, 0.93, 0.99], fit_seconds=1
            )
        ]
    )
    picture = drawn("fit-time", replace(frames, results=rows.assign(result_id=range(8))), Wanted())
    table = picture.table.set_index("model")
    low, high = picture.figure.axes[0].get_ylim()
    assert table["on the front"].to_dict() == {
        "forest": True, "ridge[l2=0.1]": True, "wild": False
    }  # fmt: skip
    assert table.loc["wild", "accuracy low"] < low < table["accuracy"].min()
    front = table[table["on the front"]]
    assert low < front["accuracy low"].min()
    assert front["accuracy high"].max() < high


def test_perfect_accuracies_are_drawn_too() -> None:
    frames = sample_frames()
    perfect = replace(frames, results=frames.results.assign(accuracy=1.0))
    for kind in ("fit-time", "latency"):
        table = drawn(kind, perfect, Wanted()).table
        assert set(table["accuracy"]) == {1.0}
        assert table.groupby("dataset")["on the front"].sum().tolist() == [1, 1, 1]


# -- inputs


def in_the_plane(K: int = 3, n_axes: int = 2) -> Frames:
    """The sample run with sketches of two inputs or of principal components."""
    frames = sample_frames()
    axis = np.linspace(-1, 1, 20, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    logits = np.stack([np.cos(k) * x.ravel() + np.sin(k) * y.ravel() for k in range(K)], axis=1)
    P = (np.exp(9 * logits) / np.exp(9 * logits).sum(axis=1, keepdims=True)).astype(np.float32)
    points = np.random.default_rng(0).uniform(-1, 1, (40, 2)).astype(np.float32)
    names = tuple(f"class-{k}" for k in range(K))
    sketch = Sketch(
        names,
        ("x0", "x1") if n_axes else ("principal component 1 (60%)", "principal component 2 (20%)"),
        points,
        np.arange(40),
        (axis, axis) if n_axes else (),
        P if n_axes else None,
    )
    return replace(frames, sketches=lambda ids: {i: sketch for i in ids if i == 2})


def test_a_sketch_of_one_input_has_classes_and_probabilities() -> None:
    frames = sample_frames()
    picture = drawn("regions", frames, WHOLE)
    sketch = frames.sketches([2])[2]
    assert sketch.probabilities is not None
    classes, chances = picture.figure.axes
    names = np.array(sketch.class_names)
    curve, rows = (
        picture.table[picture.table["what"] == kind_of_row] for kind_of_row in ("curve", "test row")
    )
    assert curve["predicted"].tolist() == names[sketch.probabilities.argmax(1)].tolist()
    assert len(curve) + len(rows) == len(picture.table)
    assert rows["x0"].tolist() == sketch.points[:, 0].tolist()
    assert rows["row"].tolist() == sketch.rows.tolist()
    assert set(rows["class"]) <= set(names)
    assert (rows["misclassified"] == (rows["class"] != rows["predicted"])).all()
    for k, line in enumerate(chances.lines):
        assert np.array_equal(line.get_ydata(), sketch.probabilities[:, k])
    dots = sum(len(line.get_xdata()) for line in classes.lines[1:])  # type: ignore[arg-type]
    assert dots == 40
    assert [t.get_text() for t in classes.get_yticklabels()] == list(names)


@pytest.mark.parametrize("K", [2, 3, 12])
def test_a_sketch_of_two_inputs_has_regions(K: int) -> None:
    picture = drawn("regions", in_the_plane(K), WHOLE)
    assert picture.title == "Decision regions: ridge[l2=0.1] on tides"
    rows = picture.table[picture.table["what"] == "test row"]
    assert len(rows) == 40
    wrong = rows["class"] != rows["predicted"]
    assert (rows["misclassified"] == wrong).all()
    sketch = in_the_plane(K).sketches([2])[2]
    assert sketch.probabilities is not None
    grid = picture.table[picture.table["what"] == "grid"]
    likeliest = [f"class-{k}" for k in sketch.probabilities.argmax(1)]
    assert grid["predicted"].tolist() == likeliest
    corners = grid[["x0", "x1"]].iloc[[0, 19, -1]].to_numpy().tolist()
    assert corners == [[-1, -1], [1, -1], [1, 1]]
    assert f"{wrong.sum()} of 40 test rows" in picture.description


@pytest.mark.parametrize("ties", [False, True])
def test_regions_leave_no_gap_where_several_classes_meet(ties: bool) -> None:
    frames = in_the_plane(7)
    sketch = frames.sketches([2])[2]
    assert sketch.probabilities is not None
    P = np.round(sketch.probabilities, 1 if ties else 6)
    changed = replace(sketch, probabilities=P)
    figure = drawn("regions", replace(frames, sketches=lambda _: {2: changed}), WHOLE).figure
    (ax,) = figure.axes
    for line in list(ax.lines):  # hides the dots, whose rims have the background colour
        line.remove()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[::-1, :, :3] / 255
    box = ax.get_window_extent()
    inner = pixels[int(box.y0) + 2 : int(box.y1) - 2, int(box.x0) + 2 : int(box.x1) - 2]
    assert (inner < 0.999).any(axis=2).all()
    # A region has the colour of its class; with equal probabilities, of the first class.
    likeliest = P.argmax(axis=1).reshape(20, 20)
    for i, j in itertools.product(range(1, 19), repeat=2):
        if len(set(likeliest[i - 1 : i + 2, j - 1 : j + 2].ravel())) == 1:
            at = ax.transData.transform((sketch.axes[0][j], sketch.axes[1][i]))
            x, y = np.floor(at).astype(int)
            wanted = 1 + FILL * (np.array(to_rgb(SERIES[likeliest[i, j]])) - 1)
            assert np.abs(pixels[y, x] - wanted).max() < 0.02


def test_inputs_with_any_names_have_their_own_columns() -> None:
    frames = in_the_plane()
    named = replace(frames.sketches([2])[2], input_names=("class", "class"))
    table = drawn("regions", replace(frames, sketches=lambda _: {2: named}), WHOLE).table
    assert len(set(table.columns)) == len(table.columns)


def test_a_sketch_of_more_inputs_says_that_it_shows_principal_components() -> None:
    picture = drawn("regions", in_the_plane(n_axes=0), WHOLE)
    assert "first two principal components" in picture.title
    rings = picture.figure.axes[0].lines[-1]
    assert len(rings.get_xdata()) == picture.table["misclassified"].sum()  # type: ignore[arg-type]


def test_each_hidden_layer_has_its_own_panel() -> None:
    frames = sample_frames()
    sketch = frames.sketches([2])[2]
    wide = replace(sketch, hidden=(sketch.hidden[0], np.zeros((50, 500), np.float32)))
    picture = drawn("hidden", replace(frames, sketches=lambda ids: {2: wide} if 2 in ids else {}))
    first, second = picture.figure.axes
    assert np.array_equal(first.lines[1].get_ydata(), sketch.hidden[0][:, 1])
    assert first.get_title(loc="left") == "hidden layer 1: 2 units"
    assert second.get_title(loc="left") == "hidden layer 2: 500 units, 64 of them drawn"
    assert list(picture.table.columns)[:3] == ["x0", "layer 1, unit 1", "layer 1, unit 2"]


# -- calibration


def test_reliability_equals_scikit_learns_calibration_curve() -> None:
    calibration = pytest.importorskip("sklearn.calibration")
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 500)
    right = rng.random(500) < confidence**2
    frames = predicting(right.astype(int), np.ones(500, int), confidence)
    table = drawn("reliability", frames, Wanted()).table
    share, mean = calibration.calibration_curve(right, confidence, n_bins=ECE_BINS)
    bins = table[table["rows"] > 0]
    assert bins["share right"].to_numpy() == pytest.approx(share)
    assert bins["mean confidence"].to_numpy() == pytest.approx(mean)
    assert table["rows"].sum() == 500
    assert ((bins["low"] <= bins["share right"]) & (bins["share right"] <= bins["high"])).all()


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_every_row_is_in_one_bin(rows: list[tuple[float, bool]]) -> None:
    confidence, right = (np.array(column) for column in zip(*rows, strict=True))
    table = bins(confidence, right)
    assert table["rows"].sum() == len(rows)
    assert (table["rows"] * table["share right"].fillna(0)).sum() == pytest.approx(right.sum())


def test_predictions_that_are_all_certain_and_right_are_drawn() -> None:
    frames = predicting(np.zeros(10, int), np.zeros(10, int), 1.0)
    for kind in ("reliability", "confusion", "recall"):
        drawn(kind, frames, Wanted())


@pytest.mark.parametrize("K", [2, 10, 50])
def test_confusion_and_recall_equal_scikit_learns(K: int, tmp_path: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    true = rng.permutation(np.arange(2000) % K)
    predicted = np.where(rng.random(2000) < 0.7, true, rng.integers(0, K, 2000))
    frames = predicting(true, predicted, K=K)
    picture = drawn("confusion", frames, Wanted())
    names = [f"species number {k}" for k in range(K)]
    confusion = (
        picture.table.pivot_table(index="true class", columns="predicted class", values="rows")
        .reindex(index=names, columns=names)
        .fillna(0)
    )
    assert np.array_equal(confusion.to_numpy(), metrics.confusion_matrix(true, predicted))
    recall = drawn("recall", frames, Wanted())
    expected = metrics.recall_score(true, predicted, average=None)
    assert recall.table["recall"].to_numpy() == pytest.approx(expected)
    assert recall.table["class"].tolist() == names
    for picture_kind in (picture, recall):
        save(picture_kind.figure, tmp_path / "file.png")
        assert len(inline_svg(picture_kind.figure, "a", "b")) < 250_000


@pytest.mark.parametrize("K", [10, 60, 200, 1000])
def test_the_description_of_many_classes_is_readable(K: int) -> None:
    true = np.arange(4 * K) % K
    (ax,) = drawn("recall", predicting(true, true, K=K), Wanted()).figure.axes
    assert not overlapping(visible(ax.yaxis))
    assert not overlapping(ax.texts)
    assert len(ax.texts) == (K if K <= 60 else 0)


def test_a_class_that_was_never_tested_has_no_recall() -> None:
    table = drawn("recall", predicting([0, 0, 1], [0, 1, 1], K=3), Wanted()).table
    assert table["rows"].tolist() == [2, 1, 0]
    assert table["recall"].tolist()[:2] == [0.5, 1.0]
    assert table["recall"].isna().tolist() == [False, False, True]


def test_all_repeats_are_pooled_and_counted() -> None:
    picture = drawn("confusion", sample_frames(), WHOLE)
    assert picture.table["rows"].sum() == 120
    (ax,) = picture.figure.axes
    assert ax.get_title(loc="left") == "n = 120 test rows of 3 repeats pooled"


# -- softmax and the history


def test_softmaxes_are_drawn_by_size_with_the_copy_as_limit() -> None:
    made = [
        Timing(
            kind, kernel, f"{shape} float32 {caches}", "cpu", 1, "ok", samples=((t,), (t,), (t,))
        )
        for shape, t in (("100x3", 1e-6), ("5x3", 1e-7), ("1000x10", 1e-5))
        for caches in ("warm", "cold")
        for kind, kernel, t in (("softmax", "quick", 4 * t), ("copy", "copy", t))
    ]
    unfit = Timing("softmax", "triton", "every shape", "cuda", 1, "unfinished", reason="no GPU")
    frames = replace(sample_frames(), timings=timings_frame([*made, unfit]))
    picture = drawn("softmax", frames, Wanted())
    quick = picture.table[picture.table["kernel"] == "quick"]
    assert quick["elements"].tolist() == [15, 300, 10_000] * 2
    assert quick["times a copy"].tolist() == pytest.approx([4.0] * 6)
    warm, cold = picture.figure.axes
    assert [warm.get_title(loc="left"), cold.get_title(loc="left")] == [
        "float32, warm caches",
        "float32, cold caches",
    ]
    assert warm.get_xscale() == warm.get_yscale() == "log"
    assert warm.lines[-1].get_ydata() == pytest.approx([1e-7, 1e-6, 1e-5])
    assert "did you mean 'quick'?" in fault("softmax", frames, Wanted("quik"))


def test_a_history_has_its_steps_and_provisional_steps_are_dashed() -> None:
    (segment,) = segments([point(day, 0.0) for day in range(20)])
    steps = (Step(8, 0.1, 0.05, 0.15, 0.001, True), Step(17, 0.2, 0.1, 0.3, 0.001, False))
    picture = KINDS["history"].draw([replace(segment, steps=steps)])
    upright = [
        line
        for line in picture.figure.axes[0].lines
        if list(line.get_ydata()) == [0, 1]  # type: ignore[arg-type]
    ]
    assert [line.get_linestyle() for line in upright] == ["-", "--"]
    assert picture.table["step is"].tolist()[8] == "firm"
    assert picture.table["step is"].tolist()[17] == "provisional"
    assert picture.table["step"].tolist()[8] == "+10.5%"


def test_the_legend_of_a_history_names_only_drawn_elements() -> None:
    def entries(*steps: Step) -> list[str]:
        (segment,) = segments([point(day, 0.0) for day in range(20)])
        (legend,) = KINDS["history"].draw([replace(segment, steps=steps)]).figure.legends
        return [entry.get_text() for entry in legend.get_texts()]

    firm = Step(8, 0.1, 0.05, 0.15, 0.001, True)
    assert entries() == ["values"]
    assert entries(firm) == ["values", "step"]
    assert entries(replace(firm, firm=False)) == ["values", "step, provisional"]


@pytest.mark.parametrize(
    ("days", "corner"),
    [(20, "2026-Jan"), (45, "2026-Jan to 2026-Feb"), (300, "")],
)
def test_the_corner_of_a_history_has_its_first_and_last_date(days: int, corner: str) -> None:
    picture = KINDS["history"].draw(segments([point(day, 0.0) for day in range(days)]))
    shown = picture.figure.axes[0].xaxis.get_offset_text().get_text()
    assert shown == corner


def test_a_history_is_selected_by_its_measure() -> None:
    segments = history()
    assert KINDS["history"].draw(segments, Wanted(model="knn")).title == "History: fit: knn, iris"
    assert "no measure 'fat'" in fault("history", segments, Wanted(measure="fat"))
    assert "history is empty" in fault("history", [])


# -- from the command line and from Python


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store of a small run."""
    place = tmp_path_factory.mktemp("pictures")
    harness.run(
        ["threshold", "iris"],
        ["numpy-softmax"],
        repeats=2,
        in_process=True,
        timing=False,
        store=place / "harness.db",
    )
    return place


def test_the_command_writes_a_file_and_prints_its_name(folder: Path) -> None:
    done = harness_in(folder, "plot", "likelihood")
    assert (done.status, done.printed) == (0, "likelihood.svg\n")
    ET.parse(folder / "likelihood.svg")
    done = harness_in(folder, "plot", "confusion", "last", "-d", "iris", "-o", "c.PDF")
    assert (done.status, done.printed) == (0, "c.PDF\n")
    assert (folder / "c.PDF").read_bytes().startswith(b"%PDF")
    done = harness_in(folder, "plot", "regions", "1", "-d", "thres*", "-o", "r.png")
    assert done.status == 0
    assert (folder / "r.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["recall"], "2 model-dataset pairs have predictions: numpy-softmax on threshold, numpy"),
        (["recall", "-o", "a.gif"], "'a.gif' does not end in one of .svg, .png, .pdf; rename it"),
        (["recall", "-o", "none/a.svg"], "its folder does not exist"),
        (["recall", "7"], "has no run '7'"),
        (["recal"], "no picture 'recal': did you mean 'recall'?"),
        (["hidden"], "no trial of any model on any dataset has hidden layers over one input"),
        (["recall", "--measure", "fit"], "--measure is for the history only"),
        (["history", "last"], "the history covers all runs; leave 'last' out"),
        (["softmax"], "timed no softmax; `harness bench softmax` does"),
        (["recall", "--store", "none.db"], "does not exist"),
    ],
)  # fmt: skip
def test_a_picture_that_cannot_be_drawn_is_a_one_line_error(
    folder: Path, words: list[str], line: str
) -> None:
    assert line in complaint_of(harness_in(folder, "plot", *words))


def test_a_file_that_cannot_be_written_is_a_one_line_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(UsageError, match=r"cannot write to '.*a\.svg': No space left on device"):
        save(drawn("recall").figure, tmp_path / "a.svg")


def test_an_empty_history_is_a_one_line_error_without_a_file(folder: Path) -> None:
    done = harness_in(folder, "plot", "history")
    assert (done.status, done.printed) == (4, "")
    assert done.remarks.startswith("no history yet")
    with_points = folder / "points.db"
    store = Store(str(with_points), create=True)
    store.add_points([point(day, 0.0) for day in range(9)])
    store.close()
    done = harness_in(folder, "plot", "history", "--measure", "fit", "--store", str(with_points))
    assert (done.status, done.printed) == (0, "history.svg\n")


def test_the_commands_help_lists_the_kinds(folder: Path) -> None:
    printed = harness_in(folder, "plot", "--help").printed
    for kind in KINDS.values():
        assert re.search(rf"^  {kind.name} +{kind.description.split()[0]}", printed, re.MULTILINE)


def test_plots_of_an_outcome_are_shown_in_a_notebook(tmp_path: Path) -> None:
    outcome = harness.run(
        ["threshold"],
        ["numpy-softmax"],
        repeats=1,
        in_process=True,
        timing=False,
        store=tmp_path / "harness.db",
    )
    figure = outcome.plot("regions", model="numpy-softmax")
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="did you mean 'regions'"):
        outcome.plot("region")
    with pytest.raises(UsageError, match="no picture of a run is called 'history'"):
        outcome.plot("history")
