"""Opens pages in a real browser, which has no screen and no network."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "chromium"
NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Opened:
    """What became of a page: its document after all scripts have run, and what they wrote to the console."""

    document: str
    console: list[str]


def find() -> str:
    """The path of the browser; installs Debian's package when this is root and there is none.

    Raises RuntimeError when there is none and none could be installed.
    """
    found = _installed()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get") is not None:
        # A fresh machine may know no packages yet.
        subprocess.run(["apt-get", "update"], check=False, capture_output=True)
        subprocess.run(
            ["apt-get", "install", "-y", "--no-install-recommends", PACKAGE], check=False, capture_output=True
        )
        found = _installed()
    if found is None:
        raise RuntimeError(
            f"none of {', '.join(NAMES)} is there: install one with `apt-get install {PACKAGE}`"
        )
    return found


def open_page(browser: str, page: Path, profile: Path, *, fragment: str = "", seconds: float = 60) -> Opened:
    """The page as it is when its scripts have nothing more to do, with `#fragment` at the end of its address.

    Files may read other files, so that a page of a test can look into a frame. No name is resolved.
    """
    done = subprocess.run(
        [
            browser,
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
            *("--allow-file-access-from-files", "--host-resolver-rules=MAP * ~NOTFOUND"),
            # The page's clock runs ahead while it waits: that costs no time.
            *("--virtual-time-budget=20000", "--enable-logging=stderr", "--dump-dom"),
            f"--user-data-dir={profile}",
            f"{page.as_uri()}{'#' if fragment else ''}{fragment}",
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Opened(done.stdout, console)


def _installed() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)
