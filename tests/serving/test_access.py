"""Who may ask, and what every answer carries."""

import re

import pytest

from recsys.errors import SettingsError
from recsys.settings import Settings
from serving.http.access import refuse_open_door

KEY = "k" * 43
GUARDED = [
    ("POST", "/v1/recommendations"),
    ("GET", "/v1/customers/ann/scores"),
    ("GET", "/v1/customers/ann/timing"),
    ("GET", "/v1/decisions/d1"),
    ("GET", "/v1/customers/ann"),
    ("DELETE", "/v1/customers/ann"),
    ("GET", "/v1/customers/ann/export"),
    ("GET", "/v1/customers"),
    ("GET", "/v1/items"),
    ("POST", "/v1/events"),
    ("GET", "/v1/models"),
    ("GET", "/v1/shadow"),
    ("GET", "/metrics"),
]
OPEN = [
    "/",
    "/console.js",
    "/console.css",
    "/charts.js",
    "/favicon.svg",
    "/openapi.json",
    "/health/live",
    "/health/ready",
]


@pytest.fixture
def keyed(make_workspace, serve):
    """A service with a key, asked without one."""
    return serve(make_workspace(api_key=KEY))


@pytest.mark.parametrize("given", [None, "Bearer wrong", f"Basic {KEY}", "Bearer", f"Bearer {KEY}x"])
def test_every_guarded_path_asks_for_the_key(keyed, given):
    """No key, a wrong one or another scheme: 401, and the answer says which scheme."""
    headers = {"Authorization": given} if given else {}
    answers = [keyed.http.request(method, path, headers=headers) for method, path in GUARDED]
    assert {(answer.status_code, answer.headers["www-authenticate"].split()[0]) for answer in answers} == {
        (401, "Bearer")
    }


def test_the_key_opens(keyed):
    """The right key is let in, whatever the case of the scheme."""
    assert keyed.http.get("/v1/models", headers={"Authorization": f"bearer {KEY}"}).status_code == 200


@pytest.mark.parametrize("path", OPEN)
def test_pages_and_probes_need_no_key(keyed, path):
    """The page's files, the document and the probes hold no data and answer everyone."""
    assert keyed.http.get(path).status_code == 200


def test_every_data_path_is_guarded(shared):
    """No path outside the open ones answers without a key."""
    document = shared.http.get("/openapi.json").json()
    paths = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    named = {"/ann": "/{customer_id}", "/d1": "/{decision_id}"}
    guarded = {(method, re.sub("/(ann|d1)(?=/|$)", lambda found: named[found[0]], path)) for method, path in GUARDED}
    assert {(method, path) for method, path in paths if path not in OPEN} == guarded


@pytest.mark.parametrize("host", ["barista.example.org", "10.0.0.7:8000", "127.0.0.1.example.org", ""])
def test_without_a_key_a_foreign_host_is_refused(shared, host):
    """A page that reaches this machine under a forged name gets nothing."""
    assert shared.http.get("/v1/models", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_without_a_key_this_machine_is_served(shared, host):
    """The machine's own names pass."""
    assert shared.http.get("/v1/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "shop.example.org"])
def test_without_a_key_it_listens_on_this_machine_only(host):
    """An address beyond this machine needs a key, and the message says so."""
    with pytest.raises(SettingsError, match="BARISTA_API_KEY"):
        refuse_open_door(Settings(host=host, api_key=None))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "shop.example.org"])
def test_beyond_this_machine_nobody_is_let_in_without_a_key(make_workspace, serve, host):
    """A database that held no key after all, found or restored while it serves, makes no caller this machine."""
    service = serve(make_workspace(host=host))
    answers = [service.http.request(method, path, headers={"Host": "localhost"}) for method, path in GUARDED]
    assert {answer.status_code for answer in answers} == {401}


def test_with_a_key_it_may_listen_anywhere():
    """A key opens other addresses."""
    assert refuse_open_door(Settings(host="0.0.0.0", api_key=KEY)) is None


@pytest.mark.parametrize("path", ["/", "/v1/models", "/nothing", "/openapi.json"])
def test_security_headers_are_on_every_answer(shared, path):
    """Also errors carry them; the policy allows the page's own files and nothing else."""
    headers = shared.http.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""What OWASP's list of secure headers asks of a page that embeds nothing and is embedded nowhere."""

POLICY = {
    "default-src": {"'none'"},
    "script-src": {"'self'"},
    "style-src": {"'self'"},
    "img-src": {"'self'"},
    "connect-src": {"'self'"},
    "base-uri": {"'none'"},
    "form-action": {"'none'"},
    "frame-ancestors": {"'none'"},
}
"""The strictest policy under which the page works; neither inline code nor another host."""


@pytest.mark.parametrize("path", OPEN)
def test_the_page_has_the_strictest_policy_it_works_under(shared, path):
    """Every directive, no more and no fewer, on every file of the page; and every other header of security."""
    headers = shared.http.get(path).headers
    parts = (part.split() for part in headers["content-security-policy"].split(";"))
    assert {name: set(sources) for name, *sources in parts} == POLICY
    assert {name: headers[name] for name in HEADERS} == HEADERS


def test_the_page_has_nothing_its_policy_forbids(shared):
    """No inline script, style or handler, and nothing from elsewhere, in any file of the page."""
    page = shared.http.get("/").text
    inline = re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", page)
    files = [shared.http.get(path).text for path in OPEN[:4]]
    elsewhere = [url for text in files for url in re.findall(r"https?://[\w.-]+", text)]
    code = [
        word for text in files for word in re.findall(r"\beval\(|new Function|\.style\.cssText|document\.write", text)
    ]
    assert (inline, [url for url in elsewhere if "www.w3.org" not in url], code) == ([], [], [])


def test_other_origins_get_no_permission(shared):
    """No CORS header is ever sent."""
    answer = shared.http.options(
        "/v1/models", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    )
    assert not [name for name in answer.headers if name.startswith("access-control")]
