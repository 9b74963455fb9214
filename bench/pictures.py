"""`make pictures`: take the screenshots for the docs from the demo in `.demo/`, by Chromium and its chromedriver."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from stages.demo import DEMO
from stages.workspace import ROOT, environment

PICTURES = ROOT / "docs" / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LARGEST = 200_000
"""Largest size of a picture, in bytes."""
ANSWERED = "body:has(#history li):has(#variants:not(.busy) li)"


@contextmanager
def browser() -> Iterator[Chrome]:
    """Open a headless browser and close it afterwards."""
    options = ChromeOptions()
    options.binary_location = next(path for name in BROWSERS if (path := shutil.which(name)))
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--window-size=1100,900",
    ):
        options.add_argument(flag)
    chrome = Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield chrome
    finally:
        chrome.quit()


@contextmanager
def served(artifacts: Path) -> Iterator[str]:
    """Run `hierrec serve` and yield its address."""
    command = [sys.executable, "-m", "hierrec", "serve", "--port", "0", "--artifacts", str(artifacts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(ROOT)) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[0]
        finally:
            process.terminate()


def take(chrome: Chrome, artifacts: Path, folder: Path) -> None:
    """Write the pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    chrome.get((artifacts / "report.html").resolve().as_uri())
    for section, name in {"quality": "report", "training": "plots", "map": "map"}.items():
        chrome.execute_script(f"document.getElementById('{section}').scrollIntoView({{behavior: 'instant'}})")
        chrome.save_screenshot(str(folder / f"{name}.png"))
    with served(artifacts) as address:
        chrome.get(address)
        chrome.find_element(By.ID, "user").send_keys("1\n")
        WebDriverWait(chrome, 60).until(lambda page: page.find_elements(By.CSS_SELECTOR, ANSWERED))
        chrome.save_screenshot(str(folder / "serve.png"))


def main() -> None:
    """Take the pictures; refuse large ones."""
    with browser() as chrome:
        take(chrome, DEMO / "artifacts", PICTURES)
    for path in sorted(PICTURES.glob("*.png")):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
        if path.stat().st_size > LARGEST:
            sys.exit(f"{path} has more than {LARGEST:,} bytes")


if __name__ == "__main__":
    main()
