/** What stands in a node and on an edge, and how it is read aloud. */

import { Sparkline } from "./Sparkline";
import { duration, of, plural, rate, share, spoken, tone, toneOf, toneOfModel, type Tone } from "./format";
import type { Call, Item } from "./graph";
import { CALLERS, isReady, shown, type Endpoint, type Model, type Workload } from "./overview";

export function ItemContent({ item }: { item: Item }) {
  const { name, note, tone: how } = described(item);
  const history = item.kind === "model" ? item.model.history : item.kind === "more" ? null : item.history;
  return (
    <>
      <strong>
        <span className="dot" data-tone={how} />
        {name}
      </strong>
      <span className="soft">{note}</span>
      {history !== null && <Sparkline values={history.rate} unit={null} />}
    </>
  );
}

export function itemLabel(item: Item): string {
  const { name, note } = described(item);
  const kind = item.kind === "workload" ? item.workload.kind : item.kind === "model" ? "model" : item.kind === "called" ? "service" : "";
  const requests = item.kind === "model" ? `, ${spoken(item.model.traffic)}` : "";
  return `${kind} ${name}: ${note}${requests}`.trim();
}

interface Described {
  name: string;
  note: string;
  tone: Tone;
}

export function described(item: Item): Described {
  switch (item.kind) {
    case "callers":
      return { name: shown(CALLERS), note: item.note, tone: "idle" };
    case "called":
      return { name: item.id, note: noteOfCalled(item.endpoints), tone: toneOfCalled(item.endpoints) };
    case "workload":
      return { name: item.workload.name, note: noteOf(item.workload), tone: toneOfWorkload(item.workload) };
    case "model":
      return { name: nameOf(item.model), note: noteOfModel(item.model), tone: toneOfModel(item.model) };
    case "more":
      return {
        name: plural(item.models.length, "more model"),
        note: `${of(item.models.filter(isReady).length, item.models.length)} ready`,
        tone: item.models.every(isReady) ? "good" : "bad",
      };
  }
}

export const nameOf = (model: Model): string => (model.version ? `${model.name} · v${model.version}` : model.name);

function noteOf(workload: Workload): string {
  const what = workload.kind === "app" ? "app and sidecar" : workload.kind;
  const ready = workload.instances.filter((it) => it.state === "ready").length;
  return `${what}, ${of(ready, workload.instances.length)} ready`;
}

function noteOfCalled(endpoints: Endpoint[]): string {
  if (endpoints.length === 0) return "seen from here, no endpoint";
  const available = endpoints.filter((it) => it.is_available).length;
  return `seen from here, ${of(available, endpoints.length)} up`;
}

/** An endpoint that is left alone is what its callers think of it. */
function toneOfCalled(endpoints: Endpoint[]): Tone {
  if (endpoints.length === 0) return "idle";
  return endpoints.every((it) => it.is_available) ? "good" : endpoints.some((it) => it.is_available) ? "warn" : "bad";
}

function noteOfModel(model: Model): string {
  if (!isReady(model)) return model.state;
  return model.queue_ms === null ? "ready" : `ready, queue ${duration(model.queue_ms)}`;
}

function toneOfWorkload(workload: Workload): Tone {
  const tones = workload.instances.map((it) => toneOf(it.state));
  if (tones.every((it) => it === "good")) return "good";
  return tones.every((it) => it === "bad") ? "bad" : "warn";
}

export function CallContent({ call }: { call: Call }) {
  const { traffic, breaker } = call;
  return (
    <>
      <strong data-tone={tone(traffic)}>
        {rate(traffic.rate)}
        {breaker !== null && breaker !== "closed" && <Breaker state={breaker} prefix="breaker " />}
      </strong>
      <span className="soft">
        {traffic.success === null ? "no requests" : share(traffic.success)}
        {traffic.p99_ms !== null && ` · ${duration(traffic.p99_ms)}`}
      </span>
    </>
  );
}

export const breakerName = (state: string): string => state.replace("_", "-");

export function Breaker({ state, prefix = "" }: { state: string; prefix?: string }) {
  return (
    <span className="chip" data-tone={state === "open" ? "bad" : state === "closed" ? "good" : "warn"}>
      {prefix}
      {breakerName(state)}
    </span>
  );
}

export function callLabel(call: Call): string {
  const breaker = call.breaker === null ? "" : `, breaker ${breakerName(call.breaker)}`;
  const target = call.edge === null ? (call.target.split("/")[1] ?? call.target) : call.target;
  return `${shown(call.source)} to ${target}: ${spoken(call.traffic)}${breaker}`;
}
