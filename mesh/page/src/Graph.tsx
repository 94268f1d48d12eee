/** Who calls whom, as a picture. Everything in it is a button: Tab goes through them, arrow keys from one to the next. */

import {
  BaseEdge,
  Controls,
  Handle,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
  type Edge as FlowEdge,
  type EdgeProps,
  type Node,
  type NodeProps,
} from "@xyflow/react";
import { createContext, useContext, useEffect, useMemo, useRef } from "react";
import { CallContent, ItemContent, callLabel, itemLabel } from "./Content";
import { tone } from "./format";
import type { Call, Graph as Of, Item } from "./graph";
import { moveFocus } from "./keyboard";
import { LABEL, NODE, layoutOf, type Layout, type Place } from "./layout";

type ItemNode = Node<{ item: Item }, "item">;
type CallNode = Node<{ call: Call }, "call">;
type Line = FlowEdge<{ call: Call; middle: Place }, "line">;

/** Room around, and for the controls. */
const MARGIN = 32;
const LEAST = 260;
const MOST = 680;

interface Looking {
  selected: string | null;
  open: (id: string) => void;
}

const LookingAt = createContext<Looking>({ selected: null, open: () => undefined });

interface Props extends Looking {
  graph: Of;
}

export function Graph({ graph, selected, open }: Props) {
  const looking = useMemo(() => ({ selected, open }), [selected, open]);
  return (
    <ReactFlowProvider>
      <LookingAt value={looking}>
        <Flow graph={graph} />
      </LookingAt>
    </ReactFlowProvider>
  );
}

function Flow({ graph }: { graph: Of }) {
  // Who is there: the picture stays as it is while only numbers change.
  const structure = JSON.stringify([graph.items.map((it) => it.id), graph.calls.map((it) => it.id)]);
  const layout = useMemo(() => layoutOf(graph), [structure]);
  const frame = useRef<HTMLElement>(null);
  const flow = useReactFlow();

  useEffect(() => {
    const element = frame.current;
    if (element === null) return;
    const fit = () => void flow.fitView({ padding: 0.04, maxZoom: 1 });
    const observer = new ResizeObserver(fit);
    observer.observe(element);
    fit();
    return () => observer.disconnect();
  }, [flow, structure]);

  return (
    <section
      ref={frame}
      className="graph card"
      aria-label="Who calls whom, as a picture; arrow keys go from one to the next"
      style={{ height: Math.min(Math.max(layout.height + 2 * MARGIN, LEAST), MOST) }}
      onKeyDown={(event) => moveFocus(event, event.currentTarget)}
    >
      <ReactFlow
        nodes={nodesOf(graph, layout)}
        edges={linesOf(graph, layout)}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        nodesDraggable={false}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        zoomOnScroll={false}
        zoomOnDoubleClick={false}
        preventScrolling={false}
        disableKeyboardA11y
        minZoom={0.25}
        maxZoom={1.5}
        fitView
        fitViewOptions={{ padding: 0.04, maxZoom: 1 }}
      >
        <Controls showInteractive={false} />
      </ReactFlow>
    </section>
  );
}

/** In the order in which Tab goes through them: left to right, top to bottom. */
function nodesOf(graph: Of, layout: Layout): Node[] {
  const items: Node[] = graph.items.map((item) => ({
    id: item.id,
    type: "item",
    data: { item },
    ...box(layout.places.get(item.id), NODE),
  }));
  const calls: Node[] = graph.calls.map((call) => ({
    id: call.id,
    type: "call",
    data: { call },
    ...box(layout.places.get(call.id), LABEL),
  }));
  return [...items, ...calls].sort((a, b) => centre(a) - centre(b) || a.position.y - b.position.y);
}

const centre = (node: Node): number => Math.round(node.position.x + (node.width ?? 0) / 2);

function box(place: Place = { x: 0, y: 0 }, size: { width: number; height: number }) {
  return { position: { x: place.x - size.width / 2, y: place.y - size.height / 2 }, ...size };
}

function linesOf(graph: Of, layout: Layout): Line[] {
  return graph.calls.map((call) => ({
    id: call.id,
    type: "line",
    source: call.source,
    target: call.target,
    data: { call, middle: layout.places.get(call.id) ?? { x: 0, y: 0 } },
  }));
}

function ItemView({ data: { item } }: NodeProps<ItemNode>) {
  return (
    <>
      <Handle type="target" position={Position.Left} isConnectable={false} />
      <Opener id={item.id} className={`item ${item.kind}`} label={itemLabel(item)}>
        <ItemContent item={item} />
      </Opener>
      <Handle type="source" position={Position.Right} isConnectable={false} />
    </>
  );
}

function CallView({ data: { call } }: NodeProps<CallNode>) {
  return (
    <Opener id={call.id} className="call" label={callLabel(call)}>
      <CallContent call={call} />
    </Opener>
  );
}

interface OpenerProps {
  id: string;
  className: string;
  label: string;
  children: React.ReactNode;
}

function Opener({ id, className, label, children }: OpenerProps) {
  const { selected, open } = useContext(LookingAt);
  const flow = useReactFlow();
  return (
    <button
      type="button"
      className={`nopan ${className}`}
      data-id={id}
      aria-label={label}
      aria-expanded={selected === id}
      onClick={() => open(id)}
      onFocus={(event) => showWhole(event.currentTarget, () => void flow.fitView({ padding: 0.04, maxZoom: 1 }))}
    >
      {children}
    </button>
  );
}

/** What has the focus has to be seen, also after somebody has moved the picture. */
function showWhole(button: HTMLElement, fit: () => void): void {
  const frame = button.closest(".react-flow");
  if (frame === null) return;
  // The browser scrolls what should not scroll.
  frame.scrollTo(0, 0);
  const inner = button.getBoundingClientRect();
  const outer = frame.getBoundingClientRect();
  if (inner.left < outer.left || inner.right > outer.right || inner.top < outer.top || inner.bottom > outer.bottom) fit();
}

/** Through the middle of what is said of it. */
function LineView({ sourceX, sourceY, targetX, targetY, data }: EdgeProps<Line>) {
  if (data === undefined) return null;
  const { call, middle } = data;
  const path = bend(sourceX, sourceY, middle.x, middle.y) + bend(middle.x, middle.y, targetX, targetY);
  return <BaseEdge path={path} className="line" data-tone={tone(call.traffic)} style={{ strokeWidth: width(call) }} />;
}

function bend(fromX: number, fromY: number, toX: number, toY: number): string {
  const half = (fromX + toX) / 2;
  return `M${fromX},${fromY}C${half},${fromY} ${half},${toY} ${toX},${toY}`;
}

/** Ten times the requests are a step more. */
const width = (call: Call): number => Math.min(1.5 + Math.log10(1 + (call.traffic.rate ?? 0)) * 1.4, 8);

const NODE_TYPES = { item: ItemView, call: CallView };
const EDGE_TYPES = { line: LineView };
