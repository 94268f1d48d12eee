/** Light or dark: as the system has it, until somebody chooses. */

import { useEffect, useState } from "react";

export type Theme = "light" | "dark";

const KEY = "infermesh-theme";
const DARK = "(prefers-color-scheme: dark)";

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [chosen, choose] = useState<Theme | null>(remembered);
  const [system, setSystem] = useState<Theme>(() => (matchMedia(DARK).matches ? "dark" : "light"));

  useEffect(() => {
    const query = matchMedia(DARK);
    const changed = () => setSystem(query.matches ? "dark" : "light");
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);

  const theme = chosen ?? system;
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  return [
    theme,
    (next) => {
      choose(next);
      // A browser may keep nothing; then it is chosen for this visit.
      try {
        localStorage.setItem(KEY, next);
      } catch {
        return;
      }
    },
  ];
}

function remembered(): Theme | null {
  try {
    const found = localStorage.getItem(KEY);
    return found === "light" || found === "dark" ? found : null;
  } catch {
    return null;
  }
}
