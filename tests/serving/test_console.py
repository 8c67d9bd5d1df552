"""The console in a real browser: what a person sees, from this machine alone."""

import shutil
from collections.abc import Iterator

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

browser_test = pytest.mark.skipif(CHROMIUM is None, reason="no chromium found; install it: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A headless Chromium of this machine."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser) -> Iterator:
    """A page that notes every request and every complaint."""
    page = browser.new_page(viewport={"width": 1200, "height": 1400})
    page.requested, page.complaints = [], []
    page.on("request", lambda request: page.requested.append(request.url))
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    page.close()


def opened(page, service, customer="ann"):
    """The page with a customer open."""
    page.goto(f"{service.http.base_url}#{customer}")
    page.wait_for_selector("#customer:not([hidden]) .offers .name")
    return page


@pytest.mark.browser
@browser_test
def test_the_page_shows_one_customer_whole(page, shared):
    """Purchases over time, offers with reasons, churn, value with interval, next purchase."""
    opened(page, shared)
    assert page.locator("#weeks rect").count() == 3
    assert page.locator("#offers .reasons li").count() > 0
    assert "%" in page.inner_text("#churn .big")
    assert page.locator("#value svg").count() == 2


@pytest.mark.browser
@browser_test
def test_the_page_asks_nobody_else(page, shared):
    """Every request goes to the service itself; the strict policy breaks nothing."""
    opened(page, shared)
    assert {url.startswith(str(shared.http.base_url)) for url in page.requested} == {True}
    assert page.complaints == []


@pytest.mark.browser
@browser_test
def test_the_keyboard_is_enough(page, shared):
    """A customer is found and opened, and the mode changed, without a mouse."""
    page.goto(str(shared.http.base_url))
    page.wait_for_selector("#search:focus")
    page.keyboard.type("ant")
    page.wait_for_selector("#found li:first-child:has-text('anton')")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#offers .name")
    page.focus("#modes input[value=new]")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#offers li:first-child .tag:text-is('repeat')")
    assert page.inner_text("#who") == "anton"


@pytest.mark.browser
@browser_test
def test_a_reported_purchase_shows_what_it_moves(page, service):
    """The form posts a purchase and the page shows the answers before and after."""
    opened(page, service)
    page.fill("#item", "tea")
    page.wait_for_selector("#items li:first-child:has-text('tea')")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.click("#purchase button")
    page.wait_for_selector(".moved")
    cells = page.locator(".moved tr").nth(1).locator("td").all_inner_texts()
    assert cells[0] != cells[1]
    assert service.http.get("/v1/customers/ann").json()["orders"] == 4


@pytest.mark.browser
@browser_test
def test_the_key_is_asked_for_and_kept_nowhere(page, make_workspace, serve):
    """With a key the page asks for it; after a reload it has forgotten it."""
    service = serve(make_workspace(api_key="open-sesame"))
    page.goto(f"{service.http.base_url}#ann")
    page.fill("#key", "open-sesame")
    page.keyboard.press("Enter")
    page.wait_for_selector("#offers .name")
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    page.reload()
    assert ("open-sesame" in stored, page.is_visible("#key-form")) == (False, True)


@pytest.mark.browser
@browser_test
def test_a_stranger_is_shown_too(page, shared):
    """An unknown customer is answered from everybody else's purchases, and the page says so."""
    opened(page, shared, "stranger")
    assert "everybody else" in page.inner_text("#facts")


def test_the_page_refers_to_nothing_elsewhere():
    """No file of the page names an address outside the service, but for SVG's namespace."""
    from importlib.resources import files

    texts = [
        path.read_text() for path in files("serving.console").iterdir() if path.name.endswith(("html", "css", "js"))
    ]
    named = "".join(texts).replace("http://www.w3.org/2000/svg", "")
    assert "://" not in named
    assert "innerHTML" not in named
