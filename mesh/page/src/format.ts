/** Numbers as people read them. */

import { isReady, type Model, type State, type Traffic } from "./overview";

export const NOTHING = "–";

const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? trimmed(value.toFixed(1)) : trimmed(value.toFixed(2));

const trimmed = (text: string): string => text.replace(/\.?0+$/, "");

export const count = (value: number): string =>
  value >= 1e6 ? `${digits(value / 1e6)} M` : value >= 1e4 ? `${digits(value / 1e3)} k` : digits(value);

export const rate = (value: number | null): string => (value === null ? NOTHING : `${count(value)}/s`);

/** Rounded down: what is not all is never shown as 100 %. */
export const share = (value: number | null): string =>
  value === null ? NOTHING : `${trimmed((Math.floor(value * 1e4 + 1e-6) / 100).toFixed(2))} %`;

export const duration = (ms: number | null): string =>
  ms === null ? NOTHING : ms >= 1000 ? `${digits(ms / 1000)} s` : `${digits(ms)} ms`;

export const of = (some: number, all: number): string => (some === all ? `${all}` : `${some} of ${all}`);

export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${value} ${value === 1 ? one : many}`;

/** How well requests do: what colours stand for. */
export type Tone = "good" | "warn" | "bad" | "idle";

export const tone = (traffic: Traffic): Tone =>
  traffic.success === null
    ? "idle"
    : traffic.success >= 0.995
      ? "good"
      : traffic.success >= 0.95
        ? "warn"
        : "bad";

export const toneOf = (state: State): Tone =>
  state === "ready" ? "good" : BAD.has(state) ? "bad" : "warn";

const BAD: ReadonlySet<State> = new Set<State>(["silent", "restarting", "ended"]);

/** Some instances may have it, and others not. */
export const toneOfModel = (model: Model): Tone =>
  isReady(model) ? "good" : model.state.startsWith("READY") ? "warn" : "bad";

/** A sentence for those who hear it. */
export const spoken = (traffic: Traffic): string =>
  traffic.rate === null
    ? "nothing is known of its requests"
    : traffic.success === null
      ? "no requests"
      : `${count(traffic.rate)} requests a second, ${share(traffic.success)} succeed, ` +
        `99th percentile ${duration(traffic.p99_ms)}`;
