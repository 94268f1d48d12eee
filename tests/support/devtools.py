"""A real browser whose keys are pressed and whose page is asked, over Chromium's DevTools protocol."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from support import browser

#: More than anything takes that works.
SECONDS = 30.0

#: What keys are to Chromium: their codes, and the text that they type.
KEYS: Mapping[str, tuple[int, str]] = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "ArrowLeft": (37, ""),
    "ArrowUp": (38, ""),
    "ArrowRight": (39, ""),
    "ArrowDown": (40, ""),
    " ": (32, " "),
}
_SHIFT = 8

_UNTIL = """
new Promise((done, failed) => {
  const look = () => {
    const found = (%s);
    if (found) done(true);
    else if (performance.now() > end) failed(new Error(`${what}: ${document.body.innerText}`));
    else setTimeout(look, 16);
  };
  const end = performance.now() + %d;
  const what = %s;
  look();
})
"""


class Page:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._last = 0
        #: What went wrong in it, as its console has it.
        self.errors: list[str] = []

    async def tell(self, method: str, **parameters: Any) -> Any:
        """Send a command and return its result."""
        self._last += 1
        await self._socket.send_json({"id": self._last, "method": method, "params": parameters})
        while True:
            told = await self._socket.receive_json(timeout=2 * SECONDS)
            self._note(told)
            if told.get("id") == self._last:
                assert "error" not in told, told
                return told["result"]

    async def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; a promise is awaited."""
        told = await self.tell(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, expression: str) -> None:
        """Return once an expression is true."""
        await self.ask(_UNTIL % (expression, SECONDS * 1000, json.dumps(expression)))

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key, and let it go."""
        code, text = KEYS[key]
        common = {
            "key": key,
            "code": "Space" if key == " " else key,
            "windowsVirtualKeyCode": code,
            "modifiers": _SHIFT if shift else 0,
        }
        await self.tell("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        await self.tell("Input.dispatchKeyEvent", type="keyUp", **common)

    async def resize(self, width: int, height: int) -> None:
        """Give it another size, in CSS pixels."""
        await self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def prefer(self, scheme: str) -> None:
        """Let the system prefer `light` or `dark`."""
        await self.tell(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    async def screenshot(self) -> bytes:
        """What is seen, as PNG."""
        told = await self.tell("Page.captureScreenshot", format="png")
        return base64.b64decode(told["data"])

    def _note(self, told: Mapping[str, Any]) -> None:
        parameters = told.get("params", {})
        match told.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(parameters["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning"):
                self.errors.append(json.dumps(parameters["args"]))
            case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                self.errors.append(json.dumps(parameters["entry"]))


@asynccontextmanager
async def opened(url: str, profile: Path) -> AsyncIterator[Page]:
    """The page at a URL, for as long as the block lasts. No name is resolved."""
    process = await asyncio.create_subprocess_exec(
        browser.find(),
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
        *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-port=0"),
        f"--user-data-dir={profile}",
        "about:blank",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    rest = None
    try:
        port = await asyncio.wait_for(_port(process.stderr), SECONDS)
        # What it says later has to go somewhere.
        rest = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                pages = [it for it in await answer.json() if it["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Runtime", "Log", "Page"):
                    await page.tell(f"{domain}.enable")
                await page.tell("Page.navigate", url=url)
                await page.until("document.readyState === 'complete' && location.href !== 'about:blank'")
                yield page
                await page.tell("Browser.close")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if rest is not None:
            await rest


async def _port(said: asyncio.StreamReader) -> int:
    async for line in said:
        if line.startswith(b"DevTools listening on "):
            return int(line.split(b":")[2].partition(b"/")[0])
    raise AssertionError("the browser ended without a word about its port")
