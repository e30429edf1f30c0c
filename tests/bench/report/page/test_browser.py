"""The page in a real browser: sorting, filters, narrow and wide windows, no console errors."""

from pathlib import Path
from typing import Any

import pytest

from helpers.browser import DESK, PAPER, PHONE, opened
from helpers.default_run import default_run
from helpers.pages import HOSTILE, html, rows, written
from helpers.records import make_record

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="page")
def _page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("page"), html(rows()))


def column(tab: Any, heading: str) -> list[str]:
    """Return the cells of the visible rows under a heading."""
    found: list[str] = tab.evaluate(
        """heading => {
          const table = document.querySelector("table.rows");
          const place = [...table.tHead.rows[0].cells].findIndex(c => c.textContent === heading);
          const shown = [...table.tBodies[0].rows].filter(row => !row.hidden);
          return shown.map(row => row.cells[place].textContent);
        }""",
        heading,
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK])
def test_nothing_overflows(browser: Any, page: Path, size: tuple[int, int], scheme: str) -> None:
    """The page does not scroll sideways at the width of a phone or of a desktop."""
    with opened(browser, page, size, scheme) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]
        wide = tab.evaluate(
            """() => [...document.querySelectorAll("main *")]
                 .filter(each => !each.closest(".scroll, pre"))
                 .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
                 .map(each => each.outerHTML.slice(0, 80))"""
        )
        assert wide == []


def test_heading_sorts_in_both_directions(browser: Any, page: Path) -> None:
    """A heading sorts by the number, then in reverse; empty cells stay last."""
    with opened(browser, page) as tab:
        heading = tab.get_by_role("button", name="latency")
        heading.click()
        up = column(tab, "latency")
        heading.click()
        down = column(tab, "latency")
        assert tab.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    values = [float(text.split()[0]) for text in up if text]
    assert values == sorted(values)
    assert len(set(values)) > 3
    assert [text for text in down if text] == [text for text in up if text][::-1] or sorted(
        float(text.split()[0]) for text in down if text
    ) == values
    assert up[-1] == down[-1] == ""


def test_rows_are_filtered(browser: Any, page: Path) -> None:
    """All words of the filter must occur in a row; factors filter too; the count is announced."""
    with opened(browser, page) as tab:
        tab.get_by_label("Search").fill("bf16 choice")
        assert column(tab, "arm") == ["linear+compile_blocks+bf16"]
        assert tab.get_by_role("status").inner_text() == f"1 of {len(rows())} rows"
        tab.get_by_label("Search").fill("")
        tab.get_by_label("factor").select_option("patcher")
        assert set(column(tab, "factor")) == {"patcher"}
        tab.get_by_label("factor").select_option("")
        assert len(column(tab, "arm")) == len(rows())


def test_page_works_by_keyboard(browser: Any, page: Path) -> None:
    """The first tab stop skips to the decision; the space bar sorts by a heading."""
    with opened(browser, page) as tab:
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.textContent") == "Skip to the decision"
        tab.get_by_role("button", name="speed-up").focus()
        tab.keyboard.press("Space")
        assert tab.locator("th[aria-sort=ascending]").inner_text().startswith("speed-up")


def test_print_shows_all_rows(browser: Any, page: Path) -> None:
    """In print nothing scrolls and nothing is collapsed, including the table of all rows."""
    with opened(browser, page, PAPER) as tab:
        tab.emulate_media(media="print")
        assert tab.evaluate("document.documentElement.scrollWidth") <= PAPER[0]
        assert tab.locator("form.filters").is_hidden()
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert tab.locator("details:not([open])").count() == 0
        assert tab.locator("table.parts").is_visible()


def test_text_has_enough_contrast(browser: Any, page: Path) -> None:
    """Text has a contrast of at least 4.5 in both colour schemes (WCAG 2.2, level AA)."""
    code = """() => {
      const light = text => {
        const [r, g, b] = text.match(/\\d+/g).slice(0, 3).map(n => n / 255)
          .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ground = light(getComputedStyle(document.body).backgroundColor);
      const seen = [...document.querySelectorAll("p, li, td, th, a, small, figcaption, svg text")];
      return Math.min(...seen.map(each => {
        const style = getComputedStyle(each);
        const own = light(each.closest("svg") ? style.fill : style.color);
        return (Math.max(own, ground) + 0.05) / (Math.min(own, ground) + 0.05);
      }));
    }"""
    for scheme in ("light", "dark"):
        with opened(browser, page, DESK, scheme) as tab:
            assert tab.evaluate(code) >= 4.5


def test_hostile_names_are_inert(browser: Any, tmp_path: Path) -> None:
    """Hostile names run no script and cause no request."""
    row = make_record(arm=HOSTILE, component=HOSTILE, note=HOSTILE, kernels=HOSTILE)
    with opened(browser, written(tmp_path, html([row], command=HOSTILE))) as tab:
        assert tab.evaluate("document.querySelectorAll('script').length") == 1
        assert tab.evaluate("document.images.length") == 0


@pytest.fixture(scope="module", name="default_page")
def _default_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("default"), html(default_run(half=0.05)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK])
def test_the_first_screen_answers(
    browser: Any, default_page: Path, size: tuple[int, int], scheme: str
) -> None:
    """Choice, certificate and waterfall are on the first screen; no text is cut or overlaps."""
    with opened(browser, default_page, size, scheme) as tab:
        shown = tab.locator("article.answer:visible")
        assert shown.count() == 1
        assert shown.bounding_box()["y"] + shown.bounding_box()["height"] <= size[1]
        boxes = tab.evaluate(
            """() => [...document.querySelectorAll(
                   ".answer:not([hidden]) p, .answer:not([hidden]) .steps :is(th, td)")]
                 .filter(each => each.textContent.trim() && !each.querySelector(".unseen"))
                 .map(each => [each.scrollWidth - each.clientWidth, each.textContent])"""
        )
        assert [text for beyond, text in boxes if beyond > 1] == []
        assert len(boxes) > 12


def test_another_situation_can_be_picked(browser: Any, default_page: Path) -> None:
    """The list of situations shows one answer at a time; without a script all are shown."""
    with opened(browser, default_page, PHONE) as tab:
        tab.locator("select[name=situation]").select_option("L/16 b8 forward, at fp32")
        assert tab.locator("article.answer:visible .choice").inner_text() == "sdpa + compile_blocks"
        tab.emulate_media(media="print")
        assert tab.locator("article.answer:visible").count() == 12
