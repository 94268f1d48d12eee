import { useEffect, useRef, useState } from "react";
import { Graph } from "./Graph";
import { Header } from "./Header";
import { Panel } from "./Panel";
import { Status } from "./Status";
import { Tables } from "./Tables";
import { graphOf } from "./graph";
import { useLive } from "./live";
import { useTheme } from "./theme";

export function App() {
  const live = useLive();
  const [theme, setTheme] = useTheme();
  const [selected, setSelected] = useState<string | null>(null);
  // Where the focus goes back to when the panel is closed.
  const opener = useRef<HTMLElement | null>(null);

  const open = (id: string) => {
    opener.current = document.activeElement instanceof HTMLElement ? document.activeElement : null;
    setSelected(id);
  };
  const close = () => {
    setSelected(null);
    opener.current?.focus({ preventScroll: true });
  };

  const { overview } = live;
  useEffect(() => {
    document.title = overview === null ? "infermesh" : `${overview.name} · infermesh`;
  }, [overview?.name]);
  const isEmpty = overview === null || overview.workloads.length === 0;
  const graph = overview === null ? { items: [], calls: [] } : graphOf(overview);
  return (
    <div
      className={live.staleFor === null ? "page" : "page stale"}
      onKeyDown={(event) => event.key === "Escape" && selected !== null && close()}
    >
      <Header overview={overview} theme={theme} setTheme={setTheme} />
      <Status live={live} />
      {overview !== null && !isEmpty && (
        <main className={selected === null ? "" : "with-panel"}>
          <Graph graph={graph} selected={selected} open={open} />
          {selected !== null && (
            <Panel key={selected} overview={overview} graph={graph} id={selected} open={setSelected} close={close} />
          )}
          <Tables overview={overview} open={open} />
        </main>
      )}
    </div>
  );
}
