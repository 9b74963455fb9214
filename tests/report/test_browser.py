"""The page in a real browser, headless: it renders without errors, and hovering shows a tip."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hierrec.report.page import render
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.report.world import MOVIELENS, World, full_results

DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    """The report of a small world, as a file."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(world.content(full_results(MOVIELENS))), "utf-8")
    return path


def show(browser: Chrome, page: Path, size: tuple[int, int]) -> None:
    """Open the page in a window of this size."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())


def run(browser: Chrome, script: str, *arguments: Any) -> Any:
    return browser.execute_script(f"return {script}", *arguments)


def tip(browser: Chrome) -> WebElement:
    return browser.find_element(By.ID, "tip")


def bring(browser: Chrome, element: WebElement) -> WebElement:
    """Scroll an element into view, and wait until the browser has drawn that."""
    script = """
        arguments[0].scrollIntoView({block: "center", behavior: "instant"});
        requestAnimationFrame(() => requestAnimationFrame(arguments[1]));
    """
    browser.execute_async_script(script, element)
    return element


def hover(browser: Chrome, element: WebElement, x: float = 0, y: float = 0) -> None:
    """Move the pointer to x, y from the middle of an element."""
    bring(browser, element)
    ActionChains(browser).move_to_element_with_offset(element, round(x), round(y)).perform()


def shown(browser: Chrome, element: WebElement, wanted: str, x: float = 0, y: float = 0) -> str:
    """Hover until the tip shows `wanted`, ten seconds at most: a late scroll event hides it again."""

    def hovered(_: Chrome) -> bool:
        hover(browser, element, x, y)
        if tip(browser).text == wanted:
            return True
        away = ActionBuilder(browser)
        away.pointer_action.move_to_location(2, 2)
        away.perform()
        return False

    with suppress(TimeoutException):
        WebDriverWait(browser, 10).until(hovered)
    return tip(browser).text


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_it_renders_without_complaint_and_without_network(browser: Chrome, page: Path, size: tuple[int, int]) -> None:
    show(browser, page, size)
    assert browser.find_element(By.TAG_NAME, "h1").text == "What comes next?"
    assert browser.get_log("browser") == []
    assert run(browser, "performance.getEntriesByType('resource').length") == 0
    assert not run(browser, "document.documentElement.scrollWidth > document.documentElement.clientWidth")
    for chart in browser.find_elements(By.CSS_SELECTOR, "figure, .map svg"):
        assert chart.size["width"] > 200
        assert chart.size["height"] > 100


def test_hovering_over_a_dot_of_the_map_shows_the_title(browser: Chrome, page: Path, world: World) -> None:
    show(browser, page, DESKTOP)
    drawing = browser.find_element(By.CSS_SELECTOR, ".map svg")
    points = run(browser, "points")
    scale = drawing.rect["width"] / run(browser, "map.viewBox.baseVal.width")
    for x, y, name, genres in (points[0], points[7], points[-1]):
        wanted = f"{name}\n{genres}".strip()
        assert shown(browser, drawing, wanted, (x - 500) * scale, (y - 500) * scale) == wanted
        assert tip(browser).is_displayed()
    assert points[7][2] == world.catalogue[7].title
    hover(browser, browser.find_element(By.TAG_NAME, "h1"))
    assert not tip(browser).is_displayed()


def test_a_pointer_on_a_mark_or_a_curve_shows_the_number(browser: Chrome, page: Path) -> None:
    show(browser, page, DESKTOP)
    for place, wanted in (
        (".mark.rag", "rag: 0.1870 [0.1770, 0.1970]"),
        ("#training .dot", "hierarchical, epoch 0: 0.1000"),
    ):
        element = bring(browser, browser.find_element(By.CSS_SELECTOR, place))
        # The event itself: a mark is a few pixels wide, and the driver's pointer does not always hit it.
        script = "arguments[0].dispatchEvent(new PointerEvent('pointerenter', {clientX: 99, clientY: 99}))"
        run(browser, script, element)
        assert run(browser, "document.getElementById('tip').textContent") == wanted


def test_a_genre_can_be_seen_alone(browser: Chrome, page: Path) -> None:
    show(browser, page, DESKTOP)
    first, second, *_ = browser.find_elements(By.CSS_SELECTOR, ".genres button")
    groups = len(browser.find_elements(By.CSS_SELECTOR, ".dots"))
    for button in (first, second):
        bring(browser, button).click()
        assert button.get_attribute("aria-pressed") == "true"
        assert len(browser.find_elements(By.CSS_SELECTOR, ".dots.faint")) == groups - 1
    second.click()
    assert browser.find_elements(By.CSS_SELECTOR, ".dots.faint") == []


def test_an_item_can_be_found_by_a_part_of_its_title(browser: Chrome, page: Path) -> None:
    show(browser, page, DESKTOP)
    field, result = (browser.find_element(By.CSS_SELECTOR, f".map {name}") for name in ("input", ".result"))
    field.send_keys("unicode")
    assert result.text == "Ünïcödé 愛 (1994)"
    assert browser.find_element(By.CSS_SELECTOR, ".found").get_attribute("d")
    field.send_keys("x")
    assert result.text == "No such item"
