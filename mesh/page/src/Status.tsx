/** What is wrong, if anything is: said once above all else, and to those who hear the page. */

import { share, tone } from "./format";
import type { Live } from "./live";
import { isReady, shown, type Overview } from "./overview";

/** More than these are counted. */
const LISTED = 5;

export function Status({ live: { overview, isConnected, staleFor } }: { live: Live }) {
  if (overview === null) {
    return isConnected || staleFor === null ? (
      <Banner tone="idle" title="Waiting for the first look" />
    ) : (
      <Banner tone="bad" title="Nobody answers" isQuiet>
        <p>Nothing has come for {staleFor} s. It is looked for again and again.</p>
      </Banner>
    );
  }
  return (
    <>
      {staleFor !== null && (
        <Banner tone="warn" title="What is shown is old" isQuiet>
          <p>
            No news for {staleFor} s.{" "}
            {isConnected
              ? "Nobody looks at what goes on."
              : "The connection is gone, and is tried again and again."}{" "}
            {overview.at !== null && `It was so at ${clock(overview.at)}.`}
          </p>
        </Banner>
      )}
      <State overview={overview} />
    </>
  );
}

function State({ overview }: { overview: Overview }) {
  if (overview.at === null) return <Banner tone="idle" title="Waiting for the first look" />;
  if (overview.workloads.length === 0) {
    return (
      <Banner tone="idle" title="Nothing runs in this mesh">
        <p>Its mesh.yaml has no models, servers or apps.</p>
      </Banner>
    );
  }
  const found = problems(overview);
  if (found.length === 0) return <Banner tone="good" title="All is well" />;
  const { ready, instances } = overview.totals;
  const title = ready === 0 ? "Nothing is ready" : ready < instances ? "Not all is ready" : "All is ready, not all is well";
  return (
    <Banner tone={ready === 0 ? "bad" : "warn"} title={title}>
      <ul>
        {found.slice(0, LISTED).map((it) => (
          <li key={it}>{it}</li>
        ))}
        {found.length > LISTED && <li>and {found.length - LISTED} more, see below</li>}
      </ul>
    </Banner>
  );
}

function problems(overview: Overview): string[] {
  const instances = overview.workloads
    .flatMap((it) => it.instances)
    .filter((it) => it.state !== "ready")
    .map((it) => `${it.name}: ${it.state}${it.problem ? `, ${it.problem}` : ""}`);
  const models = overview.workloads.flatMap((workload) =>
    workload.models
      .filter((it) => !isReady(it))
      .map((it) => `model ${it.name} of ${workload.name}: ${it.state}${it.reason ? `, ${it.reason}` : ""}`),
  );
  const breakers = overview.edges.flatMap((edge) =>
    edge.endpoints
      .filter((it) => it.breaker === "open")
      .map((it) => `${it.seen_by} leaves ${edge.target} at ${it.address} alone: its breaker is open`),
  );
  const calls = overview.edges
    .filter((it) => tone(it.traffic) === "bad")
    .map((it) => `${shown(it.source)} to ${it.target}: only ${share(it.traffic.success)} of requests succeed`);
  return [...instances, ...breakers, ...calls, ...models];
}

interface BannerProps {
  tone: string;
  title: string;
  /** Only the title is read aloud: the rest changes every second. */
  isQuiet?: boolean;
  children?: React.ReactNode;
}

function Banner({ tone: how, title, isQuiet = false, children }: BannerProps) {
  return (
    <section className="banner" data-tone={how} {...(isQuiet ? {} : { role: "status" })}>
      <h2 {...(isQuiet ? { "aria-live": "polite" } : {})}>{title}</h2>
      {children}
    </section>
  );
}

const clock = (at: number): string => new Date(at * 1000).toLocaleTimeString();
