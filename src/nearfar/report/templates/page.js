"use strict";
// Draws each chart when it comes near the screen, in the colours of the page, and redraws it when
// the reader's device turns from light to dark. All text from the run goes in as text, never as HTML.
(() => {
  const { painted, config } = window.nearfarPaint;
  const json = (attribute, id) => {
    const element = document.querySelector(`script[${attribute}="${id}"]`);
    return element && JSON.parse(element.textContent);
  };

  const figures = new Map();

  async function draw(box) {
    if (figures.has(box)) return;
    const figure = json("data-figure-of", box.id);
    figures.set(box, figure);
    const { data, layout } = painted(figure);
    await Plotly.newPlot(box, data, layout, config);
    box.dataset.drawn = "yes";
    const hover = json("data-hover-of", box.id);
    if (hover) showPictures(box, hover);
    const field = document.querySelector(`input[data-find-in="${box.id}"]`);
    if (field && hover) findClasses(box, hover, field);
  }

  // Rings around the points of all classes whose name holds what is typed.
  function findClasses(box, hover, field) {
    const names = hover.names.map((name) => name.toLowerCase());
    const places = new Map();
    for (const { x, y, customdata } of figures.get(box).data) {
      customdata.forEach((row, at) => places.set(row, [x[at], y[at]]));
    }
    const found = { type: "scatter", mode: "markers", hoverinfo: "skip", showlegend: false, x: [], y: [],
      meta: { colour: "ink" }, customdata: [], marker: { symbol: "circle-open", size: 13, line: { width: 2 } } };
    const said = field.parentElement.querySelector("output");
    const { data } = figures.get(box);
    data.push(found);
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      const rows = wanted ? [...places.keys()].filter((row) => names[hover.labels[row]].includes(wanted)) : [];
      const classes = new Set(rows.map((row) => hover.labels[row])).size;
      found.x = rows.map((row) => places.get(row)[0]);
      found.y = rows.map((row) => places.get(row)[1]);
      said.textContent = wanted ? `${rows.length} ringed, of ${classes} class${classes === 1 ? "" : "es"}` : "";
      const { data, layout } = painted(figures.get(box));
      Plotly.react(box, data, layout, config);
    });
  }

  function showPictures(box, hover) {
    const card = document.getElementById("hover-card");
    const [picture, text] = card.children;
    const describe = (row) => (hover.texts ? `${hover.texts[row]}\n${said(row)}` : said(row));
    const said = (row) => {
      if (!hover.labels) return `${hover.one} ${row + 1}`;
      const truth = hover.names[hover.labels[row]];
      if (!hover.predictions) return truth;
      const answer = hover.names[hover.predictions[row]];
      const says = `${hover.answered_by} says`;
      return answer === truth ? `${truth}\n✓ ${says} so too` : `${truth}\n✗ ${says} ${answer}`;
    };
    box.on("plotly_hover", ({ points, event }) => {
      const row = points[0].customdata;
      picture.hidden = !hover.sheet;
      if (hover.sheet) {
        const { uri, columns, rows } = hover.sheet;
        const [across, down] = [row % columns, Math.floor(row / columns)];
        picture.style.backgroundImage = `url(${uri})`;
        picture.style.backgroundSize = `${112 * columns}px ${112 * rows}px`;
        picture.style.backgroundPosition = `${-112 * across}px ${-112 * down}px`;
      }
      picture.classList.toggle("pixels", hover.pixels);
      text.textContent = describe(row);
      card.hidden = false;
      const { width, height } = card.getBoundingClientRect();
      const left = event.clientX + 16 + width > innerWidth ? event.clientX - 16 - width : event.clientX + 16;
      card.style.left = `${Math.max(4, left)}px`;
      card.style.top = `${Math.max(4, Math.min(event.clientY + 12, innerHeight - height - 4))}px`;
    });
    box.on("plotly_unhover", () => { card.hidden = true; });
    addEventListener("scroll", () => { card.hidden = true; }, { passive: true });
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: "600px" });
  document.querySelectorAll(".chart").forEach((box) => watcher.observe(box));

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const [box, figure] of figures) {
      const { data, layout } = painted(figure);
      Plotly.react(box, data, layout, config);
    }
  });
  document.querySelectorAll('a[href^="#"]').forEach((link) => link.addEventListener("click", () => {
    document.getElementById(link.hash.slice(1)).open = true;
  }));
  addEventListener("beforeprint", () => document.querySelectorAll(".chart").forEach(draw));
})();
