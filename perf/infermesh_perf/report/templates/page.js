"use strict";
// Draws the charts of what is shown, turns the page dark or light, and hands out what it holds.
// The address may say `#dark`, `#light` and `#load=2`, joined by `&`, so that a link opens the page in that state.

const root = document.documentElement;
const config = JSON.parse(document.getElementById("config").textContent);
const byId = (id) => document.getElementById(id);

function draw(part) {
  for (const chart of part.querySelectorAll(".chart:empty")) {
    // A hidden chart has no width yet; it is drawn when it is shown.
    if (chart.clientWidth === 0) continue;
    const options = {
      mode: "vega-lite",
      config,
      renderer: "svg",
      actions: false,
      // Expressions are interpreted: the page's policy lets no text become code.
      ast: true,
      defaultStyle: false,
      tooltip: { disableDefaultStyle: true },
    };
    vegaEmbed(chart, JSON.parse(chart.nextElementSibling.textContent), options).catch((error) => {
      chart.textContent = `This chart could not be drawn: ${error.message}`;
      chart.classList.add("failed");
      console.error(error);
    });
  }
}

function choose(number) {
  const details = document.querySelectorAll(".detail");
  const shown = Math.min(Math.max(1, number), details.length);
  details.forEach((detail, index) => { detail.hidden = index + 1 !== shown; });
  if (byId("detail")) byId("detail").value = String(shown);
  // Charts follow the window's width; those that were hidden meanwhile have it to catch up with.
  window.dispatchEvent(new Event("resize"));
}

function isDark() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  return root.dataset.theme ? root.dataset.theme === "dark" : dark;
}

function nameTheme() {
  byId("theme").setAttribute("aria-pressed", String(isDark()));
}

function obey(hash) {
  const wishes = hash.slice(1).split("&");
  const theme = wishes.find((wish) => wish === "dark" || wish === "light");
  if (theme) root.dataset.theme = theme;
  const load = wishes.find((wish) => wish.startsWith("load="));
  if (load) choose(Number(load.slice(5)) || 1);
  nameTheme();
  draw(document);
}

function save() {
  const raw = byId("raw");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([raw.textContent], { type: "application/json" }));
  link.download = raw.dataset.name;
  link.click();
  URL.revokeObjectURL(link.href);
}

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  const selection = window.getSelection();
  selection.selectAllChildren(code);
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    // Where a file may not write to the clipboard the text is selected, for the keyboard to copy.
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

byId("theme").addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
byId("download").addEventListener("click", save);
byId("detail")?.addEventListener("change", (event) => {
  choose(Number(event.target.value));
  draw(document);
});
document.querySelectorAll(".copy").forEach((button) => button.addEventListener("click", () => copy(button)));
window.addEventListener("hashchange", () => obey(location.hash));
choose(1);
obey(location.hash);
