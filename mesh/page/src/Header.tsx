import { Sparkline } from "./Sparkline";
import { NOTHING, duration, of, rate, share, tone } from "./format";
import type { Overview } from "./overview";
import type { Theme } from "./theme";

interface Props {
  overview: Overview | null;
  theme: Theme;
  setTheme: (theme: Theme) => void;
}

export function Header({ overview, theme, setTheme }: Props) {
  return (
    <header>
      <div>
        <h1>{overview?.name ?? "infermesh"}</h1>
        {overview?.environment && <p className="soft">{overview.environment}</p>}
      </div>
      <button
        type="button"
        role="switch"
        aria-checked={theme === "dark"}
        onClick={() => setTheme(theme === "dark" ? "light" : "dark")}
      >
        Dark
      </button>
      {overview !== null && overview.workloads.length > 0 && <Figures overview={overview} />}
    </header>
  );
}

function Figures({ overview: { totals, scope } }: { overview: Overview }) {
  const { traffic } = totals;
  return (
    <dl className="figures" aria-label={`The ${scope === "mesh" ? "mesh as a whole" : "app"}, in the last ten seconds`}>
      <Figure name="Requests" value={rate(traffic.rate)}>
        <Sparkline values={totals.history.rate} unit="requests a second" />
      </Figure>
      <Figure name="Success" value={share(traffic.success)} tone={tone(traffic)} />
      <Figure name="p99" value={duration(traffic.p99_ms)} />
      <Figure
        name="Instances ready"
        value={of(totals.ready, totals.instances)}
        tone={totals.ready < totals.instances ? "bad" : "good"}
      />
      {scope === "mesh" && (
        <Figure
          name="Models ready"
          value={totals.models === 0 ? NOTHING : of(totals.models_ready, totals.models)}
          tone={totals.models_ready < totals.models ? "bad" : "good"}
        />
      )}
      <Figure
        name="Breakers open"
        value={`${totals.breakers_open}`}
        tone={totals.breakers_open > 0 ? "bad" : "good"}
      />
      {scope === "mesh" && (
        <Figure name="Restarts" value={`${totals.restarts}`} tone={totals.restarts > 0 ? "warn" : "good"} />
      )}
    </dl>
  );
}

interface FigureProps {
  name: string;
  value: string;
  tone?: string;
  children?: React.ReactNode;
}

function Figure({ name, value, tone: of_value = "idle", children }: FigureProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd data-tone={of_value}>
        {value}
        {children}
      </dd>
    </div>
  );
}
