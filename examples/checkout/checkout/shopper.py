"""Places orders with a shop, or with what stands before it, and tells what became of them."""

import argparse
import http.client
import json
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from checkout.data import Document, Orders, generate
from checkout.outcome import Answer, Outcome, compared

ORDER_SECONDS = 10.0
CALLERS = 4

#: Orders that are neither in the training nor in the test of the model.
SEED = 9
ORDERS = 600


def shop_for(name: str, url: str, orders: Orders) -> Outcome:
    """Place every order once, from several callers at once.

    An order that is not taken is an outcome too. Raises ValueError if ``url`` is not http://HOST[:PORT].
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None or parts.path.strip("/"):
        raise ValueError(f"found '{url}' as the address of the shop, expected http://HOST[:PORT]")
    host, port = parts.hostname, parts.port or 80
    answers: dict[int, Answer] = {}

    def call(turns: Iterable[int]) -> None:
        with closing(http.client.HTTPConnection(host, port, timeout=ORDER_SECONDS)) as connection:
            for turn in turns:
                answers[turn] = _place(connection, orders.documents[turn])

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(call, (range(first, len(orders), CALLERS) for first in range(CALLERS))))
    return Outcome(name, orders, [answers[turn] for turn in range(len(orders))])


def _place(connection: http.client.HTTPConnection, document: Document) -> Answer:
    body = json.dumps(document).encode()
    sent = time.monotonic()
    try:
        connection.request("POST", "/orders", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        said = response.read()
    except (OSError, http.client.HTTPException) as error:
        # The next order gets a connection that nothing of this one is left on.
        connection.close()
        return Answer(None, None, time.monotonic() - sent, f"{type(error).__name__}: {error}")
    seconds = time.monotonic() - sent
    if response.status != http.client.CREATED:
        problem = f"answered {response.status}: {said[:200].decode(errors='replace')}"
        return Answer(None, None, seconds, problem)
    answer = json.loads(said)
    return Answer(answer["status"], answer["risk"], seconds)


def table(outcomes: Sequence[Outcome]) -> Table:
    """Return the figures side by side, for a terminal."""
    made = Table("", *(outcome.name for outcome in outcomes), box=None, pad_edge=False, header_style="bold")
    for name, figures in compared(outcomes):
        made.add_row(name, *figures)
    return made


def main() -> None:
    """Place orders with a shop that runs; exit code 1 if one was not taken."""
    parser = argparse.ArgumentParser(
        description="Place invented orders with a shop and tell what became of them."
    )
    parser.add_argument(
        "url", help="where the shop, or what stands before it, takes orders: http://HOST[:PORT]"
    )
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"how many (default: {ORDERS})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"which ones (default: {SEED})")
    arguments = parser.parse_args()
    try:
        outcome = shop_for(arguments.url, arguments.url, generate(arguments.orders, arguments.seed))
    except ValueError as error:
        parser.error(str(error))
    Console().print(table([outcome]))
    if outcome.problems:
        print(
            f"Failed: {len(outcome.problems)} orders were not taken, one {outcome.problems[0]}",
            file=sys.stderr,
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
