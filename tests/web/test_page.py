"""The page in a real browser: what a person sees, with mouse, keyboard and screen reader.

With ``GOSSIPNET_PICTURES=FOLDER`` the pictures of the documents are written there.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import NAME, Browser, browser
from mesh_harness import Mesh, eventually, running_mesh
from test_doors import Page

from tests.needs import need


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with running_mesh(3) as mesh:
        mesh.everyone_alive()
        mesh[0].do("SET", "flags:new-ui", "on")
        mesh[0].do("HSET", "user:1", "name", "Ada", "city", "London")
        mesh[0].do("SADD", "crew", "ada", "bob")
        mesh[0].do("RPUSH", "queue", "one", "two")
        mesh[0].do("ZADD", "board", "3", "ada", "5", "bob")
        mesh[1].do("SET", "<img src=x onerror=alert(1)>", "<script>alert(1)</script>")
        yield mesh


@pytest.fixture(scope="module")
def opened(mesh: Mesh) -> Iterator[Browser]:
    """The page with writes allowed, entered by its code."""
    need(NAME is not None, "Chromium is not installed")
    page = Page(mesh[0], "--allow-writes")
    try:
        with browser() as opened:
            opened.size(1280, 800, dark=False)
            opened.open(f"http://127.0.0.1:{page.port}/#c={page.code}")
            opened.until("document.querySelectorAll('#members tbody tr').length === 3")
            yield opened
            assert opened.complaints == []
    finally:
        page.close()


def show(opened: Browser, view: str) -> None:
    opened.click(f"nav [data-view={view}]")
    opened.until(f"!document.getElementById('view-{view}').hidden")


def test_the_code_leaves_the_address_bar(opened: Browser) -> None:
    assert "c=" not in opened.value("location.href")


def test_health_members_and_links(opened: Browser) -> None:
    opened.until("document.querySelectorAll('#links tbody tr').length === 2")
    text = opened.text()
    assert "3 of 3 alive" in text
    assert "node0 (this node)" in text
    opened.until("document.querySelectorAll('#charts svg path[d]').length === 4")


def test_members_sort_and_filter(opened: Browser) -> None:
    opened.click("#members th[data-name=name] button")
    assert opened.value("document.querySelector('#members tbody td').innerText") == "node2"
    head = "document.querySelector('#members th[data-name=name]').getAttribute('aria-sort')"
    assert opened.value(head) == "descending"
    opened.value(
        "(f => { f.value = 'node1'; f.dispatchEvent(new Event('input')) })"
        "(document.getElementById('member-filter'))"
    )
    opened.until("document.querySelectorAll('#members tbody tr').length === 1")
    opened.value(
        "(f => { f.value = ''; f.dispatchEvent(new Event('input')) })"
        "(document.getElementById('member-filter'))"
    )


def test_the_ring_draws_members_and_their_links(opened: Browser) -> None:
    show(opened, "mesh")
    opened.until("document.querySelectorAll('#mesh-graph circle').length === 3")
    opened.until("document.querySelectorAll('#mesh-graph line').length === 3")
    title = opened.value("document.querySelector('#mesh-graph a title').textContent")
    assert title.startswith("node0, alive, 2 links")


def test_a_death_is_seen_without_a_reload(opened: Browser, mesh: Mesh) -> None:
    show(opened, "members")
    mesh[2].kill()
    opened.until("document.body.innerText.includes('2 of 3 alive')")
    opened.until("document.querySelector('#members').innerText.includes('dead')")
    mesh[2].start()
    opened.until("document.body.innerText.includes('3 of 3 alive')")
    show(opened, "events")
    opened.until("document.querySelector('#events').innerText.includes('member-dead')")


def test_changes_arrive_as_they_happen(opened: Browser, mesh: Mesh) -> None:
    show(opened, "events")
    mesh[1].do("SET", "news", "from afar")
    opened.until("document.querySelector('#changes').innerText.includes('from afar')")


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("flags:new-ui", "on"),
        ("user:1", "London"),
        ("crew", "bob"),
        ("queue", "two"),
        ("board", "5"),
    ],
)
def test_each_type_has_its_view(opened: Browser, key: str, told: str) -> None:
    show(opened, "state")
    opened.value(f"location.hash = '#/state/' + encodeURIComponent('{key}')")
    opened.until(f"document.querySelector('#key h3')?.innerText === '{key}'")
    assert told in opened.value("document.getElementById('key').innerText")
    assert "by node0" in opened.value("document.getElementById('key').innerText")


def test_markup_in_keys_and_values_stays_text(opened: Browser) -> None:
    show(opened, "state")
    opened.value("location.hash = '#/state/' + encodeURIComponent('<img src=x onerror=alert(1)>')")
    opened.until("document.querySelector('#key pre')?.innerText === '<script>alert(1)</script>'")
    assert opened.value("document.querySelectorAll('#key img, #keys img').length") == 0


def test_a_value_is_edited_and_a_key_deleted(opened: Browser, mesh: Mesh) -> None:
    show(opened, "state")
    opened.value("location.hash = '#/state/' + encodeURIComponent('flags:new-ui')")
    opened.until("document.querySelector('#key textarea')?.value === 'on'")
    opened.value("document.querySelector('#key textarea').value = 'off'")
    opened.click("#save")
    eventually(lambda: mesh[1].do("GET", "flags:new-ui") == b"off", "another node has the edit")
    opened.value("window.confirm = () => true")
    opened.until("document.querySelector('#key pre')?.innerText === 'off'")
    opened.click("#delete")
    eventually(lambda: mesh[1].do("EXISTS", "flags:new-ui") == 0, "another node has lost the key")


def test_an_invitation_with_its_code(opened: Browser, mesh: Mesh) -> None:
    show(opened, "trust")
    opened.click("#invite button")
    shown = opened.until("document.querySelector('#invitation code')?.innerText")
    token = shown.split()[-1]
    assert opened.value("document.querySelector('#invitation img').naturalWidth") > 100
    newcomer = mesh.new("guest")
    newcomer.must("join", token, "--name", "guest", mesh[0].address)
    mesh.daemons.pop()


def test_the_keyboard_reaches_everything(opened: Browser) -> None:
    show(opened, "members")
    opened.value("document.querySelector('.skip').focus()")
    seen = [opened.value("document.activeElement.innerText")]
    for _ in range(11):
        opened.press("Tab")
        seen.append(opened.value("document.activeElement.innerText || document.activeElement.id"))
    assert seen[0] == "Skip to the content"
    assert seen[1:6] == ["Members", "Mesh", "Events", "State", "Trust"]
    assert "member-filter" in seen
    opened.value("document.querySelector('nav [data-view=mesh]').focus()")
    opened.press("Enter")
    opened.until("!document.getElementById('view-mesh').hidden")


def test_everything_has_a_name_for_screen_readers(opened: Browser) -> None:
    for view in ("members", "mesh", "events", "state", "trust"):
        show(opened, view)
        nodes = opened.ask("Accessibility.getFullAXTree")["nodes"]
        nameless = [
            node
            for node in nodes
            if not node.get("ignored")
            and node.get("role", {}).get("value")
            in ("button", "link", "textbox", "searchbox", "combobox", "image", "img")
            and not node.get("name", {}).get("value")
        ]
        assert nameless == [], view


def luminance(colour: str) -> float:
    """WCAG 2.1's relative luminance of ``rgb(r, g, b)``."""
    parts = [int(part) / 255 for part in colour[4:-1].split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_contrast_in_both_themes(opened: Browser, dark: bool) -> None:
    """At least 4.5 to 1: WCAG 2.1, success criterion 1.4.3."""
    opened.size(1280, 800, dark=dark)
    for name in ("ink", "soft", "good", "warn", "bad", "link"):
        pair = opened.value(
            "(() => { const p = document.createElement('p'); document.body.append(p);"
            f"p.style.color = 'var(--{name})'; p.style.background = 'var(--ground)';"
            "const s = getComputedStyle(p), r = [s.color, s.backgroundColor];"
            "p.remove(); return r })()"
        )
        high, low = sorted(map(luminance, pair), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (name, dark)


@pytest.mark.parametrize("view", ["members", "mesh", "events", "state", "trust"])
def test_it_fits_a_telephone_and_a_desk(opened: Browser, view: str, tmp_path: Path) -> None:
    folder = Path(os.environ.get("GOSSIPNET_PICTURES", tmp_path))
    for width, height, dark in ((1280, 800, False), (390, 844, True)):
        opened.size(width, height, dark=dark)
        show(opened, view)
        if view == "state":
            opened.value("location.hash = '#/state/user:1'")
            opened.until("document.querySelector('#key h3')?.innerText === 'user:1'")
        wide = opened.value("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{view} is {wide} pixels too wide at {width}"
        name = f"web-{view}-{'dark' if dark else 'light'}.png"
        assert opened.picture(folder / name).startswith(b"\x89PNG")
