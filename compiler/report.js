"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const narrow = () => window.innerWidth < 560;

  const themed = (layout) => {
    const axes = Object.fromEntries(Object.entries(layout).filter(([key]) => /^[xy]axis\d*$/.test(key)).map(([key, axis]) =>
      [key, { ...axis, gridcolor: css("--rule"), linecolor: css("--rule"), tickcolor: css("--rule") }]));
    return {
      ...layout, ...axes,
      font: { family: getComputedStyle(document.body).fontFamily, size: narrow() ? 11 : 12.5, color: css("--ink") },
      margin: narrow() ? { ...layout.margin, l: 44, r: 8 } : layout.margin,
      hoverlabel: { align: "left", bgcolor: css("--card"), bordercolor: css("--rule"), font: { color: css("--ink") } },
      annotations: (layout.annotations || []).map((note) => ({ ...note, bgcolor: css("--page"), borderpad: 1, arrowcolor: css("--soft"), font: { ...note.font, color: css("--ink") } })),
    };
  };

  const draw = () => {
    for (const [id, figure] of Object.entries(figures)) {
      Plotly.react(id, figure.data, themed(figure.layout), { responsive: true, displaylogo: false, displayModeBar: false });
    }
  };
  draw();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  window.addEventListener("beforeprint", draw);
  window.addEventListener("afterprint", draw);

  for (const box of document.querySelectorAll(".graph")) {
    box.scrollTop = Number(box.dataset.cut) - box.clientHeight / 2;
    box.scrollLeft = (box.scrollWidth - box.clientWidth) / 2;
    const told = document.getElementById("graph-told");
    const tell = (event) => {
      const node = event.target.closest("[data-told]");
      if (node) told.textContent = node.dataset.told;
    };
    for (const kind of ["click", "focusin", "mouseover"]) box.addEventListener(kind, tell);
  }

  const key = (cell) => {
    const text = cell.textContent.trim();
    const found = /^[<>]?\s*([+-]?[\d.,]+(?:e[+-]?\d+)?)\s*(ms|s|B|KB|MB|GB)?/.exec(text);
    const scale = { s: 1e3, KB: 1e3, MB: 1e6, GB: 1e9 };
    return found ? Number(found[1].replaceAll(",", "")) * (scale[found[2]] || 1) : text;
  };
  for (const table of document.querySelectorAll("table")) {
    const body = table.tBodies[0];
    if (body.rows.length < 3) continue;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.dataset.sortable = "";
      head.title = "sort";
      head.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const order = (a, b) => {
          const [x, y] = [key(a.cells[column]), key(b.cells[column])];
          const found = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
          return up ? found : -found;
        };
        body.append(...[...body.rows].sort(order));
      });
    });
  }
})();
