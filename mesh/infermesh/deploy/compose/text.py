"""Values as Compose writes them."""

from datetime import timedelta
from decimal import ROUND_CEILING, Decimal

#: Compose's units, the largest first.
_SIZES = {"g": 2**30, "m": 2**20, "k": 2**10, "b": 1}


def literal(text: str) -> str:
    """Text in which Compose sees no variables."""
    return text.replace("$", "$$")


def size(count: int) -> str:
    """Bytes, in the largest unit in which they are a whole number."""
    unit = next(unit for unit, one in _SIZES.items() if count % one == 0)
    return f"{count // _SIZES[unit]}{unit}"


def seconds(time: timedelta) -> str:
    """A time, in whole seconds that are not less."""
    return f"{int(Decimal(str(time.total_seconds())).to_integral_value(ROUND_CEILING))}s"


def shares(cores: str) -> int:
    """The weight of so many cores, as Kubernetes writes them, where cores are short: 1024 for one."""
    count = Decimal(cores[:-1]) / 1000 if cores.endswith("m") else Decimal(cores)
    return max(2, int(count * 1024))
