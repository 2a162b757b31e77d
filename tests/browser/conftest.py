"""A real browser: Chromium, as the system has it, driven by Playwright."""

import shutil

import pytest

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required", "--mute-audio",
)  # fmt: skip


@pytest.fixture(scope="session")
def chromium():
    """The browser; tests are skipped where there is none."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: pip install playwright"
    )
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("No Chromium: 'sudo apt-get install chromium' provides it.")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS), timeout=120_000)
        yield browser
        browser.close()
