"""The checks of chapter 01 accept the right answer and name what each typical wrong one reveals."""

import numpy as np
import pytest

from hsisr_lite.exercises import chapter_01 as check
from hsisr_lite.exercises.feedback import Right, WrongAnswer

# From the exercise's own words: 120 x 160 pixels, 200 bands, ratio 4, 8 MSI bands.
PIXELS, BANDS = 120 * 160, 200
COUNTS = {
    "X": 3_840_000,
    "Y": 240_000,
    "Z": 153_600,
    "bytes": 15_360_000,
    "unknowns": 3_840_000 / 393_600,
}
OPEN = [..., None]


def band_at(cube, wavelengths, nm):
    return cube[:, :, np.abs(wavelengths - nm).argmin()]


def project(pixels, K):
    mean = pixels.mean(axis=0)
    V = np.linalg.svd(pixels - mean, full_matrices=False)[2][:K].T
    return mean + (pixels - mean) @ V @ V.T


def components(pixels):
    return np.linalg.svd(pixels, full_matrices=False)[2]


def still_open(*_):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        (check.check_counts, COUNTS),
        (check.check_counts, COUNTS | {"unknowns": 9.8}),  # rounded by hand
        (check.check_band_at, band_at),
        (check.check_band_at, lambda x, w, nm: x[..., int(np.argmin(abs(w - nm)))].copy()),
        (check.check_project, project),
        (check.check_project, lambda x, K: x.mean(0) + _by_eigenvectors(x - x.mean(0), K)),
        (check.check_statements, {"a", "c"}),
        (check.check_statements, ["C", "A "]),
        (check.check_statements, "a, c"),
    ],
)
def test_right_answers_are_accepted_with_a_sentence(accept, answer):
    praise = accept(answer)
    assert isinstance(praise, Right)
    assert praise.endswith((".", "want."))


def _by_eigenvectors(centred, K):
    """Another road to the same answer: the K largest eigenvectors of the covariance."""
    V = np.linalg.eigh(centred.T @ centred)[1][:, -K:]
    return centred @ V @ V.T


@pytest.mark.parametrize("answer", OPEN, ids=str)
@pytest.mark.parametrize(
    "accept",
    [check.check_counts, check.check_band_at, check.check_project, check.check_statements],
    ids=lambda accept: accept.__name__,
)
def test_an_open_exercise_is_rejected(accept, answer):
    with pytest.raises(WrongAnswer, match="no answer yet"):
        accept(answer)


@pytest.mark.parametrize("name", COUNTS)
def test_an_open_count_is_rejected(name):
    with pytest.raises(WrongAnswer, match="no answer yet"):
        check.check_counts(COUNTS | {name: ...})
    with pytest.raises(WrongAnswer, match="no answer yet"):
        check.check_counts({key: value for key, value in COUNTS.items() if key != name})


@pytest.mark.parametrize("accept", [check.check_band_at, check.check_project])
def test_an_open_function_is_rejected(accept):
    with pytest.raises(WrongAnswer, match="still open"):
        accept(still_open)
    with pytest.raises(WrongAnswer, match="returns nothing"):
        accept(lambda *_: None)
    with pytest.raises(WrongAnswer, match="without brackets"):
        accept(np.ones((2, 2)))


WRONG_COUNTS = [
    ("X", PIXELS, "one band"),
    ("X", 3 * PIXELS, "photograph"),
    ("X", 1, "count again"),
    ("Y", PIXELS * BANDS / 4, "r \\* r times fewer"),
    ("Y", PIXELS * BANDS, "Y is coarse"),
    ("Y", PIXELS * BANDS * 16, "not more"),
    ("Y", PIXELS * 8 / 16, "few bands belong to Z"),
    ("Y", PIXELS / 16, "pixels of Y"),
    ("Z", COUNTS["Y"], "that is Y"),
    ("Z", PIXELS * 8 / 16, "Z is sharp: it has as many pixels"),
    ("Z", PIXELS * BANDS, "few bands"),
    ("Z", PIXELS * BANDS * 8, "do not multiply"),
    ("bytes", PIXELS * BANDS, "counts numbers"),
    ("bytes", PIXELS * BANDS * 8, "double precision"),
    ("bytes", PIXELS * BANDS * 32, "bits"),
    ("unknowns", 1 / COUNTS["unknowns"], "inverse"),
    ("unknowns", 16, "left out Z"),
    ("unknowns", 25, "left out Y"),
    ("unknowns", 41, "two quotients"),
]


