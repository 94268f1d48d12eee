"""Reads Prometheus' text format: the named samples as plain numbers."""

from collections.abc import Collection, Mapping

from prometheus_client.parser import text_string_to_metric_families

#: Name of a sample and its labels, sorted.
Series = tuple[str, tuple[tuple[str, str], ...]]
Samples = Mapping[Series, float]


def read(text: str, names: Collection[str]) -> Samples:
    """The named samples; one that is missing is zero. Raises ValueError if the text is none of Prometheus."""
    lines = [line for line in text.splitlines() if _is_wanted(line, names)]
    try:
        # Without the lines that give types samples keep the names that the process gave them.
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families("\n".join(lines) + "\n")
            for sample in family.samples
        }
    except (IndexError, KeyError) as error:
        raise ValueError(f"cannot be read as metrics: {error!r}") from error


def _is_wanted(line: str, names: Collection[str]) -> bool:
    """Whether it is a sample that says something: of a thousand models most have nothing but zeros."""
    name = line.partition("{")[0].partition(" ")[0]
    return name in names and (name.endswith("_bucket") or not line.endswith(" 0"))
