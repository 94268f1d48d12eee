/** Follows /api/stream: the newest overview, and how old it is. */

import { useEffect, useRef, useState } from "react";
import type { Overview } from "./overview";

/** Without news for so long what is shown is old. */
const STALE_MS = 4000;

export interface Live {
  overview: Overview | null;
  isConnected: boolean;
  /** Seconds since the last news; null: they are new. */
  staleFor: number | null;
}

export function useLive(): Live {
  const [overview, setOverview] = useState<Overview | null>(null);
  const [isConnected, setConnected] = useState(false);
  const [staleFor, setStaleFor] = useState<number | null>(null);
  // The clock of whoever collects may be another one: only its changes say anything.
  const news = useRef<{ at: number | null; since: number }>({ at: null, since: performance.now() });

  useEffect(() => {
    const source = new EventSource("api/stream");
    source.onopen = () => setConnected(true);
    source.onerror = () => setConnected(false);
    source.onmessage = (event: MessageEvent<string>) => {
      const next = JSON.parse(event.data) as Overview;
      if (next.at !== news.current.at) news.current = { at: next.at, since: performance.now() };
      setOverview(next);
    };
    const timer = setInterval(() => {
      const age = performance.now() - news.current.since;
      setStaleFor(age > STALE_MS ? Math.round(age / 1000) : null);
    }, 500);
    return () => {
      source.close();
      clearInterval(timer);
    };
  }, []);

  return { overview, isConnected, staleFor };
}