@pytest.mark.parametrize(("name", "value", "reveals"), WRONG_COUNTS)
def test_wrong_counts_are_named(name, value, reveals):
    with pytest.raises(WrongAnswer, match=reveals):
        check.check_counts(COUNTS | {name: value})


@pytest.mark.parametrize(
    ("counts", "reveals"),
    [
        ([3_840_000, 240_000], "counts has the type list"),
        (3_840_000, "counts has the type int"),
        (COUNTS | {"X": [120, 160, 200]}, "X has the type list: write one number"),
        (COUNTS | {"bytes": "15 MB"}, "bytes has the type str: write one number"),
        (COUNTS | {"Z": float("nan")}, "count again"),
    ],
)
def test_counts_of_another_kind_get_a_sentence(counts, reveals):
    with pytest.raises(WrongAnswer, match=reveals):
        check.check_counts(counts)


@pytest.mark.parametrize("accept", [check.check_band_at, check.check_project])
@pytest.mark.parametrize("answer", [lambda: 1, lambda a: a, lambda a, b, c, d: a])
def test_a_function_of_other_arguments_gets_a_sentence(accept, answer):
    with pytest.raises(WrongAnswer, match=r"does not take \d arguments"):
        accept(answer)


def test_an_error_inside_the_function_stays_the_readers_own():
    """Only a wrong number of arguments is explained; an error of the body keeps its traceback."""
    with pytest.raises(TypeError, match="unsupported operand"):
        check.check_project(lambda pixels, K: "pixels" - pixels.sum)


