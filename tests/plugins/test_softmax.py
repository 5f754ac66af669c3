"""The fast softmax agrees with SciPy and with wider floats, and uses little memory."""

from __future__ import annotations

import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from harness_numpy import kernels
from harness_numpy.softmax import BLOCK, softmax, softmax_by_class
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import logsumexp
from scipy.special import softmax as scipy_softmax

from harness.errors import UsageError

FLOATS = (np.float32, np.float64)

# SciPy rounds each difference from the row's maximum. Differences up to about 100 (float32) or 750
# (float64) give a probability above 0, so SciPy's own error is that many units of rounding.
CLOSE = {
    np.dtype(np.float32): {"rtol": 2e-5, "atol": np.finfo(np.float32).tiny},
    np.dtype(np.float64): {"rtol": 1e-12, "atol": np.finfo(np.float64).tiny},
}

MB = 1_000_000

# Numbers of classes for each way of summing, on both sides of the limits between them.
CLASSES = (1, 2, 3, 10, 16, 17, 40, 64, 65, 100)


def normal(*shape: int, seed: int = 0, dtype: Any = np.float64) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_scipys(P: Any, logits: Any) -> None:
    assert P.dtype == logits.dtype
    np.testing.assert_allclose(P, scipy_softmax(logits, axis=1), **CLOSE[logits.dtype])


