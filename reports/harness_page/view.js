// @ts-check
"use strict";
// The state of the view (metric, dataset, model, section) is in the address, so that a link
// reproduces it. Without this script the page shows the ranking metric and all datasets.
(() => {
  /** @typedef {{metric?: string, dataset?: string, model?: string, at?: string}} State */

  /** @type {string[]} The names of the models; their positions are the values of `data-m`. */
  const models = JSON.parse(document.getElementById("models")?.textContent ?? "[]");
  const all = (/** @type {string} */ selector) =>
    /** @type {HTMLElement[]} */ ([...document.querySelectorAll(selector)]);
  const radios = /** @type {HTMLInputElement[]} */ (all("input[name=metric]"));
  const panels = all(".tab");
  const names = panels.map((panel) => panel.dataset.dataset ?? "");

  /** @type {State} */
  let state = {};

  // Highlighting is one rule for each model: a page may mark a thousand places.
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  /** @type {string} */
  let pointed = "";
  const mark = () => {
    const chosen = state.model ? String(models.indexOf(state.model)) : "";
    const keys = [...new Set([chosen, pointed])].filter(Boolean);
    const rules = keys.flatMap((key) => {
      const one = `[data-m="${key}"]`;
      return [
        `tr${one} > th { box-shadow: inset 3px 0 var(--accent); }`,
        `tr${one} > * { background-image: linear-gradient(rgb(var(--tint) / .12), rgb(var(--tint) / .12)); }`,
        `circle${one} { r: 7px; stroke: var(--ink); stroke-width: 1.5px; }`,
        `.line${one} { stroke-width: 3.5px; opacity: 1; }`,
        `li${one}, text${one} { font-weight: 600; }`,
        `.chart:has(.line${one}) .line:not(${keys.map((key) => `[data-m="${key}"]`).join()}) { opacity: .15; }`,
      ];
    });
    sheet.replaceSync(rules.join("\n"));
  };

  const write = () => {
    const words = new URLSearchParams();
    for (const [key, value] of Object.entries(state)) if (value) words.set(key, value);
    const hash = words.toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  };

  // Pictures of many datasets are packed until somebody opens the tab.
  /** @param {HTMLElement} panel */
  const draw = async (panel) => {
    const packed = panel.querySelector("script.pictures");
    if (!packed) return;
    const told = packed.previousElementSibling;
    packed.classList.remove("pictures");
    const bytes = Uint8Array.from(atob(packed.textContent ?? ""), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    packed.insertAdjacentHTML("afterend", await new Response(stream).text());
    told?.remove();
    packed.remove();
    document.dispatchEvent(new Event("unpacked"));
  };

  const show = () => {
    const metric = radios.some((radio) => radio.value === state.metric) ? state.metric : radios[0]?.value;
    for (const radio of radios) radio.checked = radio.value === metric;
    if (metric !== undefined) for (const part of all("[data-metric]")) part.hidden = part.dataset.metric !== metric;
    const current = Math.max(names.indexOf(state.dataset ?? ""), 0);
    panels.forEach((panel, i) => panel.classList.toggle("current", i === current));
    // An old browser that cannot unpack keeps the sentence that says how to draw them.
    if (panels[current]) draw(panels[current]).catch(() => {});
    all(".tabs button").forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === current));
      tab.tabIndex = i === current ? 0 : -1;
    });
    for (const button of all(".model[aria-pressed]")) {
      const key = /** @type {HTMLElement | null} */ (button.closest("[data-m]"))?.dataset.m;
      button.setAttribute("aria-pressed", String(!!state.model && models[Number(key)] === state.model));
    }
    mark();
  };

  /** @param {State} change */
  const set = (change) => {
    state = { ...state, ...change };
    write();
    show();
  };

  /** @param {string} id */
  const go = (id) => {
    let target = document.getElementById(id);
    // On a wide screen the scores on each dataset stand beside the chart.
    if (target && !target.checkVisibility()) target = document.getElementById("verdict");
    if (!target) return;
    target.scrollIntoView();
    const heading = /** @type {HTMLElement} */ (target.querySelector("h2, h3, a") ?? target);
    if (!heading.hasAttribute("href")) heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
    for (const link of all(".side a")) {
      if (link.getAttribute("href") === `#${id}`) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };

  const read = () => {
    const hash = location.hash.slice(1);
    if (hash.includes("=")) {
      const words = new URLSearchParams(hash);
      state = {};
      for (const key of /** @type {const} */ (["metric", "dataset", "model", "at"])) {
        const value = words.get(key);
        if (value) state[key] = value;
      }
    } else {
      const panel = panels.find((one) => one.id === hash);
      state = panel ? { dataset: panel.dataset.dataset, at: "datasets" } : {};
    }
    show();
    if (state.at) go(state.at);
  };

  // Links within the page keep the rest of the state.
  document.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    const link = target.closest("a[href^='#']");
    const model = target.closest(".model");
    const row = /** @type {HTMLElement | null} */ (target.closest("[data-m]"));
    if (link) {
      event.preventDefault();
      const id = (link.getAttribute("href") ?? "").slice(1);
      const panel = panels.find((one) => one.id === id);
      set(panel ? { dataset: panel.dataset.dataset, at: "datasets" } : { at: id });
      go(panel ? "datasets" : id);
      if (narrow.matches && menu) menu.open = false;
    } else if (row && (model || target.closest("th, li, .dot"))) {
      const name = models[Number(row.dataset.m)];
      set({ model: state.model === name ? undefined : name });
    }
  });
  document.addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    if (event.key === "Escape" && state.model) set({ model: undefined });
    if (event.key === "Enter" && target.matches(".dot[data-m]")) {
      target.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    }
  });

  // What is pointed at or focused is marked everywhere, and a line of text tells its figures.
  /** @param {Event} event */
  const point = (event) => {
    const target = /** @type {Element} */ (event.target);
    const place = /** @type {HTMLElement | null} */ (target.closest("[data-m]"));
    const key = place?.dataset.m ?? "";
    if (key !== pointed) {
      pointed = key;
      mark();
    }
    const told = target.closest("[data-metric]")?.querySelector(".told");
    const text = target.closest("[data-told]")?.getAttribute("data-told") ??
      target.closest(".dot")?.querySelector("title")?.textContent;
    if (told && text) told.textContent = text;
  };
  document.addEventListener("pointerover", point);
  document.addEventListener("focusin", point);

  // The metric.
  const choice = /** @type {HTMLFieldSetElement | null} */ (document.querySelector(".metrics"));
  if (choice) choice.hidden = false;
  for (const radio of radios) {
    radio.addEventListener("change", () => set({ metric: radio.value }));
  }

  // The datasets as tabs.
  if (panels.length > 1) {
    const tabs = document.createElement("div");
    tabs.className = "tabs";
    tabs.setAttribute("role", "tablist");
    tabs.setAttribute("aria-label", "Datasets");
    panels.forEach((panel, i) => {
      const tab = document.createElement("button");
      tab.type = "button";
      tab.id = `${panel.id}-tab`;
      tab.textContent = names[i];
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panel.id);
      tab.addEventListener("click", () => set({ dataset: names[i] }));
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
      tabs.append(tab);
    });
    tabs.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const buttons = all(".tabs button");
      const next = (buttons.indexOf(/** @type {HTMLElement} */ (event.target)) + step + buttons.length) % buttons.length;
      set({ dataset: names[next] });
      buttons[next].focus();
    });
    panels[0].before(tabs);
  }

  // The pairs: arrow keys move between the cells, and Enter unfolds a pair's scores on each dataset.
  /** @param {string[]} words @param {string} tag */
  const cells = (words, tag) =>
    words.map((word, i) => {
      const cell = document.createElement(i ? tag : "th");
      cell.textContent = word;
      if (cell.tagName === "TH") cell.setAttribute("scope", tag === "th" ? "col" : "row");
      if (!i) cell.className = "name";
      return cell;
    });

  /** Scores of a model on each dataset, as the heat map of a metric has them.
   * @param {Element} part @param {string} key */
  const scores = (part, key) => {
    const metric = /** @type {HTMLElement} */ (part).dataset.metric;
    const row = document.querySelector(`#heat [data-metric="${metric}"] tr[data-m="${key}"]`);
    return [...(row?.querySelectorAll("td") ?? [])].map((cell) => cell.textContent ?? "");
  };

  /** @param {HTMLTableElement} table @param {HTMLTableCellElement} cell */
  const unfold = (table, cell) => {
    const part = table.closest("[data-metric]");
    const place = part?.querySelector(".unfolded");
    if (!part || !place) return;
    const row = /** @type {HTMLTableRowElement} */ (cell.parentElement);
    const pair = [row, table.tBodies[0].rows[cell.cellIndex - 1]];
    const titles = pair.map((one) => one.querySelector("bdi")?.textContent ?? "");
    const title = `${titles[0]} and ${titles[1]}: ${part.getAttribute("data-metric")} on each dataset`;
    const again = place.querySelector("caption")?.textContent === title;
    place.replaceChildren();
    if (again) return;
    const made = document.createElement("table");
    made.dataset.plain = "";
    made.createCaption().textContent = title;
    made.createTHead().insertRow().append(...cells(["dataset", ...titles], "th"));
    const body = made.createTBody();
    const [first, second] = pair.map((one) => scores(part, one.dataset.m ?? ""));
    ["mean", ...names].forEach((name, i) => body.insertRow().append(...cells([name, first[i], second[i]], "td")));
    place.append(made);
  };

  /** @param {HTMLTableElement} table */
  const matrix = (table) => {
    const rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("td")]);
    const told = rows.flat().filter((cell) => cell.dataset.told);
    table.setAttribute("role", "grid");
    for (const cell of told) {
      cell.tabIndex = cell === told[0] ? 0 : -1;
      cell.setAttribute("aria-label", cell.dataset.told ?? "");
    }
    /** @param {HTMLTableCellElement} cell */
    const reach = (cell) => {
      for (const other of told) other.tabIndex = other === cell ? 0 : -1;
      cell.focus();
    };
    table.addEventListener("keydown", (event) => {
      const at = /** @type {Element} */ (event.target).closest("td");
      if (!at?.dataset.told) return;
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        unfold(table, at);
        return;
      }
      /** @type {Record<string, [number, number]>} */
      const steps = {
        ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0],
        Home: [0, -rows.length], End: [0, rows.length],
      };
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      let y = rows.findIndex((row) => row.includes(at));
      let x = rows[y].indexOf(at);
      if (Math.abs(step[1]) > 1) {
        const own = rows[y].filter((cell) => cell.dataset.told);
        reach(step[1] < 0 ? own[0] : own[own.length - 1]);
        return;
      }
      // The diagonal, which compares nothing, is passed over.
      do {
        y += step[0];
        x += step[1];
      } while (rows[y]?.[x] && !rows[y][x].dataset.told);
      if (rows[y]?.[x]) reach(rows[y][x]);
    });
    table.addEventListener("click", (event) => {
      const at = /** @type {Element} */ (event.target).closest("td");
      if (!at?.dataset.told) return;
      reach(at);
      unfold(table, at);
    });
  };
  for (const table of all("table.pairs")) matrix(/** @type {HTMLTableElement} */ (table));

  // The navigation is open where there is room beside the page.
  const menu = /** @type {HTMLDetailsElement | null} */ (document.querySelector(".side details"));
  const narrow = matchMedia("(max-width: 63.99rem)");
  const fold = () => {
    if (menu) menu.open = !narrow.matches;
  };
  narrow.addEventListener("change", fold);
  fold();

  addEventListener("hashchange", read);
  // Rows that are unpacked later show which model is chosen, too.
  document.addEventListener("unpacked", show);
  read();
})();
