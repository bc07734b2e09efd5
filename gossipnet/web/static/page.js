// The page's frame: a session, the views, and the stream that feeds them. No data is built from
// markup: everything that comes from the mesh goes through textContent.
import * as live from "/static/live.js";
import * as mesh from "/static/mesh.js";
import * as browse from "/static/browse.js";

export const byId = (id) => document.getElementById(id);

export function make(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

export function told(seconds) {
  const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  let rest = Math.round(seconds);
  const parts = [];
  for (const [name, size] of units) {
    if (rest >= size) parts.push(Math.floor(rest / size) + name);
    rest %= size;
  }
  return parts.slice(0, 2).join(" ") || "0s";
}

export const clock = (wall) => new Date(wall * 1000).toLocaleTimeString([], { hour12: false });

export async function ask(path, body) {
  const response = await fetch(path, body === undefined ? {} : {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

export function trouble(text) {
  byId("trouble").hidden = !text;
  byId("trouble").textContent = text || "";
}

const views = ["members", "mesh", "events", "state", "trust"];

function show() {
  const asked = location.hash.slice(2).split("/")[0];
  const view = views.includes(asked) ? asked : "members";
  for (const name of views) {
    byId("view-" + name).hidden = name !== view;
    const link = document.querySelector(`nav [data-view=${name}]`);
    if (name === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = view[0].toUpperCase() + view.slice(1) + " – gossipnet";
  if (view === "state") browse.shown();
}

async function enter() {
  const code = /^#c=([0-9a-f]+)$/.exec(location.hash);
  if (code) {
    history.replaceState(null, "", "/#/members");  // the code must not stay in the history
    await ask("/session", { code: code[1] });
  }
  return ask("/api/overview");
}

function listen() {
  const stream = new EventSource("/api/live");
  stream.addEventListener("overview", (event) => {
    trouble("");
    const found = JSON.parse(event.data);
    live.overview(found);
    mesh.draw(found);
  });
  stream.addEventListener("change", (event) => live.change(JSON.parse(event.data)));
  stream.addEventListener("gap", (event) => live.gap(JSON.parse(event.data).lost));
  stream.addEventListener("trouble", (event) => trouble(JSON.parse(event.data).text));
  stream.onerror = () => trouble("The page's server does not answer; trying again.");
}

addEventListener("hashchange", show);
show();
try {
  const first = await enter();
  live.start(first);
  live.overview(first);
  mesh.draw(first);
  browse.start(first.writes);
  show();
  listen();
} catch (error) {
  trouble(error.message);
}
