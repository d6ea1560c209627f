"use strict";
// Paints a figure in the colours of the page, as its style sheet has them now: light or dark.
window.nearfarPaint = (() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const faint = (hex, alpha) => {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
  };
  const coarse = matchMedia("(pointer: coarse)").matches;

  function painted(figure) {
    const { data, layout } = structuredClone(figure);
    for (const trace of data) {
      const own = colour(trace.meta.colour);
      trace.line = { width: 2, ...trace.line, color: own };
      trace.marker = { ...trace.marker, color: own };
      if (trace.error_y) trace.error_y.color = own;
      if (trace.fill) trace.fillcolor = faint(own, trace.meta.fill);
    }
    const [ink, muted, grid, card] = ["ink", "muted", "grid", "card"].map(colour);
    for (const axis of [layout.xaxis, layout.yaxis]) {
      Object.assign(axis, { gridcolor: grid, linecolor: grid, tickcolor: grid, tickfont: { color: muted } });
      axis.title.font = { size: 12, color: muted };
    }
    for (const shape of layout.shapes || []) shape.line.color = muted;
    for (const note of layout.annotations || []) {
      const label = note.name === "label";
      note.font = { size: label ? 13 : 11, color: label ? ink : muted };
      if (label) Object.assign(note, { bgcolor: faint(card, 0.72), borderpad: 1 });
    }
    Object.assign(layout, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: colour("sans"), size: 12, color: ink },
      hoverlabel: { bgcolor: card, bordercolor: grid, font: { color: ink } },
      dragmode: coarse ? false : "zoom",
    });
    return { data, layout };
  }

  const config = { responsive: true, displaylogo: false, displayModeBar: false };

  return { painted, config };
})();
