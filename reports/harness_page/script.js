"use strict";
// Every table can be sorted, filtered, narrowed to some columns and saved. Without this script all
// of them are there, in the order of the report.
(() => {
  const NUMBER = /([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)([kMG])?/;
  const UNITS = { k: 1e3, M: 1e6, G: 1e9 };

  const text = (cell) => cell.textContent.trim();

  const number = (words) => {
    const found = NUMBER.exec(words.replace(/,(?=\d{3})/g, ""));
    if (!found) return NaN;
    const value = Number(found[1]) * (UNITS[found[2]] ?? 1);
    return words.includes("<") ? value * (1 - 1e-9) : value;
  };

  const element = (name, attributes, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  const sort = (table, column, button) => {
    const heads = [...table.tHead.rows[0].cells];
    const head = heads[column];
    const rows = [...table.tBodies[0].rows];
    const keyed = rows.map((row, i) => ({ row, i, words: text(row.cells[column]) }));
    const known = keyed.filter((one) => one.words !== "" && one.words !== "–");
    const numeric = known.length > 0 && known.every((one) => /^[^\p{L}]*\d/u.test(one.words));
    const descending = head.getAttribute("aria-sort") === "ascending" ||
      (numeric && head.getAttribute("aria-sort") !== "descending");
    const sign = descending ? -1 : 1;
    const collator = new Intl.Collator("en", { numeric: true });
    for (const one of known) one.key = numeric ? number(one.words) : one.words;
    known.sort((a, b) =>
      sign * (numeric ? a.key - b.key : collator.compare(a.key, b.key)) || a.i - b.i);
    // What has no figure comes last, whichever way the others go.
    const unknown = keyed.filter((one) => !("key" in one));
    const body = document.createDocumentFragment();
    for (const one of [...known, ...unknown]) body.append(one.row);
    table.tBodies[0].append(body);
    for (const other of heads) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    button.focus();
  };

  const filter = (table, words, told) => {
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const line = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => line.includes(word));
      shown += !row.hidden;
    }
    told.textContent = wanted.length ? `${shown} of ${table.tBodies[0].rows.length} rows` : "";
  };

  const show = (table, column, shown) => {
    for (const row of table.rows) row.cells[column].hidden = !shown;
  };

  const quoted = (words) => {
    // A spreadsheet takes what begins like this for a formula; a number is none.
    const number = /^[-+](inf|[\d.]+(e[-+]?\d+)?)( ?[%\p{L}]+)?$/u.test(words);
    const safe = /^[=+\-@\t\r]/.test(words) && !number ? `'${words}` : words;
    return /[",\n\r]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
  };

  // An interval has columns of its own, and what marks a figure stands after it.
  const csv = (table) => {
    const rows = [...table.rows].filter((row) => !row.hidden);
    const wide = [...table.tHead.rows[0].cells].map((_, i) =>
      rows.some((row) => row.cells[i].querySelector("small")));
    const fields = (cell, i) => {
      const interval = cell.querySelector("small");
      if (!wide[i]) return [text(cell)];
      if (cell.parentElement.parentElement === table.tHead) {
        const name = text(cell).replace(/ \[95%\]$/, "");
        return [name, `${name} low`, `${name} high`, `${name} mark`];
      }
      const ends = interval ? interval.textContent.slice(1, -1).split(", ") : ["", ""];
      const words = text(cell).replace(interval ? interval.textContent : "", "").trim();
      const figure = NUMBER.exec(words);
      const value = figure ? figure[0] : words;
      return [value, ...ends, words.replace(value, "").trim()];
    };
    const lines = rows.map((row) => [...row.cells].flatMap((cell, i) =>
      cell.hidden ? [] : fields(cell, i).map(quoted)).join(","));
    return lines.join("\r\n") + "\r\n";
  };

  const save = (table) => {
    const url = URL.createObjectURL(new Blob([csv(table)], { type: "text/csv;charset=utf-8" }));
    const link = element("a", { href: url, download: `${table.dataset.name}.csv` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };

  // Our own CSV: a quote is doubled within quotes, and what would be a formula stands after a '.
  const parsed = (words) => {
    const rows = [[]];
    for (const [, field, end] of words.matchAll(/("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n)/g)) {
      const plain = field.startsWith('"') ? field.slice(1, -1).replace(/""/g, '"') : field;
      rows.at(-1).push(plain.replace(/^'(?=[=+\-@\t\r])/, ""));
      if (end !== ",") rows.push([]);
    }
    return rows.slice(1, -1);
  };

  // Of many rows a page shows some, and all of them once somebody looks.
  const unpack = async (table) => {
    const link = table.closest("details").querySelector("a[download]");
    if (!link) return;
    const packed = atob(link.getAttribute("href").split(",")[1]);
    const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const body = document.createDocumentFragment();
    for (const values of parsed(await new Response(stream).text())) {
      const row = table.tBodies[0].rows[0].cloneNode(true);
      values.forEach((value, i) => {
        (row.cells[i].querySelector("bdi") ?? row.cells[i]).textContent = value;
      });
      body.append(row);
    }
    table.tBodies[0].replaceChildren(body);
    table.caption.querySelector("span").remove();
    link.parentElement.remove();
  };

  const equip = (table, number) => {
    const heads = [...table.tHead.rows[0].cells];
    const name = table.caption.textContent.trim();
    heads.forEach((head, column) => {
      const button = element("button", { type: "button" }, ...head.childNodes);
      button.addEventListener("click", () => sort(table, column, button));
      head.setAttribute("aria-sort", "none");
      head.append(button);
    });
    const told = element("span", { role: "status" });
    const tools = element("div", { class: "tools" });
    if (table.tBodies[0].rows.length > 5) {
      const field = element("input", { type: "search", id: `filter-${number}` });
      field.addEventListener("input", () => filter(table, field.value, told));
      tools.append(element("label", { for: `filter-${number}` }, "Filter ", field), told);
    }
    const choice = element("fieldset", {}, element("legend", {}, "Columns"));
    heads.forEach((head, column) => {
      const box = element("input", { type: "checkbox" });
      box.checked = true;
      box.addEventListener("change", () => show(table, column, box.checked));
      choice.append(element("label", {}, box, text(head)));
    });
    tools.append(element("details", {}, element("summary", {}, "Choose columns"), choice));
    const button = element("button", { type: "button" }, "Save as CSV");
    button.setAttribute("aria-label", `Save as CSV: ${name}`);
    button.addEventListener("click", () => save(table));
    tools.append(button);
    const place = table.parentElement;
    place.before(tools);
    place.tabIndex = 0;
    place.setAttribute("role", "region");
    place.setAttribute("aria-label", `${name} (${number})`);
  };

  // What is folded away is equipped when it is opened: a page of many tables is there at once.
  let count = 0;
  let pictures = 0;
  const begin = (table) => {
    count += 1;
    equip(table, count);
  };
  for (const picture of document.querySelectorAll(".picture")) {
    picture.tabIndex = 0;
    picture.setAttribute("role", "region");
    picture.setAttribute("aria-label", `Picture ${++pictures}`);
  }
  addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("section > details")) folded.open = true;
  });
  for (const table of document.querySelectorAll("table")) {
    const folded = table.closest("details");
    if (folded) {
      // An old browser that cannot unpack keeps some rows, and the link to all of them.
      const begun = () => unpack(table).catch(() => {}).then(() => begin(table));
      folded.addEventListener("toggle", begun, { once: true });
    } else {
      begin(table);
    }
  }
})();
