"""bench.report.page.figures: the sentence of a figure's main finding."""

import math

from bench.records.comparison import OWN_FACTOR
from bench.report.page.figures import CAPTIONS, FIGURES, HEADINGS, finding
from bench.report.plots.canvas import FigureName
from helpers.decisions import arm, control
from helpers.records import make_record

ROOFLINE, COMPILE = (FigureName(kind=each, device="cpu") for each in ("roofline", "compile"))
# Kinds that the page shows as tables.
FORESTS = {"speedup", "latency", "memory"}


def test_every_kind_has_a_section_and_a_caption() -> None:
    """Headings, captions, and figures with tables name the same kinds, each once."""
    assert list(CAPTIONS) == list(HEADINGS)
    assert sorted([*FIGURES, *FORESTS]) == sorted(HEADINGS)


def test_the_fastest_of_each_factor_with_its_error() -> None:
    """The fastest arm of a factor is named, without controls and arms of unknown error."""
    rows = [
        control("precision", output_error=1e-7, speedup=9.0, speedup_low=8.0, speedup_high=10.0),
        arm("precision", "bf16", 2.0, output_error=1e-2),
        arm("precision", "amp", 1.5, output_error=1e-3),
        arm("patcher", "linear", 3.0, output_error=None),
    ]
    assert finding(FigureName(kind="error"), rows) == (
        "Precision: at most ×2.00 (1.96 to 2.04), by bf16 of B/16 block b1 forward, with an error "
        "of 1.0e-02."
    )
    alone = make_record(factor=OWN_FACTOR, speedup_low=None, speedup_high=None, output_error=0.5)
    assert finding(FigureName(kind="error"), [alone]).startswith(
        "Compare: at most ×1.25 (no interval), by manual"
    )


def test_the_nearest_to_the_limit_and_the_farthest() -> None:
    """The arms nearest to and farthest below the limit are those of the figure's device."""
    rows = [
        control("attention", limit_share=0.7),
        arm("attention", "sdpa", limit_share=0.9, limit_share_low=0.88, limit_share_high=0.92),
        arm("attention", "manual"),
        arm("attention", "sdpa", limit_share=0.1, device="cuda"),
    ]
    assert finding(ROOFLINE, rows) == (
        "2 arms. Nearest to its limit: sdpa of B/16 attention b1 forward, 90.0 % (88.0 % to "
        "92.0 %). Farthest below its limit: mha of B/16 attention b1 forward, 70.0 %."
    )
    assert finding(ROOFLINE, rows[2:]) == ""


def test_images_until_compiling_pays_off() -> None:
    """The number of images or "never" is given for the first cases; the rest are counted."""
    soon, never = (
        arm("compile", "compile_blocks", break_even_images=each) for each in (123.0, math.inf)
    )
    assert finding(COMPILE, [control("compile"), soon, never]) == (
        "compile_blocks of B/16 block b1 forward pays off after 123 images. "
        "compile_blocks of B/16 block b1 forward never pays off."
    )
    assert finding(COMPILE, [soon] * 8).endswith("2 more cases in the table of all rows.")


def test_other_figures_say_nothing() -> None:
    """A history is of other runs than this one's rows."""
    assert finding(FigureName(kind="trend"), [control("attention")]) == ""
