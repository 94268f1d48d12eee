import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    outDir: "../infermesh/overview/static",
    emptyOutDir: true,
    // The server's policy allows nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The libraries' licences ask to go along with them.
    license: { fileName: "licenses.md" },
  },
});