@st.composite
def stretches_of_logits(draw: st.DrawFn) -> Any:
    """Logits (n_samples, n_classes) of up to three blocks and either dtype.

    Up to four stretches of rows each have their own scale and offset of logits.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_classes = draw(st.integers(1, 80))
    n_samples = draw(st.integers(1, 9) | st.integers(1, 3 * BLOCK // n_classes))
    magnitudes = st.floats(-3, 7).map(lambda exponent: 10.0**exponent)
    offsets = st.just(0.0) | magnitudes | magnitudes.map(lambda size: -size)
    stretches = draw(st.lists(st.tuples(magnitudes, offsets), min_size=1, max_size=4))
    Z = rng.standard_normal((n_samples, n_classes))
    for rows, (size, offset) in zip(np.array_split(Z, len(stretches)), stretches, strict=True):
        rows *= size
        rows += offset
    return Z.astype(draw(st.sampled_from(FLOATS)))


# Correctness.


@given(stretches_of_logits())
def test_softmax_equals_scipys_for_logits_of_any_size(logits: Any) -> None:
    assert_scipys(softmax(logits), logits)


@given(
    arrays(
        st.sampled_from(FLOATS),
        array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(-1e7, 1e7, width=32),
    )
)
def test_softmax_equals_scipys_for_arbitrary_logits(logits: Any) -> None:
    assert_scipys(softmax(logits), logits)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n_classes", CLASSES)
@pytest.mark.parametrize("n_blocks", [1, 2.5])
def test_a_row_of_large_logits_does_not_change_other_rows(
    n_classes: int, n_blocks: float, dtype: Any
) -> None:
    logits = normal(max(int(n_blocks * BLOCK / n_classes), 2), n_classes, dtype=dtype)
    logits[0] *= 1e6
    assert_scipys(softmax(logits), logits)


@pytest.mark.parametrize("n_numbers", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK])
@pytest.mark.parametrize("rows_are", ["short", "long"])
@pytest.mark.parametrize("size", [1, 1e5])
def test_the_result_does_not_depend_on_the_division_into_blocks(
    n_numbers: int, rows_are: str, size: float
) -> None:
    logits = normal(*((n_numbers, 1) if rows_are == "short" else (1, n_numbers))) * size
    assert_scipys(softmax(logits), logits)


@given(stretches_of_logits())
def test_rows_sum_to_one(logits: Any) -> None:
    totals = softmax(logits).astype(np.longdouble).sum(axis=1)
    eps = np.finfo(logits.dtype).eps
    np.testing.assert_allclose(totals, 1, rtol=0, atol=4 * eps * (1 + np.log(logits.shape[1])))


@pytest.mark.parametrize(
    ("dtype", "logit", "n_classes"),
    [
        # Enough exponentials of the largest logit without a shift that their sum would overflow.
        (np.float32, 80, 6_500),
        (np.float64, 700, 18_000),
        (np.float32, -80, 6_500),
        (np.float64, -700, 18_000),
        # The largest logits whose exponentials are finite.
        (np.float32, 88, 10),
        (np.float64, 709, 10),
    ],
)
def test_the_sum_of_many_equal_and_large_exponentials_does_not_overflow(
    dtype: Any, logit: float, n_classes: int
) -> None:
    P = softmax(np.full((2, n_classes), logit, dtype))
    np.testing.assert_allclose(P, 1 / n_classes, rtol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "logit"), [(np.float32, 1e30), (np.float32, -3e38), (np.float64, -1e200)]
)
@pytest.mark.parametrize("shape", [(1, 3), (30_000, 3), (3, 100)])
def test_a_logit_whose_square_overflows_raises_no_warning(
    shape: tuple[int, int], dtype: Any, logit: float
) -> None:
    logits = normal(*shape, dtype=dtype)
    logits[0, 1] = logit
    expected = scipy_softmax(logits, axis=1)  # SciPy does not warn
    np.testing.assert_allclose(softmax(logits), expected, **CLOSE[logits.dtype])


# Rounding errors.


SIZES: dict[str, Any] = {
    "about 0.1": lambda Z, edge: Z / 10,
    "about 1": lambda Z, edge: Z,
    "about 10": lambda Z, edge: Z * 10,
    "near 60": lambda Z, edge: Z + 60,
    "up to the edge": lambda Z, edge: np.clip(Z / 3, -1, 1) * edge,
    # For these the row's largest logit is subtracted first.
    "near -1,000": lambda Z, edge: Z * 10 - 1_000,
    "about 10,000": lambda Z, edge: Z * 10_000,
    "near -10,000,000": lambda Z, edge: Z - 10_000_000,
}

WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}


def units_in_the_last_place(P: Any, true: Any) -> float:
    """The largest error in units in the last place, over probabilities that are normal floats."""
    is_normal = true >= np.finfo(P.dtype).tiny
    P, true = P[is_normal], true[is_normal]
    return float((np.abs(P - true) / np.spacing(true.astype(P.dtype))).max())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n_classes", [2, 3, 5, 10, 16, 17, 64, 65, 1_000, 5_000])
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_error_is_at_most_two_units_in_the_last_place_above_the_notebooks_stable_version(
    dtype: Any, n_classes: int, size: str
) -> None:
    if np.finfo(np.longdouble).eps > np.finfo(np.float64).eps / 100 and dtype is np.float64:
        pytest.skip("no dtype here has more digits than float64")
    ours, theirs = 0.0, 0.0
    for seed in range(8):
        Z = normal(40_000 // n_classes, n_classes, seed=seed)
        logits = SIZES[size](Z, 80 if dtype is np.float32 else 700).astype(dtype)
        true = scipy_softmax(logits.astype(WIDER[logits.dtype]), axis=1)
        ours = max(ours, units_in_the_last_place(softmax(logits), true))
        theirs = max(theirs, units_in_the_last_place(kernels.stable(logits), true))
    assert ours <= theirs + 2


# Infinite logits and NaN.


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n_classes", CLASSES[1:])
@pytest.mark.parametrize("n_blocks", [0, 2.5])
class TestOneLogit:
    """One infinite or NaN logit in the second row, of three rows or of two and a half blocks."""

    def logits(self, n_blocks: float, n_classes: int, dtype: Any) -> Any:
        return normal(int(n_blocks * BLOCK / n_classes) or 3, n_classes, dtype=dtype)

    def test_minus_infinity_has_probability_zero(
        self, n_blocks: float, n_classes: int, dtype: Any
    ) -> None:
        logits = self.logits(n_blocks, n_classes, dtype)
        logits[1, n_classes // 2] = -np.inf
        P = softmax(logits)
        assert P[1, n_classes // 2] == 0
        assert_scipys(P, logits)

    @pytest.mark.parametrize("logit", [np.nan, np.inf])
    def test_nan_or_infinity_makes_only_its_own_row_nan(
        self, n_blocks: float, n_classes: int, dtype: Any, logit: float
    ) -> None:
        logits = self.logits(n_blocks, n_classes, dtype)
        logits[1, n_classes // 2] = logit
        with np.errstate(invalid="ignore"):  # both compute infinity − infinity
            P = softmax(logits)
            assert_scipys(P, logits)
        assert np.isnan(P[1]).all()
        assert not np.isnan(np.delete(P, 1, axis=0)).any()


@pytest.mark.parametrize("n_classes", CLASSES)
@pytest.mark.parametrize("logit", [-np.inf, np.inf, np.nan])
def test_only_a_row_of_equal_infinities_or_nan_is_nan(n_classes: int, logit: float) -> None:
    logits = normal(3, n_classes)
    logits[1] = logit
    with np.errstate(invalid="ignore"):
        P = softmax(logits)
        assert_scipys(P, logits)
    assert np.isnan(P).all(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize("n_classes", CLASSES)
def test_a_nan_raises_no_warning(n_classes: int) -> None:
    logits = normal(3, n_classes)
    logits[1, 0] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        softmax(logits)


# Output arrays and accepted input.


@pytest.mark.parametrize("size", [1, 1e6])
@pytest.mark.parametrize("n_classes", CLASSES)
@pytest.mark.parametrize("n_blocks", [0, 2.5])
class TestOut:
    def test_out_is_written_to_and_returned(
        self, n_blocks: float, n_classes: int, size: float
    ) -> None:
        logits = normal(int(n_blocks * BLOCK / n_classes) or 4, n_classes) * size
        before, out = logits.copy(), np.full_like(logits, np.nan)
        assert softmax(logits, out=out) is out
        np.testing.assert_array_equal(out, softmax(logits))
        np.testing.assert_array_equal(logits, before)

    def test_out_may_be_the_logits(self, n_blocks: float, n_classes: int, size: float) -> None:
        logits = normal(int(n_blocks * BLOCK / n_classes) or 4, n_classes) * size
        expected = softmax(logits)
        assert softmax(logits, out=logits) is logits
        np.testing.assert_array_equal(logits, expected)


@pytest.mark.parametrize(
    "out",
    [
        np.empty((3, 2)),
        np.empty((2, 3, 1)),
        np.empty(6),
        np.empty((2, 3), np.float32),
        np.empty((2, 3), np.int64),
        np.empty((2, 3), order="F"),
        np.empty((2, 6))[:, ::2],
        np.empty((4, 3))[::2],
    ],
    ids=lambda out: f"{out.dtype}-{out.shape}-{out.strides}",
)
def test_an_out_of_another_shape_dtype_or_layout_is_refused_and_not_changed(out: Any) -> None:
    out[...] = 7
    with pytest.raises(
        UsageError, match="out must be a writable C-contiguous array of float64 and shape"
    ):
        softmax(np.zeros((2, 3)), out=out)
    assert (out == 7).all()


VIEWS: dict[str, Any] = {
    "every other column": lambda Z: np.repeat(Z, 2, axis=1)[:, ::2],
    "every other row": lambda Z: np.repeat(Z, 2, axis=0)[::2],
    "some columns": lambda Z: np.hstack([Z, Z])[:, : Z.shape[1]],
    "transposed": lambda Z: np.ascontiguousarray(Z.T).T,
    "Fortran's order": np.asfortranarray,
    "back to front": lambda Z: Z[::-1, ::-1].copy()[::-1, ::-1],
    "one row again and again": lambda Z: np.broadcast_to(Z[0], Z.shape),
    "other byte order": lambda Z: Z.astype(Z.dtype.newbyteorder()),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("size", [1, 1e6])
@pytest.mark.parametrize("shape", [(4, 3), (30_000, 3), (1_000, 40), (500, 100), (2, 40_000)])
def test_any_memory_layout_gives_the_same_result_and_is_not_changed(
    shape: tuple[int, int], size: float, view: str
) -> None:
    logits = VIEWS[view](normal(*shape) * size)
    logits.flags.writeable = False
    before = logits.copy()
    P = softmax(logits)
    assert P.dtype == np.float64
    assert P.flags.writeable
    assert not np.shares_memory(P, logits)
    np.testing.assert_allclose(P, scipy_softmax(before, axis=1), **CLOSE[P.dtype])
    np.testing.assert_array_equal(logits, before)
    into = np.empty(shape)
    np.testing.assert_array_equal(softmax(logits, out=into), P)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int64, np.bool_, np.float16, np.longdouble]
)
@pytest.mark.parametrize("shape", [(4, 3), (30_000, 3)])
def test_dtypes_except_float32_and_float64_become_float64(
    shape: tuple[int, int], dtype: Any
) -> None:
    logits = np.abs(normal(*shape) * 10).astype(dtype)
    before = logits.copy()
    np.testing.assert_array_equal(softmax(logits), softmax(logits.astype(np.float64)))
    assert softmax(logits).dtype == np.float64
    np.testing.assert_array_equal(logits, before)


def test_lists_are_accepted() -> None:
    np.testing.assert_allclose(softmax([[0, np.log(3)], [5, 5]]), [[0.25, 0.75], [0.5, 0.5]])


@pytest.mark.parametrize("shape", [(), (3,), (1, 2, 3), (0,)])
def test_logits_need_two_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"softmax takes logits \(n_samples, n_classes\)"):
        softmax(np.zeros(shape))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (0, 40), (0, 100), (100_000, 0)])
def test_empty_logits_give_empty_probabilities(shape: tuple[int, int], dtype: Any) -> None:
    logits = np.empty(shape, dtype)
    P = softmax(logits)
    assert (P.shape, P.dtype) == (shape, dtype)
    assert softmax(logits, out=logits) is logits


# Memory.


def peak_bytes(logits: Any, out: Any = None) -> int:
    """The peak of memory in bytes that a call allocates."""
    tracemalloc.start()
    try:
        softmax(logits, out=out)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("centre", [0, -1e7])
@pytest.mark.parametrize("shape", [(400_000, 3), (20_000, 100), (500, 5_003)])
class TestMemory:
    def test_memory_is_little_more_than_the_output(
        self, shape: tuple[int, int], centre: float
    ) -> None:
        logits = normal(*shape) + centre
        assert peak_bytes(logits) <= logits.nbytes + 4 * MB

    def test_memory_is_little_if_out_is_given(self, shape: tuple[int, int], centre: float) -> None:
        logits = normal(*shape) + centre
        assert peak_bytes(logits, out=np.empty_like(logits)) <= 4 * MB
        assert peak_bytes(logits, out=logits) <= 4 * MB

    @pytest.mark.parametrize("view", ["transposed", "every other column"])
    def test_a_view_needs_no_more_memory(
        self, shape: tuple[int, int], centre: float, view: str
    ) -> None:
        logits = VIEWS[view](normal(*shape) + centre)
        assert peak_bytes(logits) <= logits.nbytes + 4 * MB
        assert peak_bytes(logits, out=np.empty(shape)) <= 4 * MB


# Classes along the first axis.


@given(stretches_of_logits())
def test_softmax_by_class_works_in_place_on_the_transpose_and_returns_scipys_logsumexp(
    logits: Any,
) -> None:
    by_class = logits.T.copy()
    log_totals = softmax_by_class(by_class)
    assert_scipys(by_class.T, logits)
    assert log_totals.dtype == logits.dtype
    near = 8 * np.finfo(logits.dtype).eps
    np.testing.assert_allclose(log_totals, logsumexp(logits, axis=1), rtol=near, atol=near)


@pytest.mark.parametrize("size", [1, 1e6])
def test_softmax_by_class_works_on_a_part_of_the_samples(size: float) -> None:
    by_class = normal(3, 1_000) * size
    before = by_class.copy()
    log_totals = softmax_by_class(by_class[:, 100:200])
    assert_scipys(by_class[:, 100:200].T, before[:, 100:200].T)
    np.testing.assert_allclose(log_totals, logsumexp(before[:, 100:200], axis=0), rtol=1e-12)
    np.testing.assert_array_equal(
        np.delete(by_class, slice(100, 200), axis=1), np.delete(before, slice(100, 200), axis=1)
    )


def test_softmax_by_class_gives_minus_infinity_no_weight_and_keeps_nan_in_its_sample() -> None:
    by_class = np.array([[0.0, 1.0, 2.0], [-np.inf, np.nan, 2.0]])
    log_totals = softmax_by_class(by_class)
    np.testing.assert_array_equal(by_class, [[1, np.nan, 0.5], [0, np.nan, 0.5]])
    np.testing.assert_allclose(log_totals, [0, np.nan, 2 + np.log(2)])


@pytest.mark.parametrize("n", [100, 300])
def test_out_may_share_memory_with_logits_in_another_order(n: int) -> None:
    """With several blocks, writing the first must not overwrite logits that the next one reads."""
    array = np.random.default_rng(0).normal(size=(n, n))
    expected = scipy_softmax(array.T, axis=1)
    np.testing.assert_allclose(softmax(array.T, out=array), expected, rtol=1e-9)