WRONG_BANDS = [
    (lambda x, w, nm: x[:, :, int(nm)], "not an index"),
    (lambda x, w, nm: x[np.abs(w - nm).argmin()], "rows or columns"),
    (lambda x, w, nm: x[:, np.abs(w - nm).argmin()], "rows or columns"),
    (lambda x, w, nm: x[..., [np.abs(w - nm).argmin()]], "band axis"),
    (lambda x, w, nm: x[..., (w - nm).argmin()], "absolute value"),
    (lambda x, w, nm: x[..., np.abs(w - nm).argmax()], "farthest"),
    (lambda x, w, nm: x[..., np.searchsorted(w, nm)], "next above"),
    (lambda x, w, nm: x[..., max(np.searchsorted(w, nm, "right") - 1, 0)], "next below"),
    (lambda x, w, nm: np.abs(w - nm).argmin(), "one number"),
    (lambda x, w, nm: w, "shape \\(6,\\)"),
    (lambda x, w, nm: band_at(x, w, nm) / 2, "no band of the cube"),
    (lambda x, w, nm: band_at(x, w, nm) * np.nan, "no band of the cube"),
    (lambda x, w, nm: x[..., round((nm - w[0]) / np.ptp(w) * (len(w) - 1))], "even steps"),
    (lambda x, w, nm: x[..., int((nm - w[0]) / np.diff(w).mean())], "even steps"),
    (lambda x, w, nm: x[..., int((nm - w[0]) // (w[1] - w[0]))], "even steps"),
    (lambda x, w, nm: band_at(x, np.linspace(w[0], w[-1], len(w)), nm), "even steps"),
    (lambda x, w, nm: x[..., -1], "farthest"),
    (lambda x, w, nm: x[..., 3 if nm > 500 else 2], "next below: 640"),
    (lambda x, w, nm: "an image", "a str that is no array"),
    (lambda x, w, nm: {"image": x}, "a dict that is no array"),
]


@pytest.mark.parametrize(("answer", "reveals"), WRONG_BANDS)
def test_wrong_bands_are_named(answer, reveals):
    with pytest.raises(WrongAnswer, match=reveals):
        check.check_band_at(answer)


def _project_uncentred(x, K):
    V = components(x)[:K].T
    return x @ V @ V.T


def _forgets_to_subtract(x, K):
    V = components(x - x.mean(0))[:K].T
    return x.mean(0) + x @ V @ V.T


def _columns(x, K):
    V = components(x - x.mean(0))[:, :K]
    return x.mean(0) + (x - x.mean(0)) @ V @ V.T


def _mean_of_each_pixel(x, K):
    mean = x.mean(axis=1, keepdims=True)
    V = components(x - mean)[:K].T
    return mean + (x - mean) @ V @ V.T


def _without_sizes(x, K):
    U, _, Vt = np.linalg.svd(x - x.mean(0), full_matrices=False)
    return x.mean(0) + U[:, :K] @ Vt[:K]


WRONG_PROJECTIONS = [
    (_project_uncentred, "did not subtract the mean first"),
    (_forgets_to_subtract, "subtract the mean there too"),
    (lambda x, K: x.mean(0) + _project_uncentred(x, K), "in there twice"),
    (lambda x, K: project(x, K) - x.mean(0), "mean is missing"),
    (lambda x, K: (x - x.mean(0)) @ components(x - x.mean(0))[:K].T, "coordinates"),
    (_columns, "columns of Vt"),
    (_mean_of_each_pixel, "mean of each pixel"),
    (_without_sizes, "singular values are missing"),
    (lambda x, K: project(x, K - 1), "too few"),
    (lambda x, K: project(x, K + 1), "too many"),
    (lambda x, K: x, "nothing was left out"),
    (lambda x, K: x.T, "shape \\(12, 40\\)"),
    (lambda x, K: 0 * x, "smallest possible"),
    (lambda x, K: project(x, 2), "for K = 4 you keep 2"),
    (lambda x, K: project(x, 4), "for K = 2 you keep 4"),
    (lambda x, K: project(x, 0), "for K = 2 you keep 0"),
    (lambda x, K: (x, K), "a tuple that is no array"),
]


@pytest.mark.parametrize(("answer", "reveals"), WRONG_PROJECTIONS)
def test_wrong_projections_are_named(answer, reveals):
    with pytest.raises(WrongAnswer, match=reveals):
        check.check_project(answer)


@pytest.mark.parametrize(
    ("letters", "reveals"),
    [
        ({"a", "b", "c"}, "b is false"),
        ({"a", "c", "d"}, "d is false"),
        ({"c"}, "a is true"),
        ({"a"}, "c is true"),
        ({"a", "c", "e"}, "e: the statements are"),
        ("a, b", "b is false"),
        ("ac", "ac: the statements are"),
        (set(), "a is true"),
        (5, "5 is no set of letters"),
        (True, "True is no set of letters"),
    ],
)
def test_wrong_statements_are_named(letters, reveals):
    with pytest.raises(WrongAnswer, match=reveals):
        check.check_statements(letters)


def test_every_wrong_answer_has_its_own_sentence():
    """A sentence that fits two mistakes explains neither."""
    said = set()
    tries = [(check.check_counts, COUNTS | {name: value}) for name, value, _ in WRONG_COUNTS]
    tries += [(check.check_project, answer) for answer, _ in WRONG_PROJECTIONS]
    for accept, answer in tries:
        with pytest.raises(WrongAnswer) as wrong:
            accept(answer)
        said.add(str(wrong.value))
    assert len(said) == len(tries)


def test_feedback_is_text_in_jupyter():
    assert Right("Well.")._repr_markdown_() == "**Right.** Well."
    assert WrongAnswer("look again.")._render_traceback_() == ["Not yet: look again."]
