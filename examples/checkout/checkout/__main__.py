"""Tells the story in one command: ``python -m checkout``, and ``python -m checkout --with-sidecar``.

Ends with 0 only if every order was taken and, with the sidecar, scored as the model scores it.
"""

import argparse
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from rich.console import Console

from checkout.processes import ProcessFailed
from checkout.shopper import ORDERS
from checkout.story import MESH, run


def main() -> None:
    """Run the story; exit code 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(
        prog="python -m checkout",
        description="A shop that knows nothing of models, alone and with a sidecar.",
    )
    parser.add_argument(
        "--with-sidecar",
        action="store_true",
        help="place the orders again, with the shop in a mesh",
    )
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"how many orders (default: {ORDERS})")
    parser.add_argument(
        "--out", type=Path, default=Path("out/checkout"), help="folder to write to (default: out/checkout)"
    )
    parser.add_argument("--stay", action="store_true", help="leave everything running until Ctrl-C")
    arguments = parser.parse_args()
    if arguments.orders < 1:
        parser.error(f"--orders is {arguments.orders}, expected at least 1")
    # Whoever ends this process ends its children with it.
    signal.signal(signal.SIGTERM, _end)
    try:
        problems = run(
            arguments.out,
            arguments.orders,
            Console(),
            mesh=MESH if arguments.with_sidecar else None,
            afterwards=_until_interrupted if arguments.stay else lambda _: None,
        )
    except ProcessFailed as error:
        problems = [str(error)]
    except KeyboardInterrupt:
        sys.exit(130)
    for problem in problems:
        print(f"Failed: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


def _until_interrupted(port: int) -> None:
    print(f"The shop's page: http://127.0.0.1:{port} - Ctrl-C ends everything", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print()


def _end(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(143)


if __name__ == "__main__":
    main()
