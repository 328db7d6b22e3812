/* Draws every .chart[data-fig] from the JSON block beside it, in the colours of the style sheet.
 *
 * The library is large, so it is fetched after the page is complete and only when a chart is near the view.
 * A chart is redrawn when its JSON has changed (after an htmx swap) or when the theme has.
 */
(() => {
  "use strict";
  const drawnText = new WeakMap();
  let library = null;

  /* plotly.js writes style elements, which the policy refuses, unless these two ids exist: our own style sheet holds
   * the rules, and MapLibre is not used. */
  const STYLES = ["plotly.js-style-global", "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53"];

  const load = (url) =>
    (library ??= new Promise((resolve, reject) => {
      for (const id of STYLES.filter((one) => !document.getElementById(one))) {
        const mark = document.createElement("meta");
        mark.id = id;
        mark.className = "no-inline-styles";
        document.head.append(mark);
      }
      const script = document.createElement("script");
      script.src = url;
      script.onload = resolve;
      script.onerror = () => {
        library = null;
        reject(new Error("the chart library did not load"));
      };
      document.head.append(script);
    }));

  /* Custom properties hold light-dark(…): only a real property of an element resolves it. */
  const palette = (box) => {
    const probe = document.createElement("span");
    probe.hidden = true;
    box.parentElement.append(probe);
    const resolve = (name) => {
      probe.style.color = `var(--${name})`;
      return getComputedStyle(probe).color;
    };
    const names = ["text", "muted", "line", "line-strong", "surface", "c-other", "c-previous"];
    for (let index = 0; index < 10; index += 1) names.push(`c${index}`);
    const colors = Object.fromEntries(names.map((name) => [name, resolve(name)]));
    probe.remove();
    return colors;
  };

  const colorOf = (colors, index) => {
    if (index === null || index === undefined) return colors["c-other"];
    return index < 0 ? colors["c-previous"] : colors[`c${index}`];
  };

  const faint = (color) => color.replace("rgb(", "rgba(").replace(")", ", 0.13)");

  const paint = (trace, colors) => {
    const color = colorOf(colors, trace.meta?.c);
    if (trace.type === "bar") trace.marker = { color, line: { color: colors.surface, width: trace.y.length > 45 ? 0 : 1 } };
    else trace.line = { ...trace.line, color };
    if (trace.fill) trace.fillcolor = faint(color);
    return trace;
  };

  /* On touch screens a finger that moves scrolls the page. */
  const canDrag = matchMedia("(pointer: fine)");

  const layoutOf = (layout, colors, font) => ({
    ...layout,
    autosize: true,
    showlegend: false,
    hovermode: "x unified",
    dragmode: canDrag.matches ? "select" : false,
    selectdirection: "h",
    bargap: 0.2,
    margin: { l: 0, r: 4, t: 12, b: 4 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: font, size: 12, color: colors.muted },
    hoverlabel: {
      bgcolor: colors.surface,
      bordercolor: colors["line-strong"],
      font: { family: font, size: 12, color: colors.text },
    },
    xaxis: { ...layout.xaxis, ticklabelstandoff: 4, automargin: true, fixedrange: true, showgrid: false, zeroline: false, nticks: 7 },
    yaxis: {
      ...layout.yaxis,
      automargin: true,
      fixedrange: true,
      gridcolor: colors.line,
      zerolinecolor: colors["line-strong"],
      nticks: 5,
    },
  });

  /* A unified hover reports every series of the bucket: which one lies under the pointer is found by its height. */
  const seriesAt = (box, event) => {
    const bars = event.points.filter((point) => point.data.type === "bar");
    if (!bars.length) return event.points[0]?.curveNumber;
    const area = box.querySelector(".nsewdrag").getBoundingClientRect();
    const [low, high] = box.layout.yaxis.range;
    let left = high - ((event.event.clientY - area.top) / area.height) * (high - low);
    bars.sort((a, b) => a.curveNumber - b.curveNumber);
    return bars.find((point) => (left -= point.y) <= 0)?.curveNumber;
  };

  /* A bar leads where its legend entry leads, narrowed to the bar's day. */
  const follow = (box, event) => {
    const entry = document.getElementById(box.dataset.legend)?.children[seriesAt(box, event)];
    const link = entry?.querySelector("a[href]");
    if (!link) return;
    const url = new URL(link.href);
    if (box.layout.meta?.bucket === "day") {
      const day = String(event.points[0].x).slice(0, 10);
      url.searchParams.delete("period");
      url.searchParams.set("from", day);
      url.searchParams.set("to", day);
    }
    location.href = url.href;
  };

  /* A span that was dragged over is what the page shows next: its days, as nothing shorter has an address. */
  const DAY_MS = 86400000;
  const choose = (box, event) => {
    const range = event?.range?.x;
    const { meta, xaxis } = box.layout;
    if (!range) return;
    if (xaxis.type !== "date") return soon(() => draw(box));
    const half = meta?.bucket === "day" ? DAY_MS / 2 : 0; // a bar stands around the midnight that its day starts with
    const [from, to] = range
      .map((at) => Date.parse(`${String(at).slice(0, 19).replace(" ", "T")}Z`) + half)
      .sort((one, other) => one - other)
      .map((at) => new Date(at).toISOString().slice(0, 10));
    const url = new URL(location.href);
    for (const word of ["period", "after"]) url.searchParams.delete(word);
    url.searchParams.set("from", from);
    url.searchParams.set("to", to);
    if (url.href === location.href) soon(() => draw(box));
    else location.href = url.href;
  };

  const draw = (box) => {
    const block = document.getElementById(box.dataset.fig);
    if (!block || !window.Plotly) return;
    const text = block.textContent;
    const colors = palette(box);
    const figure = JSON.parse(text); // fresh objects for each draw: plotly keeps and changes what it was given
    const font = getComputedStyle(box).fontFamily;
    const first = !drawnText.has(box);
    drawnText.set(box, text);
    Plotly.react(box, figure.data.map((trace) => paint(trace, colors)), layoutOf(figure.layout, colors, font), {
      displayModeBar: false,
      responsive: true,
    });
    box.classList.add("drawn");
    if (!first) return;
    box.on("plotly_click", (event) => follow(box, event));
    box.on("plotly_selected", (event) => choose(box, event));
  };

  /* The frame is painted before the work starts, so a click answers at once. */
  const soon = (work) => requestAnimationFrame(() => setTimeout(work));

  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        const box = entry.target;
        near.unobserve(box);
        load(box.dataset.lib).then(
          () => soon(() => draw(box)),
          () => near.observe(box),
        );
      }
    },
    { rootMargin: "200px" },
  );

  const boxes = () => document.querySelectorAll(".chart[data-fig]");
  const watch = () => {
    for (const box of boxes()) if (!drawnText.has(box)) near.observe(box);
  };

  const refresh = () => {
    watch();
    for (const box of boxes()) {
      const known = drawnText.get(box);
      if (known === undefined) continue;
      if (known !== document.getElementById(box.dataset.fig)?.textContent) soon(() => draw(box));
    }
  };

  const redraw = () => {
    for (const box of boxes()) if (drawnText.has(box)) soon(() => draw(box));
  };

  /* A table of 90 days has more elements than the rest of its page. Where script runs it waits as the text of its
   * <noscript> until it is opened; a swap parses it like any other, so it is put back. */
  const unfold = (details) => {
    const held = details.querySelector("noscript");
    if (!held) return;
    const holder = document.createElement("template");
    holder.innerHTML = held.firstElementChild ? held.innerHTML : held.textContent;
    held.replaceWith(holder.content);
  };

  const opened = new Set();
  const fold = () => {
    for (const details of document.querySelectorAll(".as-table")) {
      if (opened.has(details.id)) unfold(details);
      const held = details.querySelector("noscript");
      if (held?.firstElementChild) held.textContent = held.innerHTML;
    }
  };

  const toggled = ({ target }) => {
    if (!target.matches(".as-table")) return;
    if (target.open) unfold(target);
    opened[target.open ? "add" : "delete"](target.id);
  };

  /* Both in the capturing phase: toggle does not bubble, and app.js gives a table that was open its place back. */
  document.addEventListener("toggle", toggled, true);
  document.addEventListener("htmx:afterSwap", fold, true);

  const start = () => (window.requestIdleCallback ?? setTimeout)(watch);
  if (document.readyState === "complete") start();
  else window.addEventListener("load", start);
  document.addEventListener("htmx:afterSettle", refresh);
  document.addEventListener("fg:theme", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
})();
