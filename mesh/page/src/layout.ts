/** Where everything is, left to right. It depends on who is there, and not on what they do. */

import dagre from "@dagrejs/dagre";
import type { Graph } from "./graph";

export const NODE = { width: 196, height: 78 };
export const LABEL = { width: 140, height: 44 };

export interface Place {
  x: number;
  y: number;
}

export interface Layout {
  width: number;
  height: number;
  /** Centres, by id of an item or a call. */
  places: Map<string, Place>;
}

export function layoutOf(graph: Graph): Layout {
  const laid = new dagre.graphlib.Graph({ multigraph: true });
  laid.setGraph({ rankdir: "LR", nodesep: 22, edgesep: 14, ranksep: 30, marginx: 4, marginy: 4 });
  graph.items.forEach((it) => laid.setNode(it.id, { ...NODE }));
  graph.calls.forEach((it) =>
    laid.setEdge(it.source, it.target, { ...LABEL, labelpos: "c" }, it.id),
  );
  dagre.layout(laid);
  const places = new Map<string, Place>();
  graph.items.forEach((it) => places.set(it.id, at(laid.node(it.id))));
  graph.calls.forEach((it) => places.set(it.id, at(laid.edge(it.source, it.target, it.id))));
  const { width = 0, height = 0 } = laid.graph();
  return { width, height, places };
}

function at(found: { x?: number; y?: number } | undefined): Place {
  return { x: found?.x ?? 0, y: found?.y ?? 0 };
}
