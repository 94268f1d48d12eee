"""Asks everybody once a second, and has the picture of it ready.

Who has answers of his own, as a sidecar of itself, `take`s them, and needs nothing of a client of HTTP.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infermesh.overview import servers, sidecars
from infermesh.overview.answer import Answer
from infermesh.overview.increases import Grown, Increases
from infermesh.overview.targets import InstanceState, Target
from infermesh.overview.traffic import Part, traffic
from infermesh.overview.view import (
    CALLERS,
    Edge,
    History,
    Instance,
    Model,
    Overview,
    Scope,
    State,
    Totals,
    Traffic,
    Workload,
)

EVERY_SECONDS = 1.0
#: Values that are kept of the past.
KEPT = 60


@dataclass
class _Known:
    """What is remembered of one instance."""

    increases: Increases = field(default_factory=Increases)
    answer: Answer = field(default_factory=lambda: Answer(silence="not asked yet"))
    grown: Grown = field(default_factory=Grown)


class Collector:
    """Keeps an overview of the instances that `targets` names, `states` being known of their processes."""

    def __init__(
        self,
        targets: Callable[[], Sequence[Target]],
        states: Callable[[], Mapping[str, InstanceState]] = dict,
        *,
        name: str = "mesh",
        environment: str | None = None,
        scope: Scope = "mesh",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`states` is by instance, and need not know all of them."""
        self._targets = targets
        self._states = states
        self._name = name
        self._environment = environment
        self._scope = scope
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._past: dict[Any, deque[Traffic]] = {}
        self.overview = self._overview(None, (), (), Totals(Traffic(), 0, 0, 0, 0, 0, 0, History()))

    async def run(self) -> None:
        """Keep the overview new until this is cancelled."""
        import asyncio

        while True:
            began = self._clock()
            await self.once()
            await asyncio.sleep(max(EVERY_SECONDS - (self._clock() - began), 0.0))

    async def once(self) -> Overview:
        """Ask everybody at the same time, and return the new overview, within a second."""
        from infermesh.overview.ask import ask_all

        targets = self._targets()
        return self.take(targets, await ask_all(targets))

    def take(self, targets: Sequence[Target], answers: Sequence[Answer]) -> Overview:
        """Make the overview of what was answered, one answer for each target."""
        now = self._clock()
        self._known = {it.instance: self._known.get(it.instance) or _Known() for it in targets}
        for target, answer in zip(targets, answers, strict=True):
            known = self._known[target.instance]
            known.answer = answer
            if answer.silence is None:
                known.increases.add(now, answer.samples)
            known.grown = known.increases.over_window(now)
        past, self._past = self._past, {}
        self.overview = self._picture(targets, past)
        return self.overview

    def _picture(self, targets: Sequence[Target], past: Mapping[Any, deque[Traffic]]) -> Overview:
        groups: dict[str, list[Target]] = {}
        for target in targets:
            groups.setdefault(target.workload, []).append(target)
        states = self._states()
        workloads = [
            Workload(
                name=name,
                kind=of_workload[0].kind,
                instances=[self._instance(it, states.get(it.instance)) for it in of_workload],
                models=self._models(name, of_workload, past),
            )
            for name, of_workload in groups.items()
        ]
        edges = [
            edge for name, of_workload in groups.items() for edge in self._edges(name, of_workload, past)
        ]
        totals = self._totals(workloads, edges, targets, past)
        return self._overview(time.time(), workloads, edges, totals)

    def _overview(
        self, at: float | None, workloads: Sequence[Workload], edges: Sequence[Edge], totals: Totals
    ) -> Overview:
        return Overview(self._name, self._environment, at, workloads, edges, totals, self._scope)

    def _instance(self, target: Target, process: InstanceState | None) -> Instance:
        answer = self._known[target.instance].answer
        process = process or InstanceState("running")
        state: State
        if process.state != "running" and process.state != "unready":
            state, problem = process.state, process.problem
        elif answer.silence is not None:
            state, problem = "silent", answer.silence
        elif answer.unready is not None:
            state, problem = "unready", answer.unready
        elif process.state == "unready":
            state, problem = "unready", process.problem
        else:
            state, problem = "ready", None
        found = traffic(self._came_to(target))
        return Instance(target.instance, state, process.restarts, target.address, problem, found)

    def _came_to(self, target: Target) -> Sequence[Part]:
        known = self._known[target.instance]
        if target.admin is not None:
            return [sidecars.inbound(known.grown)]
        return [servers.part(known.grown, seen.name, seen.version) for seen in known.answer.models]

    def _models(
        self, workload: str, targets: Sequence[Target], past: Mapping[Any, deque[Traffic]]
    ) -> Sequence[Model]:
        known = [self._known[it.instance] for it in targets]
        by_instance = [{(seen.name, seen.version): seen for seen in it.answer.models} for it in known]
        keys = {key: None for of_instance in by_instance for key in of_instance}
        there = {name for name, _ in keys}
        keys |= {(name, ""): None for it in targets for name in it.models if name not in there}
        grown = [it.grown for it in known]
        models = []
        for name, version in sorted(keys):
            state, reason = servers.state([of_instance.get((name, version)) for of_instance in by_instance])
            found = traffic([servers.part(it, name, version) for it in grown])
            models.append(
                Model(
                    name=name,
                    version=version,
                    state=state,
                    reason=reason,
                    traffic=found,
                    queue_ms=servers.queue_ms(grown, name, version),
                    pending=servers.pending([it.answer.samples for it in known], name, version),
                    batches=servers.batches(grown, name, version),
                    history=self._history(("model", workload, name, version), found, past),
                )
            )
        return models

    def _edges(
        self, workload: str, targets: Sequence[Target], past: Mapping[Any, deque[Traffic]]
    ) -> Sequence[Edge]:
        """Into an app from outside, and out of it to each that it calls."""
        targets = [it for it in targets if it.admin is not None]
        if not targets:
            return []
        known = [self._known[it.instance] for it in targets]
        told = [(it.grown, it.answer.routes) for it in known]
        found = traffic([sidecars.inbound(it.grown) for it in known])
        edges = [
            Edge(
                source=CALLERS,
                target=workload,
                traffic=found,
                retries=sidecars.retries(told, {"listener": sidecars.INBOUND}),
                breaker=None,
                endpoints=[],
                history=self._history((CALLERS, workload), found, past),
            )
        ]
        for called in dict.fromkeys(name for it in targets for name in it.calls):
            found = traffic([sidecars.outbound(it.grown, called) for it in known])
            endpoints = [
                seen.by(target.instance)
                for target, it in zip(targets, known, strict=True)
                for seen in it.answer.endpoints
                if seen.cluster == called
            ]
            edges.append(
                Edge(
                    source=workload,
                    target=called,
                    traffic=found,
                    retries=sidecars.retries(told, {"cluster": called}),
                    breaker=sidecars.worst(endpoints),
                    endpoints=endpoints,
                    history=self._history((workload, called), found, past),
                )
            )
        return edges

    def _totals(
        self,
        workloads: Sequence[Workload],
        edges: Sequence[Edge],
        targets: Sequence[Target],
        past: Mapping[Any, deque[Traffic]],
    ) -> Totals:
        instances = [it for workload in workloads for it in workload.instances]
        models = [it for workload in workloads for it in workload.models]
        found = traffic(self._from_outside(targets))
        return Totals(
            traffic=found,
            instances=len(instances),
            ready=sum(it.state == "ready" for it in instances),
            restarts=sum(it.restarts for it in instances),
            models=len(models),
            models_ready=sum(it.is_ready for it in models),
            breakers_open=sum(it.breaker == "open" for edge in edges for it in edge.endpoints),
            history=self._history("totals", found, past),
        )

    def _from_outside(self, targets: Sequence[Target]) -> Sequence[Part]:
        apps = [it for it in targets if it.admin is not None]
        return [part for it in apps or targets for part in self._came_to(it)]

    def _history(self, key: Any, found: Traffic, past: Mapping[Any, deque[Traffic]]) -> History:
        kept = past.get(key) or deque(maxlen=KEPT)
        kept.append(found)
        self._past[key] = kept
        if not any(it.rate for it in kept):
            return History()
        return History([it.rate for it in kept], [it.p99_ms for it in kept])
