"""The console below a path that a proxy gives it, in a frame of the proxy's page: Home Assistant's
ingress."""

from pathlib import Path

import pytest
import requests
from playwright.sync_api import expect

from demo.scenes import Scene
from demo.stream import Camera
from ostiary.errors import ConfigError
from ostiary.http.place import check_place
from ostiary.vision.engine import VisionEngine
from testing.console import PASSWORD, ConsoleDoor, console_settings
from testing.prefix_proxy import PREFIX, PrefixProxy
from tests.e2e.browsing import Open, shoot, take_the_picture
from tests.e2e.test_console import PAGES


def test_it_works_below_a_path_in_a_frame_of_the_proxys_page(
    tmp_path: Path, engine: VisionEngine, scenes: dict[str, Scene], visit: Open
) -> None:
    settings = console_settings(tmp_path, http={"proxy": "127.0.0.1"})
    page = visit()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url.replace("ws", "http", 1)))
    with (
        Camera(scenes["registered"]) as camera,
        ConsoleDoor(settings, engine, camera.url) as door,
        PrefixProxy(settings.http.port) as proxy,
    ):
        page.goto(proxy.url)
        frame = page.frame_locator("iframe")
        frame.get_by_label("Set-up code").fill(door.set_up_code or "")
        frame.get_by_label("Your name").fill("anna")
        frame.get_by_label("Password", exact=True).fill(PASSWORD)
        frame.get_by_label("Password again").fill(PASSWORD)
        frame.get_by_label("Password again").press("Enter")
        expect(frame.locator(".curtain")).to_be_hidden()  # pictures come
        frame.get_by_role("link", name="People", exact=True).click()
        expect(frame.get_by_role("heading", name="People", level=1)).to_be_visible()
        frame.get_by_role("link", name="Enrol", exact=True).first.click()
        expect(frame.locator(".curtain")).to_be_hidden()
        frame.get_by_label("Name").fill("张三")
        expect(frame.locator("#guidance")).to_have_text("Good: hold still")
        take_the_picture(frame, "is registered")
        shoot(page, "proxied")
        (cookie,) = (each for each in page.context.cookies() if each["name"] == "ostiary")
        assert cookie["path"] == PREFIX, "other pages of the proxy do not get it"

        for path in (*PAGES, "no-such-page"):
            page.goto(f"{proxy.url}{PREFIX}/{path}")
            links = page.locator("a[href]").evaluate_all("links => links.map((each) => each.href)")
            asked += [link for link in links if link.startswith("http")]
        page.get_by_role("button", name="中文").click()
        page.get_by_role("button", name="退出").click()
        expect(page).to_have_url(f"{proxy.url}{PREFIX}/sign-in")
    assert [url for url in asked[1:] if not url.startswith(f"{proxy.url}{PREFIX}/")] == []


def test_nobody_but_the_proxy_is_answered(tmp_path: Path, engine: VisionEngine) -> None:
    settings = console_settings(tmp_path, http={"proxy": "172.30.32.2"})
    with ConsoleDoor(settings, engine) as door:
        answer = requests.get(f"{door.url}/sign-in")
    assert answer.status_code == 403
    assert "172.30.32.2" in answer.json()["detail"]


def test_without_a_proxy_the_network_is_not_served_in_the_plain(tmp_path: Path) -> None:
    check_place(console_settings(tmp_path, http={"host": "0.0.0.0", "proxy": "172.30.32.2"}).http)
    with pytest.raises(ConfigError, match="only loopback is served without TLS"):
        check_place(console_settings(tmp_path, http={"host": "0.0.0.0"}).http)
