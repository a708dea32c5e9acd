/* Filters and sorts the scorecard's table. Without this script the table is shown whole. */
(() => {
  const FIRST = 40; // rows shown before a reader asks for all
  const table = document.getElementById("score-table");
  const form = document.getElementById("score-filters");
  const count = document.getElementById("score-count");
  const more = document.getElementById("score-more");
  if (!table || !form) return;

  const body = table.tBodies[0];
  const printed = [...body.rows]; // the papers' own order
  const text = new Map(printed.map((row) => [row, row.textContent.toLowerCase()]));
  const heads = [...table.tHead.rows[0].cells];
  const words = new Intl.Collator("en", { numeric: true });
  let sorted = { column: -1, way: "" };
  let all = false;

  const chosen = () => Object.fromEntries(new FormData(form));

  function matches(row, wanted) {
    return Object.entries(wanted).every(([name, value]) =>
      name === "text"
        ? value.toLowerCase().split(/\s+/).every((word) => text.get(row).includes(word))
        : !value || row.dataset[name] === value
    );
  }

  function inOrder(rows) {
    if (!sorted.way) return rows;
    const number = heads[sorted.column].classList.contains("num");
    const sign = sorted.way === "ascending" ? 1 : -1;
    const key = (row) => row.cells[sorted.column].dataset.key;
    return rows.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (!x || !y) return !x - !y; // no value comes last either way
      return sign * (number ? x - y : words.compare(x, y));
    });
  }

  function show() {
    const wanted = chosen();
    const rows = inOrder(printed.slice());
    const found = rows.filter((row) => matches(row, wanted));
    const kept = new Set(found);
    rows.forEach((row) => { row.hidden = !kept.has(row); });
    found.forEach((row, i) => row.classList.toggle("later", !all && i >= FIRST));
    body.replaceChildren(...rows);
    const later = all ? 0 : Math.max(0, found.length - FIRST);
    count.textContent = `${found.length} of ${printed.length} rows` +
      (later ? `; the first ${FIRST} are shown` : "");
    more.hidden = !later;
    more.textContent = `Show all ${found.length}`;
    remember(wanted);
  }

  // The address keeps the filters, so that a view can be linked.
  function remember(wanted) {
    const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
    const address = location.pathname + (query.size ? `?${query}` : "") + location.hash;
    try { history.replaceState(null, "", address); } catch { /* some browsers refuse this for files */ }
  }

  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const ways = { "": "ascending", ascending: "descending", descending: "" };
      sorted = { column, way: ways[sorted.column === column ? sorted.way : ""] };
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (sorted.way) head.setAttribute("aria-sort", sorted.way);
      show();
    });
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { all = false; show(); });
  form.addEventListener("reset", () => setTimeout(() => { all = false; show(); })); // once it is cleared
  more.addEventListener("click", () => {
    all = true;
    show();
    const next = body.querySelectorAll("tr:not([hidden])")[FIRST].cells[0]; // the button is gone: go on there
    next.tabIndex = -1;
    next.focus();
  });

  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = form.elements.namedItem(name);
    if (field) field.value = value;
  }
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  all = printed.includes(target); // a link to one claim must find it
  form.hidden = false;
  show();
  if (all) target.scrollIntoView();
})();
