"""What is known of the containers of a workload before it is said where they run: names and times."""

import math

from infermesh.description.place import Duty, Reach
from infermesh.description.workload import Container, Workload


class _Anywhere:
    """Some place: names, and how long something takes to end, are the same at all of them."""

    identity = None
    is_private = False
    duties: frozenset[Duty] = frozenset()

    def __init__(self, workload: Workload) -> None:
        self._workload = workload

    def listen(self, port: str) -> str:
        return f"127.0.0.1:{self.number(port)}"

    def number(self, port: str) -> int:
        return self._workload.port(port).number

    def reach(self, workload: str, port: str) -> Reach:
        return Reach(dns=f"{workload}.{port}:1")

    def path(self, given: str) -> str:
        return given

    def file(self, name: str) -> str:
        return name


def first_container(workload: Workload) -> Container:
    """The main one; only what does not depend on the place is to be read of it."""
    return workload.containers(_Anywhere(workload))[0]


def grace_seconds(workload: Workload) -> int:
    """Seconds until the last of its containers has ended, the one after the other."""
    containers = workload.containers(_Anywhere(workload))
    return math.ceil(sum(container.grace.total_seconds() for container in containers))
