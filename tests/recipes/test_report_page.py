"""The report of a contest: as text, and in a real browser without network."""

import re
import shutil
from html.parser import HTMLParser

import pytest

PHONE, DESKTOP = 360, 1200
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Page(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="session")
def page(undisturbed):
    return (undisturbed[0] / "report.html").read_text("utf-8")


@pytest.mark.slow
def test_it_needs_nothing_else(page):
    assert not re.search(r"https?://|src=\"(?!data:)|url\(", page)
    assert not Page(page).all("script")


@pytest.mark.slow
def test_every_figure_has_words(page):
    images = Page(page).all("img")
    assert len(images) >= 6 + 2 * 6  # figures, and both sides of six samples
    assert all(len(image["alt"]) > 10 for image in images)
    assert page.count("<figcaption>") == page.count("<figure>")


@pytest.mark.slow
def test_the_verdict_is_said_first(page):
    assert "Too few seeds to judge by" in page.split("<table>")[0]
    for word in ("student alone", "KD", "C2KD", "wins/ties/losses", "Misalignment: "):
        assert word in page


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Chromium, as it is installed here, in a profile of its own."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(driver)
    browser = webdriver.Chrome(options=options, service=service)
    yield browser
    browser.quit()


@pytest.mark.slow
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_browser_shows_all_of_it(undisturbed, browser, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1}
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**size, "mobile": width == PHONE}
    )
    browser.get((undisturbed[0] / "report.html").as_uri())
    assert browser.get_log("browser") == []
    images = browser.execute_script(
        "return [...document.images].map(i =>"
        " [i.naturalWidth, i.getBoundingClientRect().width])"
    )
    assert len(images) >= 18
    assert all(natural > 0 and 20 < shown <= width for natural, shown in images)
    # No scrolling sideways, but for tables in their own boxes.
    page, window = browser.execute_script(
        "return [document.scrollingElement.scrollWidth, window.innerWidth]"
    )
    assert page <= window == width
    boxes = browser.execute_script(
        "return [...document.querySelectorAll('table')].map(t =>"
        " t.closest('.scroll').getBoundingClientRect().right)"
    )
    assert boxes and all(right <= width for right in boxes)
    small = browser.execute_script(
        "return [...document.querySelectorAll('p, td, li, figcaption')].filter(e =>"
        " parseFloat(getComputedStyle(e).fontSize) < 12).length"
    )
    assert small == 0
