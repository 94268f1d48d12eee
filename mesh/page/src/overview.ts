/** What /api/overview tells, as `infermesh.overview.view` has it. Null: there was nothing to tell it from. */

export interface Traffic {
  rate: number | null;
  success: number | null;
  p50_ms: number | null;
  p99_ms: number | null;
}

export interface History {
  rate: (number | null)[];
  p99_ms: (number | null)[];
}

export type State = "ready" | "unready" | "silent" | "waiting" | "starting" | "restarting" | "ending" | "ended";
export type Breaker = "closed" | "half_open" | "open";

export interface Instance {
  name: string;
  state: State;
  restarts: number;
  address: string | null;
  problem: string | null;
}

export interface Batches {
  rows: number | null;
  count: number;
}

export interface Model {
  name: string;
  version: string;
  state: string;
  reason: string;
  traffic: Traffic;
  queue_ms: number | null;
  pending: number;
  batches: Batches[];
  history: History;
}

export interface Workload {
  name: string;
  kind: string;
  instances: Instance[];
  models: Model[];
}

export interface Endpoint {
  seen_by: string;
  address: string;
  is_available: boolean;
  problem: string | null;
  breaker: Breaker | null;
  in_flight: number;
}

export interface Edge {
  source: string;
  target: string;
  traffic: Traffic;
  retries: number | null;
  breaker: Breaker | null;
  endpoints: Endpoint[];
  history: History;
}

export interface Totals {
  traffic: Traffic;
  instances: number;
  ready: number;
  restarts: number;
  models: number;
  models_ready: number;
  breakers_open: number;
  history: History;
}

/** All of a mesh, or what one sidecar sees. */
export type Scope = "mesh" | "sidecar";

export interface Overview {
  name: string;
  environment: string | null;
  at: number | null;
  workloads: Workload[];
  edges: Edge[];
  totals: Totals;
  scope: Scope;
}

/** The source of an edge from outside the mesh. */
export const CALLERS = "*";

export const shown = (name: string): string => (name === CALLERS ? "Callers" : name);

export const isReady = (model: Model): boolean => model.state === "READY";
