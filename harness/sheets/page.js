// @ts-check
"use strict";
// Every table can be sorted, filtered, narrowed to some columns and saved. Without this script all
// of them are there, in the order of the report.
(() => {
  /** @typedef {{row: HTMLTableRowElement, i: number, words: string, key: number | string}} Keyed */

  const NUMBER = /([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)([kMG])?/;
  const MARKED = new RegExp(`^[≈?*†<\\s]*${NUMBER.source}[*†\\s]*$`);
  const DATE = /^(\d{4}-\d\d-\d\d|\d{1,2} \p{Lu}\p{Ll}+ \d{4})/u;
  /** @type {Record<string, number>} */
  const UNITS = { k: 1e3, M: 1e6, G: 1e9 };

  const text = (/** @type {Element} */ cell) => (cell.textContent ?? "").trim();
  const headOf = (/** @type {HTMLTableElement} */ table) =>
    /** @type {HTMLTableSectionElement} */ (table.tHead).rows[0];
  const nameOf = (/** @type {HTMLTableElement} */ table) => table.caption ? text(table.caption) : "";

  const number = (/** @type {string} */ words) => {
    const found = NUMBER.exec(words.replace(/,(?=\d{3})/g, ""));
    if (!found) return NaN;
    const value = Number(found[1]) * (UNITS[found[2] ?? ""] ?? 1);
    return words.includes("<") ? value * (1 - 1e-9) : value;
  };

  /**
   * @template {keyof HTMLElementTagNameMap} K
   * @param {K} name
   * @param {Record<string, string>} attributes
   * @param {(Node | string)[]} children
   */
  const element = (name, attributes, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  /**
   * @param {HTMLTableElement} table
   * @param {number} column
   * @param {HTMLButtonElement} button
   */
  const sort = (table, column, button) => {
    const heads = [...headOf(table).cells];
    const head = heads[column];
    const rows = [...table.tBodies[0].rows];
    const keyed = rows.map((row, i) => {
      const words = text(row.cells[column]);
      return /** @type {Keyed} */ ({ row, i, words, key: words });
    });
    const isKnown = (/** @type {Keyed} */ one) => one.words !== "" && one.words !== "–";
    const known = keyed.filter(isKnown);
    const numeric = known.length > 0 &&
      known.every((one) => /^[^\p{L}]*\d/u.test(one.words) && !DATE.test(one.words));
    const descending = head.getAttribute("aria-sort") === "ascending" ||
      (numeric && head.getAttribute("aria-sort") !== "descending");
    const sign = descending ? -1 : 1;
    const collator = new Intl.Collator("en", { numeric: true });
    const dated = known.length > 0 && known.every((one) => /^\d{1,2} /.test(one.words) && DATE.test(one.words));
    for (const one of known) {
      if (numeric) one.key = number(one.words);
      else if (dated) one.key = Date.parse(one.words.replace(",", ""));
    }
    known.sort((a, b) => {
      const order = numeric || dated ? Number(a.key) - Number(b.key) : collator.compare(a.words, b.words);
      return sign * order || a.i - b.i;
    });
    // What has no figure comes last, whichever way the others go.
    const unknown = keyed.filter((one) => !isKnown(one));
    const body = document.createDocumentFragment();
    for (const one of [...known, ...unknown]) body.append(one.row);
    table.tBodies[0].append(body);
    for (const other of heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    button.focus();
  };

  /**
   * @param {HTMLTableElement} table
   * @param {string} words
   * @param {HTMLElement} told
   */
  const filter = (table, words, told) => {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const line = [...row.cells].map((cell) => cell.hidden ? "" : text(cell)).join(" ").toLowerCase();
      row.hidden = !wanted.every((word) => line.includes(word));
      if (!row.hidden) shown += 1;
    }
    told.textContent = wanted.length ? `${shown} of ${table.tBodies[0].rows.length} rows` : "";
  };

  /**
   * @param {HTMLTableElement} table
   * @param {number} column
   * @param {boolean} shown
   */
  const show = (table, column, shown) => {
    for (const row of table.rows) row.cells[column].hidden = !shown;
  };

  const quoted = (/** @type {string} */ words) => {
    // A spreadsheet takes what begins like this for a formula; a number is none.
    const number = /^[-+](inf|[\d.]+(e[-+]?\d+)?)( ?[%\p{L}]+)?$/u.test(words);
    const safe = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(words) && !number ? `'${words}` : words;
    return /[",\n\r]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
  };

  // A column's figures stand alone: the ends of an interval, and what marks a figure, have columns
  // of their own.
  const csv = (/** @type {HTMLTableElement} */ table) => {
    const [head, ...body] = [...table.rows].filter((row) => !row.hidden);
    const columns = [...head.cells].map((_, i) => body.map((row) => row.cells[i]));
    const bare = (/** @type {HTMLTableCellElement} */ cell) => {
      const interval = cell.querySelector("small")?.textContent ?? "";
      return { words: text(cell).replace(interval, "").trim(), ends: interval };
    };
    const wide = columns.map((cells) => cells.some((cell) => cell.querySelector("small")));
    const marked = columns.map((cells, i) => {
      const known = cells.map((cell) => bare(cell).words).filter((words) => words !== "" && words !== "–");
      const figures = known.length > 0 && known.every((words) => MARKED.test(words));
      return wide[i] || (figures && known.some((words) => /[≈?*†<]/.test(words)));
    });
    const fields = (/** @type {HTMLTableCellElement} */ cell, /** @type {number} */ i) => {
      if (cell.parentElement === head) {
        const name = text(cell).replace(/ \(95%\)$/, "");
        const ends = wide[i] ? [`${name} low`, `${name} high`] : [];
        return [name, ...ends, ...(marked[i] ? [`${name} mark`] : [])];
      }
      const { words, ends } = bare(cell);
      const figure = NUMBER.exec(words);
      const value = !marked[i] ? words : figure ? figure[0] : "";
      const both = ends ? ends.slice(1, -1).split(" to ") : ["", ""];
      const mark = words.replace(value, "").trim();
      return [value, ...(wide[i] ? both : []), ...(marked[i] ? [mark] : [])];
    };
    const rows = [head, ...body];
    const lines = rows.map((row) => [...row.cells].flatMap((cell, i) =>
      cell.hidden ? [] : fields(cell, i).map(quoted)).join(","));
    return lines.join("\r\n") + "\r\n";
  };

  const save = (/** @type {HTMLTableElement} */ table) => {
    const url = URL.createObjectURL(new Blob([csv(table)], { type: "text/csv;charset=utf-8" }));
    const link = element("a", { href: url, download: `${table.dataset.name}.csv` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };

  // Our own CSV: a quote is doubled within quotes, and what would be a formula stands after a '.
  const parsed = (/** @type {string} */ words) => {
    /** @type {string[][]} */
    const rows = [[]];
    for (const [, field, end] of words.matchAll(/("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n)/g)) {
      const plain = field.startsWith('"') ? field.slice(1, -1).replace(/""/g, '"') : field;
      rows[rows.length - 1].push(plain.replace(/^'(?=[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])/, ""));
      if (end !== ",") rows.push([]);
    }
    return rows.slice(1, -1);
  };

  const unzipped = (/** @type {string} */ packed) => {
    const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };

  // Of many rows of data a page shows some, and all of them once somebody looks.
  const unpack = async (/** @type {HTMLTableElement} */ table) => {
    const link = table.closest("details")?.querySelector("a[download]");
    const packed = link?.getAttribute("href")?.split(",")[1];
    if (!link || !packed) return;
    const body = document.createDocumentFragment();
    for (const values of parsed(await unzipped(packed))) {
      const row = /** @type {HTMLTableRowElement} */ (table.tBodies[0].rows[0].cloneNode(true));
      values.forEach((value, i) => {
        (row.cells[i].querySelector("bdi") ?? row.cells[i]).textContent = value;
      });
      body.append(row);
    }
    table.tBodies[0].replaceChildren(body);
    table.caption?.querySelector("span")?.remove();
    link.parentElement?.remove();
  };

  // Long tables show their first rows; a script element beside the table holds all rows as HTML.
  const restOf = (/** @type {HTMLTableElement} */ table) => {
    let next = (table.closest(".grid") ?? table).nextElementSibling;
    while (next?.matches("p, .tools")) next = next.nextElementSibling;
    return next?.matches("script.rest") ? /** @type {HTMLScriptElement} */ (next) : null;
  };
  const complete = async (/** @type {HTMLTableElement} */ table) => {
    const rest = restOf(table);
    if (!rest) return;
    const html = await unzipped(text(rest));
    for (const body of [...table.tBodies]) body.remove();
    table.insertAdjacentHTML("beforeend", html);
    rest.previousElementSibling?.remove();
    rest.remove();
    document.dispatchEvent(new Event("unpacked"));
  };
  /**
   * @param {HTMLTableElement} table
   * @param {() => void} act
   */
  const withAll = (table, act) => {
    if (restOf(table)) complete(table).catch(() => {}).then(act);
    else act();
  };

  // Whoever has no mouse must get at what is scrolled to, and only at that.
  const reachable = (/** @type {HTMLElement} */ place, /** @type {string} */ name) => {
    place.setAttribute("role", "region");
    place.setAttribute("aria-label", name);
    const seen = new ResizeObserver(() => {
      if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
      else place.removeAttribute("tabindex");
    });
    seen.observe(place);
    if (place.firstElementChild) seen.observe(place.firstElementChild);
  };

  const equip = (/** @type {HTMLTableElement} */ table, /** @type {number} */ number) => {
    const heads = [...headOf(table).cells];
    const name = nameOf(table);
    heads.forEach((head, column) => {
      const button = element("button", { type: "button" }, ...head.childNodes);
      button.addEventListener("click", () => withAll(table, () => sort(table, column, button)));
      head.setAttribute("aria-sort", "none");
      head.append(button);
    });
    const told = element("span", { role: "status" });
    const tools = element("div", { class: "tools" });
    const field = element("input", { type: "search", "aria-label": `Filter ${name}` });
    if (table.tBodies[0].rows.length > 5) {
      field.addEventListener("input", () => withAll(table, () => filter(table, field.value, told)));
      tools.append(element("label", {}, "Filter ", field), told);
    }
    const choice = element("fieldset", {}, element("legend", {}, "Columns"));
    heads.forEach((head, column) => {
      if (table.tBodies[0].rows[0]?.cells[column].scope) return; // a row is nothing without its name
      const box = element("input", { type: "checkbox" });
      box.checked = true;
      box.addEventListener("change", () => {
        show(table, column, box.checked);
        filter(table, field.value, told);
      });
      choice.append(element("label", {}, box, text(head)));
    });
    const summary = element("summary", { "aria-label": `Choose columns: ${name}` }, "Choose columns");
    tools.append(element("details", {}, summary, choice));
    const button = element("button", { type: "button" }, "Save as CSV");
    button.setAttribute("aria-label", `Save as CSV: ${name}`);
    button.addEventListener("click", () => withAll(table, () => save(table)));
    tools.append(button);
    const place = table.parentElement;
    place?.before(tools);
    if (place && !place.hasAttribute("role")) reachable(place, `${name} (${number})`);
  };

  const tables = (/** @type {string} */ selector) =>
    /** @type {HTMLTableElement[]} */ ([...document.querySelectorAll(selector)]);

  // What is folded away is equipped when it is opened: a page of many tables is there at once.
  let count = 0;
  let pictures = 0;
  const begin = (/** @type {HTMLTableElement} */ table) => {
    count += 1;
    equip(table, count);
  };
  for (const picture of document.querySelectorAll(".picture")) {
    const title = picture.querySelector("title")?.textContent;
    reachable(/** @type {HTMLElement} */ (picture), `Picture ${++pictures}: ${title}`);
  }
  const names = new Map();
  for (const { dataset } of tables("table")) {
    const before = names.get(dataset.name) ?? 0;
    names.set(dataset.name, before + 1);
    if (before) dataset.name += `-${before + 1}`;
  }
  // What is wider than paper is printed in parts, the names of the rows beside each.
  const PAPER = 960;
  const parts = (/** @type {HTMLTableElement} */ table) => {
    const cells = [...headOf(table).cells];
    const named = [...(table.tBodies[0].rows[0]?.cells ?? [])].findIndex((cell) => cell.scope);
    const widths = cells.map((cell) => cell.offsetWidth);
    /** @type {Set<number>[]} */
    const found = [];
    let room = 0;
    widths.forEach((width, i) => {
      if (i === named || cells[i].hidden) return;
      if (width > room || !found.length) {
        found.push(new Set([named]));
        room = PAPER - (widths[named] ?? 0);
      }
      found[found.length - 1].add(i);
      room -= width;
    });
    return found;
  };
  const divide = (/** @type {HTMLTableElement} */ table) => {
    if (table.offsetWidth <= PAPER) return;
    for (const kept of parts(table).reverse()) {
      const part = /** @type {HTMLTableElement} */ (table.cloneNode(true));
      for (const row of part.rows) {
        [...row.cells].forEach((cell, i) => kept.has(i) || cell.remove());
      }
      table.parentElement?.after(element("div", { class: "grid paper" }, part));
    }
    table.parentElement?.classList.add("screen");
  };
  addEventListener("beforeprint", () => {
    const folds = "section > details, .unfold, .unfold details";
    for (const folded of document.querySelectorAll(folds)) folded.setAttribute("open", "");
    for (const table of tables("section .grid table")) divide(table);
  });
  addEventListener("afterprint", () => {
    for (const part of document.querySelectorAll(".paper")) part.remove();
    for (const whole of document.querySelectorAll(".screen")) whole.classList.remove("screen");
  });
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      begin(/** @type {HTMLTableElement} */ (target));
    }
  }, { rootMargin: "50%" });
  for (const script of document.querySelectorAll("script.rest")) {
    const rest = /** @type {HTMLScriptElement} */ (script);
    const button = element("button", { type: "button" }, `Show all ${rest.dataset.rows}`);
    const table = tables("table").findLast((one) => restOf(one) === rest);
    button.addEventListener("click", () => table && complete(table));
    rest.previousElementSibling?.append(button);
  }
  const started = new WeakSet();
  const start = () => {
    for (const table of tables("table")) {
      if (started.has(table)) continue;
      started.add(table);
      const folded = table.closest("details");
      if ("plain" in table.dataset) {
        const place = /** @type {HTMLElement | null} */ (table.closest(".grid"));
        if (place) reachable(place, `${nameOf(table)} (${++count})`);
      } else if (folded) {
        // An old browser that cannot unpack keeps some rows, and the link to all of them.
        const begun = () => unpack(table).catch(() => {}).then(() => begin(table));
        folded.addEventListener("toggle", begun, { once: true });
      } else if (table.closest(".tab")) {
        if (table.parentElement) reachable(table.parentElement, `${nameOf(table)} (${++count})`);
        near.observe(table);
      } else {
        begin(table);
      }
    }
  };
  start();
  // What is unpacked later has tables, too.
  document.addEventListener("unpacked", start);
})();
