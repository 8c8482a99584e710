"""The report of a contest: as text, and in a real browser without network."""

import base64
import re
import shutil
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
import tasks
from contest import report, sections
from contest.folder import Contest
from contest.plan import Plan
from contest.results import Results

PAIR = ("depth", "rgb")
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


SVG = "data:image/svg+xml;base64,"


def smallest_letters(svg):
    """Size of a figure's text in CSS pixels, as it is where nothing is scaled."""
    # Matplotlib draws letters as shapes of a font of 100 points.
    scales = re.findall(r"<g transform=\"[^\"]*scale\(([0-9.]+) -[0-9.]+\)\">", svg)
    return min(map(float, scales)) * 100 * 96 / 72


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


@pytest.mark.slow
@pytest.mark.parametrize("methods", [("alone", "kd", "c2kd"), ("kd", "c2kd")])
def test_the_gap_is_shown_whoever_took_part(undisturbed, methods):
    plan = Plan([PAIR], methods, range(2))
    contest = Contest(undisturbed[0])
    results = Results(contest, plan, plan.choose(contest), tasks.Classification())
    text = sections.gaps(results)
    alts = [image["alt"] for image in Page(text).all("img")]
    assert len(alts) == 2 and "means: teacher and" in alts[0]
    assert "only the teacher gets right" in alts[1]
    there = "alone" in methods
    assert ("two nets of rgb" in alts[0]) is there
    assert ("Misalignment: " in text) is there
    assert ("alone took no part." in text) is not there


def stub(**result):
    """`Results` of one method and one seed."""
    plan = Plan([PAIR], ["kd"], [0])
    return SimpleNamespace(
        plan=plan,
        task=tasks.Segmentation(),
        teachers={PAIR: result},
        of=lambda pair, method: [result],
    )


def test_names_of_figures_keep_their_capitals():
    data = {"samples": {"train": 8}, "classes": ["a", "b"]}
    text = report.summary(stub(scores={"mean_iou": 0.5}), data)
    assert "Where depth teaches rgb, the teacher alone has 50.0 % mIoU on test." in text


def test_one_state_of_the_code_is_not_worth_a_word():
    assert report.of_several(["a"]) == ""
    assert "a, b" in report.of_several(["a", "b"])


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([[4, 0], [0, 4]], "nothing is taken for anything else"),
        ([[4, 0], [1, 3]], r"most often $\bed$ is taken for art"),
    ],
)
def test_the_words_of_a_confusion_matrix(counts, words):
    data = {"classes": ["art", r"$\bed$"]}  # no formula of the figure's labels
    text = sections.one_confusion(stub(confusion=counts), data, PAIR, "kd")
    assert words in Page(text).all("img")[0]["alt"]


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
        " [i.naturalWidth, i.getBoundingClientRect().width, i.src])"
    )
    assert len(images) >= 18
    assert all(natural > 0 and 20 < shown <= width for natural, shown, _ in images)
    figures = [image for image in images if image[2].startswith(SVG)]
    assert len(figures) >= 8
    for natural, shown, source in figures:
        text = base64.b64decode(source.removeprefix(SVG)).decode()
        assert smallest_letters(text) * shown / natural >= 11
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
