/** An overview as nodes and edges: callers, apps, servers, and the models of each server. */

import type { Breaker, Edge, Endpoint, History, Model, Overview, Traffic, Workload } from "./overview";
import { CALLERS } from "./overview";

/** Models of a server that have a node; the others share one. */
const MODELS_SHOWN = 6;

/** What somebody looks at. */
export type Item =
  | { kind: "callers"; id: string; note: string; history: History }
  /** Who is called, and tells nothing himself: only his callers know anything of him. */
  | { kind: "called"; id: string; endpoints: Endpoint[]; history: History }
  | { kind: "workload"; id: string; workload: Workload; history: History }
  | { kind: "model"; id: string; server: string; model: Model }
  | { kind: "more"; id: string; server: string; models: Model[] };

export interface Call {
  id: string;
  source: string;
  target: string;
  traffic: Traffic;
  breaker: Breaker | null;
  /** What the mesh says of it; null: it is inside a server. */
  edge: Edge | null;
}

export interface Graph {
  items: Item[];
  calls: Call[];
}

export const modelId = (server: string, model: Model): string => `${server}/${model.name}/${model.version}`;
export const callId = (source: string, target: string): string => `${source}>${target}`;

const NEVER: History = { rate: [], p99_ms: [] };

export function graphOf(overview: Overview): Graph {
  const into = new Map(overview.edges.filter((it) => it.source === CALLERS).map((it) => [it.target, it]));
  const note = overview.scope === "mesh" ? "from outside the mesh" : "of this app";
  const callers: Item = { kind: "callers", id: CALLERS, note, history: overview.totals.history };
  const items: Item[] = into.size > 0 ? [callers] : [];
  const calls: Call[] = overview.edges.map((edge) => ({
    id: callId(edge.source, edge.target),
    source: edge.source,
    target: edge.target,
    traffic: edge.traffic,
    breaker: edge.breaker,
    edge,
  }));
  for (const workload of overview.workloads) {
    const history = into.get(workload.name)?.history ?? together(workload.models.map((it) => it.history));
    items.push({ kind: "workload", id: workload.name, workload, history });
    for (const item of modelsOf(workload)) {
      items.push(item);
      const traffic = item.kind === "model" ? item.model.traffic : sum(item.models);
      const id = callId(workload.name, item.id);
      calls.push({ id, source: workload.name, target: item.id, traffic, breaker: null, edge: null });
    }
  }
  items.push(...calledOf(overview));
  const known = new Set(items.map((it) => it.id));
  return { items, calls: calls.filter((it) => known.has(it.source) && known.has(it.target)) };
}

function calledOf(overview: Overview): Item[] {
  const told = new Set(overview.workloads.map((it) => it.name));
  const names = new Set(overview.edges.map((it) => it.target).filter((it) => !told.has(it)));
  return [...names].map((name) => {
    const edges = overview.edges.filter((it) => it.target === name);
    const endpoints = edges.flatMap((it) => it.endpoints);
    return { kind: "called", id: name, endpoints, history: together(edges.map((it) => it.history)) };
  });
}

type OfModels = Extract<Item, { kind: "model" | "more" }>;

/** By name, so that nothing jumps about when rates change. */
function modelsOf(workload: Workload): OfModels[] {
  const server = workload.name;
  const all = workload.models;
  const shown = all.length <= MODELS_SHOWN ? all : all.slice(0, MODELS_SHOWN - 1);
  const nodes: OfModels[] = shown.map((model) => ({ kind: "model", id: modelId(server, model), server, model }));
  if (shown.length < all.length) {
    nodes.push({ kind: "more", id: `${server}/…`, server, models: all.slice(shown.length) });
  }
  return nodes;
}

function sum(models: Model[]): Traffic {
  const known = models.filter((it) => it.traffic.rate !== null);
  const rate = known.reduce((all, it) => all + (it.traffic.rate ?? 0), 0);
  const good = known.reduce((all, it) => all + (it.traffic.rate ?? 0) * (it.traffic.success ?? 0), 0);
  return {
    rate: known.length > 0 ? rate : null,
    success: rate > 0 ? good / rate : null,
    // Percentiles cannot be added.
    p50_ms: null,
    p99_ms: null,
  };
}

function together(histories: History[]): History {
  const length = Math.max(0, ...histories.map((it) => it.rate.length));
  if (length === 0) return NEVER;
  const rate = Array.from({ length }, (_, index) =>
    histories.reduce((all, it) => all + (it.rate[it.rate.length - length + index] ?? 0), 0),
  );
  return { rate, p99_ms: [] };
}
