// Draws each [data-figure] from the JSON beside it, in the page's own colours and font.
"use strict";

(() => {
  const CONFIG = { displaylogo: false, displayModeBar: false, responsive: true, scrollZoom: false };

  function resolver(holder) {
    const probe = document.createElement("span");
    probe.hidden = true;
    holder.append(probe);
    const known = new Map();
    const resolve = (value) => {
      if (typeof value === "string" && value.startsWith("var(--")) {
        if (!known.has(value)) {
          probe.style.color = value;
          known.set(value, getComputedStyle(probe).color);
        }
        return known.get(value);
      }
      if (Array.isArray(value)) return value.map(resolve);
      if (value && typeof value === "object") {
        return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, resolve(part)]));
      }
      return value;
    };
    return { resolve, done: () => probe.remove() };
  }

  function dressed(figure, resolve) {
    const layout = resolve(figure.layout);
    const line = resolve("var(--line)");
    const text = resolve("var(--muted)");
    layout.font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: text };
    layout.hoverlabel = {
      bgcolor: resolve("var(--surface)"),
      bordercolor: line,
      font: { color: resolve("var(--text)"), family: layout.font.family },
    };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
      layout[name] = { gridcolor: line, linecolor: line, zerolinecolor: line, fixedrange: true, automargin: true, ...layout[name] };
    }
    return layout;
  }

  function draw(holder) {
    const source = document.getElementById(holder.dataset.figure);
    if (!source || !window.Plotly) return;
    const figure = JSON.parse(source.textContent);
    const { resolve, done } = resolver(document.body);
    const layout = dressed(figure, resolve);
    const data = resolve(figure.data);
    done();
    Plotly.react(holder, data, layout, CONFIG);
  }

  const drawAll = () => document.querySelectorAll("[data-figure]").forEach(draw);
  drawAll();
  document.addEventListener("themechange", drawAll);
  document.addEventListener("htmx:afterSettle", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
