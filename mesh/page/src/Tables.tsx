/** The same as the picture, in words. */

import { Breaker, nameOf } from "./Content";
import { NOTHING, duration, rate, share, tone, toneOf, toneOfModel } from "./format";
import { callId, modelId } from "./graph";
import { shown, type Endpoint, type Instance, type Model, type Overview, type Scope } from "./overview";

interface Props {
  overview: Overview;
  open: (id: string) => void;
}

export function Tables({ overview, open }: Props) {
  const models = overview.workloads.flatMap((it) => it.models.map((model) => ({ server: it.name, model })));
  return (
    <div className="tables">
      <section className="card">
        <h2>Calls</h2>
        <Table columns={["Call", "Requests", "Success", "p50", "p99", "Retries", "Breaker"]}>
          {overview.edges.map((it) => (
            <tr key={callId(it.source, it.target)}>
              <Cell name="Call">
                <button type="button" className="link" onClick={() => open(callId(it.source, it.target))}>
                  {shown(it.source)} → {it.target}
                </button>
              </Cell>
              <Cell name="Requests">{rate(it.traffic.rate)}</Cell>
              <Cell name="Success" tone={tone(it.traffic)}>
                {share(it.traffic.success)}
              </Cell>
              <Cell name="p50">{duration(it.traffic.p50_ms)}</Cell>
              <Cell name="p99">{duration(it.traffic.p99_ms)}</Cell>
              <Cell name="Retries">{rate(it.retries)}</Cell>
              <Cell name="Breaker">{it.breaker === null ? NOTHING : <Breaker state={it.breaker} />}</Cell>
            </tr>
          ))}
        </Table>
      </section>
      <section className="card">
        <h2>Instances</h2>
        <Instances rows={overview.workloads.flatMap((it) => it.instances)} scope={overview.scope} />
      </section>
      {models.length > 0 && (
        <section className="card">
          <h2>Models</h2>
          <Models rows={models} open={open} />
        </section>
      )}
      <p className="soft">
        Rates, success and percentiles are of the last ten seconds. Between an app and whom it calls each attempt counts,
        also one that was tried again.
      </p>
    </div>
  );
}

export function Instances({ rows, scope }: { rows: Instance[]; scope: Scope }) {
  // Who starts a process again is not known beside it.
  const restarts = scope === "mesh" ? ["Restarts"] : [];
  return (
    <Table columns={["Instance", "State", ...restarts, "Address"]}>
      {rows.map((it) => (
        <tr key={it.name}>
          <Cell name="Instance">{it.name}</Cell>
          <Cell name="State" tone={toneOf(it.state)}>
            {it.state}
            {it.problem && <small>{it.problem}</small>}
          </Cell>
          {restarts.map((name) => (
            <Cell key={name} name={name}>
              {it.restarts}
            </Cell>
          ))}
          <Cell name="Address">
            <code>{it.address ?? NOTHING}</code>
          </Cell>
        </tr>
      ))}
    </Table>
  );
}

interface ModelsProps {
  rows: { server: string; model: Model }[];
  open: (id: string) => void;
}

export function Models({ rows, open }: ModelsProps) {
  return (
    <Table columns={["Model", "Server", "State", "Requests", "Success", "p99", "Queue"]}>
      {rows.map(({ server, model }) => (
        <tr key={modelId(server, model)}>
          <Cell name="Model">
            <button type="button" className="link" onClick={() => open(modelId(server, model))}>
              {nameOf(model)}
            </button>
          </Cell>
          <Cell name="Server">{server}</Cell>
          <Cell name="State" tone={toneOfModel(model)}>
            {model.state.toLowerCase()}
            {model.reason && <small>{model.reason}</small>}
          </Cell>
          <Cell name="Requests">{rate(model.traffic.rate)}</Cell>
          <Cell name="Success" tone={tone(model.traffic)}>
            {share(model.traffic.success)}
          </Cell>
          <Cell name="p99">{duration(model.traffic.p99_ms)}</Cell>
          <Cell name="Queue">{duration(model.queue_ms)}</Cell>
        </tr>
      ))}
    </Table>
  );
}

export function Endpoints({ rows }: { rows: Endpoint[] }) {
  return (
    <Table columns={["Endpoint", "Seen by", "State", "Breaker", "In flight"]}>
      {rows.map((it) => (
        <tr key={`${it.seen_by} ${it.address}`}>
          <Cell name="Endpoint">
            <code>{it.address}</code>
          </Cell>
          <Cell name="Seen by">{it.seen_by}</Cell>
          <Cell name="State" tone={it.is_available ? "good" : "bad"}>
            {it.is_available ? "available" : "left alone"}
            {it.problem && <small>{it.problem}</small>}
          </Cell>
          <Cell name="Breaker">{it.breaker === null ? NOTHING : <Breaker state={it.breaker} />}</Cell>
          <Cell name="In flight">{it.in_flight}</Cell>
        </tr>
      ))}
    </Table>
  );
}

function Table({ columns, children }: { columns: string[]; children: React.ReactNode }) {
  return (
    <table>
      <thead>
        <tr>
          {columns.map((it) => (
            <th key={it} scope="col">
              {it}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  );
}

interface CellProps {
  name: string;
  tone?: string;
  children: React.ReactNode;
}

/** It names its column where a row is shown as a list. */
function Cell({ name, tone: how, children }: CellProps) {
  return (
    <td data-label={name} data-tone={how}>
      <span>{children}</span>
    </td>
  );
}

