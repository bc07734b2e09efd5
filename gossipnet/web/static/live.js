// What changes by itself: health, members, links, charts, events, trust.
import { ask, byId, clock, make, told } from "/static/page.js";

const HISTORY = 120, CHANGES = 200;
const columns = [
  ["name", "Name"], ["state", "State"], ["address", "Address"], ["rtt_ms", "Round trip", "n"],
  ["behind", "Behind", "n"], ["roles", "Roles"], ["zone", "Zone"], ["version", "Version"],
];
const tone = {
  alive: "good", suspect: "warn", dead: "bad", revoked: "bad", away: "soft", left: "soft",
  warning: "warn", error: "bad", debug: "soft",
};
const mark = { alive: "● ", suspect: "◐ ", dead: "○ ", revoked: "✕ ", away: "◌ ", left: "– " };
let sort = ["name", 1], newest = null, before = null, paused = false;
const rates = { "commands a second": [], "commits a second": [], "kB a second from peers": [], "seconds behind": [] };

export function start(first) {
  const head = document.querySelector("#members thead tr");
  for (const [name, title, kind] of columns) {
    const cell = make("th", null, { scope: "col", "data-name": name, ...(kind && { class: kind }) });
    const button = make("button", title, { type: "button" });
    button.addEventListener("click", () => {
      sort = [name, sort[0] === name ? -sort[1] : 1];
      members(newest);
    });
    cell.append(button);
    head.append(cell);
  }
  byId("member-filter").addEventListener("input", () => members(newest));
  byId("pause").addEventListener("click", () => {
    paused = !paused;
    byId("pause").setAttribute("aria-pressed", paused);
    byId("pause").textContent = paused ? "Go on" : "Pause";
  });
  byId("invite").addEventListener("submit", invite);
  for (const part of byId("invite").elements) part.disabled = !first.writes;
  if (!first.writes) byId("invitation").textContent = "This page only reads: start gossipnet web --allow-writes to invite from here.";
}

export function overview(found) {
  newest = found;
  byId("mesh-name").textContent = `${found.status.mesh} · ${found.status.name}`;
  verdict(found);
  members(found);
  links(found);
  charts(found);
  events(found);
  trust(found);
  conflicts(found);
}

function fact(value, what, kind) {
  const box = make("div", null, { class: "fact" });
  box.append(make("b", value, kind ? { class: kind } : {}), make("span", what));
  return box;
}

function verdict({ status, members }) {
  const alive = members.filter((row) => row.state === "alive").length;
  const failing = members.filter((row) => ["suspect", "dead"].includes(row.state));
  const facts = [
    fact(`${alive} of ${members.length} alive`, failing.length ? failing.slice(0, 3).map((row) => row.name).join(", ") + " not answering" : "members", failing.length ? "warn" : "good"),
    status.converged ? fact("converged", "nothing known is missing", "good") : fact(`behind ${status.lag_s.toFixed(1)} s`, "something is missing", "warn"),
    fact(status.keys.toLocaleString(), "keys"),
    fact(`${Math.floor(status.certificate_days)} days`, "certificate", status.certificate_days < 14 ? "warn" : ""),
    fact(status.disk, "disk", status.disk === "ok" ? "" : "bad"),
    fact(status.drops.toLocaleString(), "drops", status.drops ? "warn" : ""),
  ];
  if (status.clock && status.clock.complaint) facts.push(fact("clock", status.clock.complaint, "bad"));
  // Rebuilt only when its words change: a screen reader would read it every second.
  const words = facts.map((one) => one.textContent).join("|");
  if (byId("verdict").dataset.words === words) return;
  byId("verdict").dataset.words = words;
  byId("verdict").replaceChildren(...facts);
}

const order = (value) => (Array.isArray(value) ? value.join() : value);

function members(found) {
  if (!found) return;
  const wanted = byId("member-filter").value.toLowerCase();
  const rows = found.members.filter((row) => Object.values(row).join(" ").toLowerCase().includes(wanted));
  const [name, way] = sort;
  rows.sort((a, b) => {
    const [x, y] = [order(a[name]), order(b[name])];
    if (x === null || y === null) return (x === null) - (y === null);
    return way * (typeof x === "number" ? x - y : String(x).localeCompare(String(y)));
  });
  for (const cell of document.querySelectorAll("#members th")) {
    if (cell.dataset.name === name) cell.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
    else cell.removeAttribute("aria-sort");
  }
  fill("members", rows.slice(0, 500).map((row) => {
    const own = row.id === found.status.node_id;
    const line = make("tr");
    const first = make("td");
    const link = make("a", row.name + (own ? " (this node)" : ""), { href: "#/members/" + row.id });
    link.addEventListener("click", () => detail(row));
    first.append(link);
    line.append(first, make("td", (mark[row.state] || "") + row.state, { class: tone[row.state] || "" }),
      make("td", row.address), make("td", row.rtt_ms === null ? "–" : row.rtt_ms.toFixed(1) + " ms", { class: "n" }),
      make("td", row.behind === null ? "–" : row.behind, { class: "n" }), make("td", row.roles.join(", ")),
      make("td", row.zone || "–"), make("td", row.version));
    return line;
  }));
}

