"""The shop: an ordinary Flask application on waitress, as it was before anybody thought of a model.

It takes orders as JSON, holds back what looks risky and shows a list. Nothing in here knows of inference.
"""

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import waitress
from flask import Flask, Response, jsonify, render_template, request, url_for
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from checkout.orders import HOLD_ABOVE, Book, Order, Placed

PORT = 8070
BODY_BYTES = 64 * 1024
#: So many orders are on the page.
SHOWN = 100
#: So many things that are wrong with an order are told.
PROBLEMS = 5

STATUSES = ("accepted", "held")


def create_app(book: Book, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Flask:
    """Return the application around a book of orders."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES

    @app.get("/")
    def page() -> str:
        wanted = request.args.get("status")
        placed = book.latest()
        counts = Counter(each.order.status for each in placed)
        chosen = [each for each in placed if wanted not in STATUSES or each.order.status == wanted]
        return render_template(
            "orders.html",
            placed=chosen[:SHOWN],
            chosen=len(chosen),
            counts=[("all", len(placed)), *((status, counts[status]) for status in STATUSES)],
            wanted=wanted if wanted in STATUSES else "all",
            hold_above=HOLD_ABOVE,
        )

    @app.post("/orders")
    def place() -> tuple[Response, int, dict[str, str]]:
        order = Order.model_validate_json(request.get_data())
        placed = book.place(order, dict(request.headers), now())
        answer = {"id": placed.number, "status": order.status, "risk": order.risk}
        return jsonify(answer), 201, {"Location": url_for("show", number=placed.number)}

    @app.get("/orders/<int:number>")
    def show(number: int) -> tuple[Response, int]:
        placed = book.find(number)
        if placed is None:
            return jsonify(error=f"there is no order {number}, or no longer"), 404
        return jsonify(_as_json(placed)), 200

    @app.get("/healthz")
    def health() -> Response:
        return jsonify(status="ok")

    @app.errorhandler(ValidationError)
    def invalid(error: ValidationError) -> tuple[Response, int]:
        sentences = [_sentence(each) for each in error.errors()]
        more = [f"and {len(sentences) - PROBLEMS} more"] if len(sentences) > PROBLEMS else []
        return jsonify(error="; ".join(sentences[:PROBLEMS] + more)), 400

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=error.description), error.code or 500

    return app


def _as_json(placed: Placed) -> dict[str, Any]:
    return {
        "id": placed.number,
        "placed_at": placed.at.isoformat(),
        "status": placed.order.status,
        "order": placed.order.model_dump(mode="json", exclude=set(placed.order.model_extra or {})),
        "notes": dict(placed.notes),
    }


def _sentence(error: Any) -> str:
    """Say what is wrong with one field: where, what was expected, what was found."""
    where = ".".join(map(str, error["loc"])) or "the order"
    if error["type"] in ("missing", "json_invalid"):
        return f"{where}: {error['msg']}"
    found = repr(error["input"])
    return f"{where}: {error['msg']}, found {found if len(found) <= 80 else found[:80] + '...'}"


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    """Serve the shop until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="A shop that takes orders over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=PORT, help=f"port to listen on (default: {PORT})")
    arguments = parser.parse_args()
    # waitress answers what it has accepted and returns, as it does for Ctrl-C.
    signal.signal(signal.SIGTERM, _end)
    waitress.serve(create_app(Book()), host=arguments.host, port=arguments.port, ident="shop")


if __name__ == "__main__":
    main()
