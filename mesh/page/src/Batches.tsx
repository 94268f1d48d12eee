/** How large batches were, as bars. */

import type { Batches as Size } from "./overview";

export function Batches({ batches }: { batches: Size[] }) {
  const all = batches.reduce((sum, it) => sum + it.count, 0);
  if (all === 0) return <p className="soft">No batch in the last ten seconds.</p>;
  const most = Math.max(...batches.map((it) => it.count));
  return (
    <table className="bars">
      <thead className="unseen">
        <tr>
          <th scope="col">Rows</th>
          <th scope="col">Share of batches</th>
        </tr>
      </thead>
      <tbody>
        {batches.map((it, index) => (
          <tr key={it.rows}>
            <th scope="row">{rows(batches[index - 1]?.rows ?? 0, it.rows)}</th>
            <td>
              <div>
                <span className="bar-of" style={{ width: `${(it.count / most) * 70}%` }} />
                {Math.round((it.count / all) * 100)} %
              </div>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function rows(below: number, bound: number | null): string {
  if (bound === null) return `above ${below}`;
  return below + 1 >= bound ? `${bound}` : `${below + 1} – ${bound}`;
}
