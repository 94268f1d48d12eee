/** All that is known of what was chosen. */

import { useEffect, useRef } from "react";
import { Batches } from "./Batches";
import { Breaker, described, nameOf } from "./Content";
import { Sparkline } from "./Sparkline";
import { duration, rate, share } from "./format";
import { modelId, type Call, type Graph, type Item } from "./graph";
import { Endpoints, Instances, Models } from "./Tables";
import { shown, type History, type Model, type Overview, type Scope, type Traffic } from "./overview";

interface Props {
  overview: Overview;
  graph: Graph;
  id: string;
  open: (id: string) => void;
  close: () => void;
}

export function Panel({ overview, graph, id, open, close }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const item = graph.items.find((it) => it.id === id) ?? hidden(overview, id);
  const call = graph.calls.find((it) => it.id === id);
  return (
    <aside className="panel card" aria-labelledby="panel-name">
      <div className="bar">
        <h2 id="panel-name" ref={heading} tabIndex={-1}>
          {item ? described(item).name : call ? callName(call) : "It is gone"}
        </h2>
        <button type="button" onClick={close}>
          Close
        </button>
      </div>
      {item ? (
        <ItemDetails item={item} scope={overview.scope} open={open} />
      ) : call ? (
        <CallDetails call={call} />
      ) : (
        <p>What was chosen is no longer there.</p>
      )}
    </aside>
  );
}

/** A model that has no node of its own. */
function hidden(overview: Overview, id: string): Item | undefined {
  for (const { name, models } of overview.workloads) {
    const model = models.find((it) => modelId(name, it) === id);
    if (model) return { kind: "model", id, server: name, model };
  }
  return undefined;
}

const callName = (call: Call): string =>
  `${shown(call.source)} → ${call.edge === null ? call.target.split("/").slice(1, 2).join() : call.target}`;

function ItemDetails({ item, scope, open }: { item: Item; scope: Scope; open: (id: string) => void }) {
  switch (item.kind) {
    case "callers":
      return <Minute history={item.history} />;
    case "called":
      return (
        <>
          <p className="soft">{described(item).note}</p>
          <Minute history={item.history} />
          <h3>Endpoints</h3>
          <Endpoints rows={item.endpoints} />
        </>
      );
    case "model":
      return <ModelDetails model={item.model} server={item.server} />;
    case "more":
      return <Models rows={item.models.map((model) => ({ server: item.server, model }))} open={open} />;
    case "workload":
      return (
        <>
          <p className="soft">{described(item).note}</p>
          <Minute history={item.history} />
          <h3>Instances</h3>
          <Instances rows={item.workload.instances} scope={scope} />
          {item.workload.models.length > 0 && (
            <>
              <h3>Models</h3>
              <Models rows={item.workload.models.map((model) => ({ server: item.workload.name, model }))} open={open} />
            </>
          )}
        </>
      );
  }
}

function ModelDetails({ model, server }: { model: Model; server: string }) {
  return (
    <>
      <p className="soft">
        {nameOf(model)} of {server}: {model.state}
        {model.reason && `, ${model.reason}`}
      </p>
      <Numbers traffic={model.traffic}>
        <Number name="Waiting in the queue" value={duration(model.queue_ms)} />
        <Number name="Requests that wait" value={`${model.pending}`} />
      </Numbers>
      <Minute history={model.history} />
      <h3>Rows of a batch</h3>
      <Batches batches={model.batches} />
    </>
  );
}

function CallDetails({ call }: { call: Call }) {
  const { edge } = call;
  return (
    <>
      <Numbers traffic={call.traffic}>
        {edge !== null && <Number name="Retries" value={rate(edge.retries)} />}
        {call.breaker !== null && <Number name="Breaker" value={<Breaker state={call.breaker} />} />}
      </Numbers>
      {edge !== null && <Minute history={edge.history} />}
      {edge !== null && edge.endpoints.length > 0 && (
        <>
          <h3>Endpoints</h3>
          <Endpoints rows={edge.endpoints} />
        </>
      )}
    </>
  );
}

function Numbers({ traffic, children }: { traffic: Traffic; children: React.ReactNode }) {
  return (
    <dl className="numbers">
      <Number name="Requests" value={rate(traffic.rate)} />
      <Number name="Success" value={share(traffic.success)} />
      <Number name="p50" value={duration(traffic.p50_ms)} />
      <Number name="p99" value={duration(traffic.p99_ms)} />
      {children}
    </dl>
  );
}

function Number({ name, value }: { name: string; value: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Minute({ history }: { history: History }) {
  return (
    <>
      <h3>Last minute</h3>
      <figure>
        <figcaption>Requests a second</figcaption>
        <Sparkline values={history.rate} unit="requests a second" />
      </figure>
      {history.p99_ms.some((it) => it !== null) && (
        <figure>
          <figcaption>p99 in milliseconds</figcaption>
          <Sparkline values={history.p99_ms} unit="milliseconds" />
        </figure>
      )}
    </>
  );
}
