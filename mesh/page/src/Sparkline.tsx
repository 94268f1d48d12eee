/** The last minute as a line. */

import { count } from "./format";

const WIDTH = 120;
const HEIGHT = 24;
/** Of a minute. */
const POINTS = 60;

interface Props {
  values: (number | null)[];
  /** Null: it only adorns what is said in words. */
  unit: string | null;
}

export function Sparkline({ values, unit }: Props) {
  const known = values.filter((it) => it !== null);
  const most = Math.max(...known, 0);
  const label =
    known.length === 0
      ? "nothing in the last minute"
      : `in the last minute between ${count(Math.min(...known))} and ${count(most)} ${unit}`;
  return (
    <svg
      className="sparkline"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      {...(unit === null ? { "aria-hidden": true } : { role: "img", "aria-label": label })}
    >
      <line x1="0" x2={WIDTH} y1={HEIGHT - 1} y2={HEIGHT - 1} />
      <path d={lineOf(values, most)} />
    </svg>
  );
}

function lineOf(values: (number | null)[], most: number): string {
  const first = POINTS - values.length;
  let isDrawing = false;
  const parts: string[] = [];
  values.forEach((value, index) => {
    if (value === null || most === 0) {
      isDrawing = false;
      return;
    }
    const x = ((first + index) / (POINTS - 1)) * WIDTH;
    const y = HEIGHT - 2 - (value / most) * (HEIGHT - 4);
    parts.push(`${isDrawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`);
    isDrawing = true;
  });
  return parts.join("");
}
