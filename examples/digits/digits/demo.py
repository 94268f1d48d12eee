"""Trains, serves, asks and checks in one command: ``python -m digits.demo``.

Ends with 0 only if the server's answers are scikit-learn's, image by image, and name at least 95 % of the
held-out images rightly.
"""

import argparse
import asyncio
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from tritonclient.utils import InferenceServerException

from digits.load import Answers, ask
from digits.page import write_page
from digits.serve import ServerFailed, serving
from digits.train import Trained, train, write_repository

REQUIRED_ACCURACY = 0.95

#: FP32 sums in another order: what ONNX Runtime and scikit-learn may differ by in a probability.
TOLERANCE = 1e-4


def check(trained: Trained, answers: Answers) -> list[str]:
    """Return what is wrong with the answers, in sentences; nothing if they are as they should be."""
    problems = []
    if answers.mismatches:
        problems.append(f"{answers.mismatches} answers differ from what scikit-learn says")
    expected = trained.classifier.predict_proba(trained.images)
    furthest = float(np.abs(answers.probabilities - expected).max())
    if furthest > TOLERANCE:
        problems.append(f"a probability is {furthest:.2g} away from scikit-learn's, more than {TOLERANCE:g}")
    accuracy = float(np.mean(answers.labels == trained.labels))
    if accuracy < REQUIRED_ACCURACY:
        problems.append(
            f"only {accuracy:.1%} of the images were named rightly, less than {REQUIRED_ACCURACY:.0%}"
        )
    return problems


def summary(trained: Trained, answers: Answers, callers: int) -> list[str]:
    """Return what was measured, in sentences."""
    right = int(np.sum(answers.labels == trained.labels))
    total = len(trained.labels)
    quantiles = ", ".join(f"p{share} {answers.percentile(share):.2f}" for share in (50, 90, 99))
    return [
        f"Accuracy: {right / total:.1%}, {right} of {total} images the model never saw",
        f"Throughput: {answers.throughput:,.0f} requests/s, one image each, from {callers} callers in Python",
        f"Latency in ms: {quantiles}, max {answers.percentile(100):.2f}",
        batch_sizes(answers.batches),
    ]


def batch_sizes(batches: dict[int, int]) -> str:
    """Say in one sentence which batches formed, from batch size to how many of that size."""
    count = sum(batches.values())
    if not count:
        return "Batches: none reported"
    mean = sum(size * times for size, times in batches.items()) / count
    common = sorted(batches.items(), key=lambda item: -item[1])[:3]
    shares = ", ".join(f"{size} ({times / count:.0%})" for size, times in common)
    return f"Batches: {count:,}, mean size {mean:.1f}, largest {max(batches)}, most often {shares}"


async def run(folder: Path, callers: int, seconds: float, console: Console) -> list[str]:
    """Do everything once below ``folder``; returns what is wrong, if anything. Raises ServerFailed."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        step = progress.add_task("Training a 64-64-10 perceptron", total=None)
        trained = await asyncio.to_thread(train)
        repository = folder / "digits"
        write_repository(trained, repository)
        progress.update(step, description="Starting infermesh up")
        async with serving(folder) as address:
            progress.update(step, description=f"Asking grpc://{address}", total=seconds, completed=0)
            answers = await ask(
                address,
                trained.images,
                trained.classifier.predict(trained.images),
                callers=callers,
                seconds=seconds,
                progress=lambda gone: progress.update(step, completed=gone),
            )
            progress.update(step, description="Stopping the server", total=None)
    lines = summary(trained, answers, callers)
    for line in lines:
        console.print(line, highlight=False)
    page = folder / "digits.html"
    write_page(page, lines, trained.images, trained.labels, answers.labels, answers.probabilities)
    console.print(f"Every image with its answer: {page}", highlight=False, soft_wrap=True)
    return check(trained, answers)


def main() -> None:
    """Run the demo; exit code 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(description="Train, serve, ask and check handwritten digits.")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder to write to (default: out)")
    parser.add_argument("--callers", type=int, default=32, help="callers at once (default: 32)")
    parser.add_argument("--seconds", type=float, default=2.5, help="how long to ask (default: 2.5)")
    arguments = parser.parse_args()
    try:
        problems = asyncio.run(run(arguments.out, arguments.callers, arguments.seconds, Console()))
    except (ServerFailed, InferenceServerException) as error:
        problems = [str(error)]
    for problem in problems:
        print(f"Failed: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
