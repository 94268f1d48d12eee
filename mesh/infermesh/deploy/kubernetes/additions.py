"""What is rendered beside the core, in objects of other projects; each is a function in a file of its own."""

from collections.abc import Callable, Iterator, Sequence

from infermesh.deploy.kubernetes import autoscaling
from infermesh.deploy.kubernetes.objects import Object
from infermesh.description.read import Description
from infermesh.description.workload import Workload

#: Of one workload: its objects stand in the workload's file.
OF_A_WORKLOAD: Sequence[Callable[[Workload, str], Iterator[Object]]] = (autoscaling.objects,)

#: Of the mesh as a whole, by the file that its objects stand in.
OF_THE_MESH: dict[str, Callable[[Description, str], Iterator[Object]]] = {}
