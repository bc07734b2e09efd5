// The state by prefix: keys, one key by its type, and writes where they are allowed.
import { ask, byId, make, told, trouble } from "/static/page.js";
import { text } from "/static/live.js";

let cursor = 0, pattern = "*", writes = false, begun = false, found = [], open = null;

export function start(allowed) {
  writes = allowed;
  byId("find").addEventListener("submit", (event) => { event.preventDefault(); find(byId("pattern").value); });
  byId("more").addEventListener("click", more);
}

export function shown() {
  if (!begun) find(pattern);
  begun = true;
  const name = location.hash.slice(2).split("/").slice(1).join("/");
  if (name) look(decodeURIComponent(name));
}

async function find(wanted) {
  pattern = wanted || "*";
  byId("pattern").value = pattern;
  cursor = 0;
  found = [];
  await more();
}

async function more() {
  try {
    do {
      const page = await ask(`/api/keys?match=${encodeURIComponent(pattern)}&cursor=${cursor}`);
      cursor = page.cursor;
      found.push(...page.keys);
    } while (cursor && found.length % 200 === 0 && found.length === 0);
  } catch (error) { trouble(error.message); }
  const seen = new Map(found.map((row) => [text(row.key), row]));
  const rows = [...seen.values()].sort((a, b) => text(a.key).localeCompare(text(b.key)));
  byId("keys").replaceChildren(...rows.map((row) => {
    const item = make("li"), link = make("a", null, { href: "#/state/" + encodeURIComponent(text(row.key)) });
    link.append(make("span", row.type + " "), make("b", text(row.key), { class: "key" }));
    if (text(row.key) === open) link.setAttribute("aria-current", "true");
    item.append(link);
    return item;
  }));
  const counts = new Map();
  for (const row of rows) {
    const at = text(row.key).indexOf(":");
    if (at > 0) counts.set(text(row.key).slice(0, at + 1), (counts.get(text(row.key).slice(0, at + 1)) || 0) + 1);
  }
  byId("prefixes").replaceChildren(...[...counts].slice(0, 30).map(([prefix, count]) => {
    const link = make("a", `${prefix} ${count}`, { href: "#/state" });
    link.addEventListener("click", () => find(prefix + "*"));
    return link;
  }));
  byId("more").hidden = !cursor;
  if (!rows.length) byId("keys").append(make("li", "no key matches", { class: "soft" }));
}

async function look(name) {
  open = name;
  for (const link of document.querySelectorAll("#keys a")) {
    if (link.querySelector("b").textContent === name) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  let row;
  try { row = await ask("/api/key?name=" + encodeURIComponent(name)); } catch (error) { trouble(error.message); return; }
  const box = byId("key");
  if (!row) { box.replaceChildren(make("h3", name, { class: "key" }), make("p", "There is no such key any more.")); return; }
  const facts = [row.type, row.size === null ? null : `${row.size} ${row.type === "string" ? "bytes" : "elements"}`,
    row.ttl_ms > 0 ? `ends in ${told(row.ttl_ms / 1000)}` : null, "by " + (row.authors || []).map((one) => one.author).join(", ")];
  box.replaceChildren(make("h3", text(row.key), { class: "key" }), make("p", facts.filter(Boolean).join(" · ")), value(row));
  if (writes) box.append(edit(row, name));
}

function value(row) {
  if (row.type === "string") return make("pre", text(row.value));
  if (row.value === null || row.value === undefined) return make("p", "Its value is not shown.");
  const pairs = row.type === "hash" || row.type === "zset" || row.type === "stream";
  const heads = { hash: ["Field", "Value"], zset: ["Member", "Score"], stream: ["Entry", "Fields"] }[row.type] || [row.type === "list" ? "Element" : "Member"];
  const table = make("table"), head = make("tr"), wide = make("div", null, { class: "wide" });
  head.append(...heads.map((one) => make("th", one)));
  const rows = row.type === "zset" && !Array.isArray(row.value[0]) ? row.value.flatMap((one, i, all) => (i % 2 ? [] : [[one, all[i + 1]]])) : row.value;
  for (const one of rows) {
    const line = make("tr");
    if (pairs) line.append(make("td", text(one[0]), { class: "key" }), make("td", Array.isArray(one[1]) ? one[1].flat().map(text).join(" ") : text(one[1]), { class: "text" }));
    else line.append(make("td", text(one), { class: "text" }));
    table.append(line);
  }
  table.prepend(head);
  wide.append(table);
  return wide;
}

function edit(row, name) {
  const form = make("form"), box = make("div");
  const send = async (verb, ...words) => {
    try {
      const answer = await ask("/api/write", { verb, words });
      if (answer.error) throw new Error(answer.error);
      await look(name);
      if (verb === "del") await find(pattern);
    } catch (error) { box.replaceChildren(make("p", error.message, { class: "bad" })); }
  };
  const field = (label, id) => { const l = make("label", label + " "); l.append(make("input", null, { id, autocomplete: "off" })); return l; };
  if (row.type === "string" && typeof row.value === "string") {
    const area = make("textarea", row.value, { "aria-label": "New value", id: "new-value" });
    form.append(make("p"), area, make("button", "Save", { id: "save" }));
    form.addEventListener("submit", (event) => { event.preventDefault(); send("set", name, area.value); });
  } else if (row.type === "hash") {
    form.append(field("Field", "new-field"), field("Value", "new-value"), make("button", "Set field", { id: "save" }));
    form.addEventListener("submit", (event) => { event.preventDefault(); send("hset", name, byId("new-field").value, byId("new-value").value); });
  } else if (row.type === "set") {
    form.append(field("Member", "new-value"), make("button", "Add", { id: "save" }));
    form.addEventListener("submit", (event) => { event.preventDefault(); send("sadd", name, byId("new-value").value); });
  }
  const remove = make("button", "Delete this key", { type: "button", id: "delete" });
  remove.addEventListener("click", () => { if (confirm(`Delete ${name} on every machine?`)) send("del", name); });
  box.append(form, make("p"), remove);
  return box;
}