function detail(row) {
  const list = make("dl");
  for (const [name, value] of Object.entries(row)) list.append(make("dt", name), make("dd", Array.isArray(value) ? value.join(", ") : value));
  byId("member-detail").replaceChildren(make("h3", row.name), list);
}

function links(found) {
  fill("links", found.peers.map((row) => {
    const line = make("tr");
    line.append(make("td", row.name), make("td", row.address), make("td", row.direction),
      make("td", row.eager ? "eager" : row.neighbour ? "lazy" : "–"),
      make("td", row.rtt_ms === null ? "–" : row.rtt_ms.toFixed(1) + " ms", { class: "n" }),
      make("td", row.behind === null ? "–" : row.behind, { class: "n" }), make("td", told(row.since_s), { class: "n" }));
    return line;
  }));
}

function charts(found) {
  const now = { at: found.at, commands: +found.info.total_commands_processed, commits: found.status.commits, bytes: (found.status.costs || {}).bytes || 0 };
  if (before && now.at > before.at) {
    const per = (name) => Math.max(0, now[name] - before[name]) / (now.at - before.at);
    push("commands a second", per("commands"));
    push("commits a second", per("commits"));
    push("kB a second from peers", per("bytes") / 1000);
    push("seconds behind", found.status.lag_s);
  }
  before = now;
  byId("charts").replaceChildren(...Object.entries(rates).map(([name, values]) => chart(name, values)));
}

function push(name, value) {
  rates[name].push(value);
  if (rates[name].length > HISTORY) rates[name].shift();
}

function chart(name, values) {
  const top = Math.max(...values, 1e-9), last = values.length ? values[values.length - 1] : 0;
  const path = values.map((value, i) => `${i ? "L" : "M"}${(i * 240) / (HISTORY - 1)} ${44 - (value / top) * 40}`).join("");
  const figure = make("figure"), svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 240 48");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${name}: now ${last.toFixed(1)}, highest ${top < 1e-8 ? 0 : top.toFixed(1)}`);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  figure.append(svg, make("figcaption", `${last.toFixed(1)} ${name}`));
  return figure;
}

function events(found) {
  fill("events", found.events.slice(-100).reverse().map((row) => {
    const line = make("tr");
    line.append(make("td", clock(row.wall)), make("td", row.level, { class: tone[row.level] || "" }), make("td", row.kind), make("td", row.text, { class: "text" }));
    return line;
  }));
}

export function change(row) {
  if (paused) return;
  const line = make("tr"), body = document.querySelector("#changes tbody");
  const key = make("td"), link = make("a", text(row.key), { href: "#/state/" + encodeURIComponent(text(row.key)), class: "key" });
  key.append(link);
  line.append(make("td", clock(row.wall_ms / 1000)), make("td", row.event), key, make("td", row.value === null ? "" : text(row.value), { class: "text" }), make("td", row.author));
  body.prepend(line);
  while (body.rows.length > CHANGES) body.lastChild.remove();
}

export function gap(lost) {
  const line = make("tr");
  line.append(make("td", `${lost} changes came faster than this page could take them`, { colspan: 5, class: "warn" }));
  document.querySelector("#changes tbody").prepend(line);
}

export const text = (value) => (value && value.base64 !== undefined ? `${value.bytes} bytes, base64 ${value.base64}` : String(value));

function trust({ status, members }) {
  const root = (status.trust || {}).root || {}, certificate = status.certificate || {};
  const facts = [
    ["Mesh", status.mesh_id], ["This node", `${status.name} · ${status.node_id}`], ["Roles", status.roles.join(", ")],
    ["Certificate ends", certificate.not_after ? new Date(certificate.not_after * 1000).toLocaleString() : "–"],
    ["Renewal", certificate.renewal + (certificate.warning ? ": " + certificate.warning : "")],
    ["Root", `version ${root.version}, ${root.rule}, known to ${Math.round((root.share || 0) * 100)} % of members`],
    ["Revoked", members.filter((row) => row.state === "revoked").map((row) => row.name).join(", ") || "nobody"],
    ["Logs with two histories", (status.trust || {}).forks || 0],
  ];
  byId("trust").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
}

function conflicts(found) {
  fill("conflicts", (found.conflicts || []).map((row) => {
    const line = make("tr");
    line.append(make("td", clock(row.wall)), make("td", row.key, { class: "key" }), make("td", row.kind), make("td", row.authors.join(", ")), make("td", row.outcome, { class: "text" }));
    return line;
  }));
}

async function invite(event) {
  event.preventDefault();
  const box = byId("invitation");
  try {
    const made = await ask("/api/invite", { ttl_s: +byId("ttl").value });
    if (made.error) throw new Error(made.error);
    box.replaceChildren(make("p", "On the other machine, once:"), make("code", `gossipnet join ${made.token}`),
      make("img", null, { src: made.qr, alt: "QR code of the token" }));
  } catch (error) {
    box.replaceChildren(make("p", error.message, { class: "bad" }));
  }
}

function fill(id, lines) {
  const body = document.querySelector(`#${id} tbody`);
  // Keep the keyboard where it is while rows are replaced under it.
  const held = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  body.replaceChildren(...lines);
  if (held) body.querySelector(`[href="${CSS.escape(held)}"]`)?.focus();
}
