"""A real Chromium without a window, and what its tests ask of a page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM = Path("/usr/bin/chromium")
DRIVER = Path("/usr/bin/chromedriver")
# a browser without a person: no window, no calls home
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-default-apps --disable-extensions --hide-scrollbars"
)
# says `now` after two frames in which no chart that can be seen waited to be drawn; some charts are never drawn
DRAWN = """
    const drawn = window.drawn = { now: false };
    const waits = ({ element, stale }) => {
        const { top, bottom, width, height } = element.getBoundingClientRect();
        return stale && width && height && bottom > 0 && top < innerHeight;
    };
    let frames = 0;
    const look = () => {
        drawn.now = ++frames > 50 || !window.report?.charts.some(waits);
        if (!drawn.now) frame();
    };
    const frame = () => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(look, 0)));
    frame();
"""


def missing() -> str:
    """What of the browser is not installed here; empty when all is."""
    return ", ".join(str(path) for path in (CHROMIUM, DRIVER) if not path.exists())


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """A browser with a fresh profile, which ends with the block."""
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in [*FLAGS.split(), f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = Chrome(options, Service(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """A page of `resweep report`, opened."""

    def __init__(self, driver: Chrome, path: Path, size: tuple[int, int] = (1280, 900), address: str = "") -> None:
        self.driver = driver
        self.path = path
        driver.get("about:blank")
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
        self.resize(*size)
        self.logged("performance")
        self.logged("browser")
        driver.get(path.as_uri() + address)
        self.settle()

    def logged(self, kind: str) -> list[dict[str, Any]]:
        """What the browser logged since it was asked last."""
        return list(self.driver.get_log(kind))  # type: ignore[no-untyped-call]

    def resize(self, width: int, height: int) -> None:
        """Let the window be so big, as on a phone or a desk."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefers(self, scheme: str) -> None:
        """Let the system of the person say light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a line of the page's language gives."""
        return self.driver.execute_script(script, *arguments)

    def settle(self) -> None:
        """Wait until what changed is drawn, also when the page reads itself again meanwhile."""
        while not (drawn := self.run("return window.drawn?.now ?? null")):
            if drawn is None:
                self.run(DRAWN)
            time.sleep(0.005)
        self.run("delete window.drawn")

    def element(self, selector: str) -> WebElement:
        """The first element that a selector of CSS finds."""
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that a selector finds."""
        found = self.run("return [...document.querySelectorAll(arguments[0])].map((each) => each.innerText)", selector)
        return [str(text) for text in found]

    def click(self, selector: str) -> None:
        """Click where the element is, having scrolled there."""
        self.show(selector)
        self.element(selector).click()
        self.settle()

    def show(self, selector: str) -> None:
        """Scroll to an element, and wait until charts there are drawn."""
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        self.settle()

    def drag(self, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at one place of an element, given in pixels from its corner, and let it go at another."""
        self.show(selector)
        box = self.run(
            "const b = document.querySelector(arguments[0]).getBoundingClientRect(); return [b.x, b.y]", selector
        )
        chain = ActionChains(self.driver, duration=40)
        mouse = chain.w3c_actions.pointer_action
        mouse.move_to_location(int(box[0] + start[0]), int(box[1] + start[1]))
        mouse.pointer_down()
        for step in (0.3, 0.7, 1.0):
            x, y = (box[axis] + start[axis] + (end[axis] - start[axis]) * step for axis in (0, 1))
            mouse.move_to_location(int(x), int(y))
        mouse.pointer_up()
        chain.perform()
        self.settle()

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()
        self.settle()

    def selected(self) -> list[int]:
        """The runs that the filter lets through, by their places."""
        return list(self.run("return report.selected()"))

    def filters(self) -> dict[str, Any]:
        """What is filtered, by column."""
        return dict(self.run("return report.state.filters"))

    def data(self) -> dict[str, Any]:
        """What the page draws from."""
        found: dict[str, Any] = json.loads(self.run("return document.getElementById('data').textContent"))
        return found

    def chart_runs(self, selector: str, prefix: str) -> int:
        """How many points or lines a chart draws in its series of these names."""
        script = """
            const chart = report.charts.find((each) => each.element === document.querySelector(arguments[0]));
            return chart.instance.getOption().series.filter((each) => each.id.startsWith(arguments[1]))
              .reduce((sum, each) => sum + each.data.length, 0)"""
        return int(self.run(script, selector, prefix))

    def complaints(self) -> list[str]:
        """What the browser complained of: errors of scripts, and what the content policy forbade."""
        return [str(entry["message"]) for entry in self.logged("browser") if entry["level"] != "INFO"]

    def blocked(self) -> int:
        """How many requests the content policy stopped before they left."""
        events = [json.loads(str(entry["message"]))["message"] for entry in self.logged("performance")]
        return sum(each["params"].get("blockedReason") == "csp" for each in events if "Failed" in each["method"])

    def requested(self) -> list[str]:
        """Every address that was asked for since the page was opened."""
        events = [json.loads(str(entry["message"]))["message"] for entry in self.logged("performance")]
        return [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
