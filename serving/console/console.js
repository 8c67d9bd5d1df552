// The console: asks the service's own interface and shows what it answers. Nothing is loaded from elsewhere.

import { intervalChart, shareChart, weeksChart, windowChart } from "./charts.js";

const at = (id) => document.getElementById(id);
const shown = { customer: null, currency: "", zone: "UTC", before: null };
let key = "";

// ---------------------------------------------------------------- words and numbers

function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  const { text, ...attributes } = options;
  if (text !== undefined) made.textContent = text;
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

function money(amount, digits = 2) {
  const text = amount.toLocaleString(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return shown.currency ? `${text} ${shown.currency}` : text;
}

const percent = (share) => `${(share * 100).toLocaleString(undefined, { maximumFractionDigits: 1 })}%`;
const decimal = (value) => value.toLocaleString(undefined, { maximumFractionDigits: 1 });
// The service writes instants in the business time zone: the date as written is the shop's date.
const dayOf = (iso) => (iso ? iso.slice(0, 10) : "–");
const dayOfTime = (time) => new Date(time).toISOString().slice(0, 10);
const timeOf = (iso) => Date.parse(`${iso.slice(0, 19)}Z`);

// ---------------------------------------------------------------- asking the service

async function ask(path, body) {
  const headers = { Accept: "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const options = { headers, method: body ? "POST" : "GET", body: body ? JSON.stringify(body) : undefined };
  const answer = await fetch(path, { ...options, cache: "no-store" });
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  if (answer.status === 401) askForKey();
  throw new Error([told.detail ?? `Status ${answer.status}`, told.expected && `Expected ${told.expected}.`, told.cure]
    .filter(Boolean).join(" "));
}

const customerPath = (id) => `/v1/customers/${encodeURIComponent(id)}`;
const offersOf = (id, mode) => ask("/v1/recommendations", { customer_id: id, n: 8, mode, reasons: true });

function say(text = "") {
  at("message").textContent = text;
}

async function guarded(work) {
  say();
  try {
    return await work();
  } catch (error) {
    say(error.message);
    return undefined;
  }
}

// ---------------------------------------------------------------- key

function askForKey() {
  key = "";
  at("key-form").hidden = false;
  at("key").focus();
}

at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = at("key").value.trim();
  at("key").value = "";
  at("key-form").hidden = true;
  guarded(begin);
});

// ---------------------------------------------------------------- lists one can type into

function combo(input, list, find, choose) {
  let rows = [];
  let active = -1;
  let asked = 0;

  function mark(index) {
    active = rows.length ? (index + rows.length) % rows.length : -1;
    [...list.children].forEach((row, i) => row.setAttribute("aria-selected", String(i === active)));
    if (active >= 0) {
      input.setAttribute("aria-activedescendant", list.children[active].id);
      list.children[active].scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  function close() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    mark(-1);
  }

  function take(index) {
    const row = rows[index];
    close();
    choose(row);
  }

  async function open() {
    const number = ++asked;
    const found = await guarded(() => find(input.value.trim()));
    if (number !== asked || !found) return;
    rows = found;
    list.replaceChildren(...rows.map((row, i) => {
      const option = element("li", { role: "option", id: `${list.id}-${i}`, "aria-selected": "false" },
        element("span", { text: row.label }), element("small", { text: row.note }));
      option.addEventListener("mousedown", (event) => { event.preventDefault(); take(i); });
      return option;
    }));
    list.hidden = rows.length === 0;
    input.setAttribute("aria-expanded", String(rows.length > 0));
    active = -1;
  }

  input.addEventListener("input", open);
  input.addEventListener("focus", open);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      mark(active + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Escape") close();
    else if (event.key === "Enter" && !list.hidden && active >= 0) {
      event.preventDefault();
      take(active);
    }
  });
  return { close };
}

const customers = combo(at("search"), at("found"), async (text) => {
  const found = await ask(`/v1/customers?limit=12&search=${encodeURIComponent(text)}`);
  return found.customers.map((row) => ({
    id: row.customer_id, label: row.customer_id, note: `${row.orders} orders, last ${dayOf(row.last_purchase_at)}`,
  }));
}, (row) => { at("search").value = row.id; open(row.id); });

let chosenItem = null;

combo(at("item"), at("items"), async (text) => {
  const found = await ask(`/v1/items?limit=12&search=${encodeURIComponent(text)}`);
  return found.items.map((row) => ({ ...row, label: row.name, note: row.group ?? "" }));
}, (row) => { chosenItem = row; at("item").value = row.name; });

at("item").addEventListener("input", () => { chosenItem = null; });

at("finder").addEventListener("submit", (event) => {
  event.preventDefault();
  customers.close();
  const id = at("search").value.trim();
  if (id) open(id);
});

// ---------------------------------------------------------------- one customer

async function state(id) {
  const [scores, offers, facts] = await Promise.all([
    ask(`${customerPath(id)}/scores?reasons=true`),
    offersOf(id, mode()).catch((error) => ({ offers: [], trouble: error.message })),
    ask(customerPath(id)).catch(() => null),
  ]);
  return { scores, offers, facts };
}

async function open(id) {
  await guarded(async () => {
    const answers = await state(id);
    shown.customer = id;
    at("moved").replaceChildren();
    show(answers);
    history.replaceState(null, "", `#${encodeURIComponent(id)}`);
    at("customer").hidden = false;
    at("customer").focus({ preventScroll: true });
  });
}

function show({ scores, offers, facts }) {
  shown.currency = scores.currency;
  shown.before = { scores, offers };
  at("currency").textContent = scores.currency ? `(${scores.currency})` : "";
  at("who").textContent = shown.customer;
  showFacts(facts, scores);
  showChurn(scores.churn);
  showValue(scores.value, scores.as_of);
  showOffers(offers);
  showOrders(facts?.last_orders ?? []);
}

function showFacts(facts, scores) {
  const rows = facts ? [
    ["Orders", facts.orders], ["Spend", money(facts.spend)], ["First purchase", dayOf(facts.first_purchase_at)],
    ["Last purchase", dayOf(facts.last_purchase_at)], ...Object.entries(facts.attributes).map(([name, value]) => [name.replaceAll("_", " "), value ?? "–"]),
  ] : [["Known purchases", "none: answers rest on everybody else's"]];
  if (facts?.events_since_snapshot) rows.push(["Reported since the import", facts.events_since_snapshot]);
  rows.push(["As of", scores.as_of.slice(0, 16).replace("T", " ")]);
  if (scores.batch_run) rows.push(["In batch run", scores.batch_run]);
  at("facts").replaceChildren(...rows.map(([name, value]) =>
    element("div", {}, element("dt", { text: name }), element("dd", { text: value }))));
  at("weeks").replaceChildren(facts?.weeks.length ? weeksChart(facts.weeks, money)
    : element("p", { class: "quiet", text: "No purchases yet." }));
}

const reasonList = (reasons) => element("ul", { class: "reasons" },
  ...reasons.map((reason) => element("li", { text: reason.text })));

const nothing = () => element("p", { class: "quiet", text: "No such model is published. Run barista check to see why." });

function showChurn(churn) {
  if (!churn) { at("churn").replaceChildren(nothing()); return; }
  const label = `Probability of no purchase: ${percent(churn.probability)}`;
  at("churn").replaceChildren(
    element("p", { class: "big", text: percent(churn.probability) }),
    element("p", { class: "quiet", text: `chance of no purchase in the next ${churn.horizon_days} days` }),
    shareChart(churn.probability, label), reasonList(churn.reasons),
  );
}

function showValue(value, asOf) {
  if (!value) { at("value").replaceChildren(nothing()); return; }
  const year = value.year_is_extrapolated ? "a year, extrapolated" : "a year";
  const parts = [
    element("p", { class: "big", text: money(value.expected_spend) }),
    element("p", { class: "quiet", text: `expected in ${value.horizon_days} days, 80% interval below; `
      + `${decimal(value.expected_orders)} orders; ${money(value.year_spend)} ${year}` }),
    intervalChart(value.spend_low, value.expected_spend, value.spend_high, money),
  ];
  if (value.next_purchase_at) {
    const due = [value.next_purchase_low, value.next_purchase_at, value.next_purchase_high].map(timeOf);
    parts.push(element("p", { class: "quiet", text: `Next purchase around ${dayOf(value.next_purchase_at)}, `
      + `80% by ${dayOf(value.next_purchase_high)}` }), windowChart(timeOf(asOf), ...due, dayOfTime));
  }
  at("value").replaceChildren(...parts);
}

function showOffers(answer) {
  if (answer.trouble || !answer.offers.length) {
    const text = answer.trouble ?? "Nothing to offer in this mode.";
    at("offers").replaceChildren(element("li", { class: "quiet", text }));
    return;
  }
  at("offers").replaceChildren(...answer.offers.map((offer) => element("li", {},
    element("span", { class: "rank", text: offer.rank }),
    element("span", { class: "name", text: offer.name },
      element("span", { class: "tag", text: offer.novelty }),
      ...(offer.group && offer.group !== offer.name ? [element("span", { class: "tag", text: offer.group })] : [])),
    element("span", { class: "chance", text: `${percent(offer.probability)} · ${money(offer.expected_value)}` }),
    element("div", { class: "why" }, reasonList(offer.reasons)),
  )));
}

function showOrders(orders) {
  const lines = (order) => order.lines.map((line) =>
    `${line.quantity === 1 ? "" : `${decimal(line.quantity)} × `}${line.name ?? "unlisted product"}`).join(", ");
  at("orders").replaceChildren(...(orders.length ? orders.map((order) => element("li", {},
    element("strong", { text: `${dayOf(order.occurred_at)} · ${money(order.amount)}` }),
    element("div", { class: "quiet", text: lines(order) }))) : [element("li", { class: "quiet", text: "None." })]));
}

const mode = () => at("modes").querySelector("input:checked").value;

at("modes").addEventListener("change", () => guarded(async () => {
  const offers = await offersOf(shown.customer, mode()).catch((error) => ({ offers: [], trouble: error.message }));
  shown.before.offers = offers;
  showOffers(offers);
}));

// ---------------------------------------------------------------- a purchase and what it moves

at("purchase").addEventListener("submit", (event) => {
  event.preventDefault();
  guarded(async () => {
    if (!chosenItem) throw new Error("Choose an item from the list.");
    const button = event.submitter;
    const before = shown.before;
    const line = { product_id: chosenItem.product_id, quantity: Number(at("quantity").value), amount: Number(at("amount").value) };
    button.disabled = true;
    try {
      await ask("/v1/events", { events: [
        { event_id: `console-${freshId()}`, type: "purchase", customer_id: shown.customer, lines: [line] },
      ] });
      const after = await state(shown.customer);
      show(after);
      at("moved").replaceChildren(movedTable(before, after));
    } finally {
      button.disabled = false;
    }
  });
});

function freshId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function movedTable(before, after) {
  const rows = [];
  const [then, now] = [before.scores, after.scores];
  if (then.churn && now.churn) {
    const trend = now.churn.probability > then.churn.probability ? "up" : "down";
    rows.push(["Churn", percent(then.churn.probability), percent(now.churn.probability), trend]);
  }
  if (then.value && now.value) {
    rows.push(["Expected spend", money(then.value.expected_spend), money(now.value.expected_spend), ""]);
    rows.push(["Next purchase", dayOf(then.value.next_purchase_at), dayOf(now.value.next_purchase_at), ""]);
  }
  const names = (answer) => answer.offers.slice(0, 3).map((offer) => offer.name).join(", ") || "–";
  rows.push([`Top offers (${mode()})`, names(before.offers), names(after.offers), ""]);
  const head = element("tr", {}, ...["", "before", "after"].map((text) => element("th", { text, scope: "col" })));
  return element("table", { class: "moved" }, element("caption", { class: "hidden", text: "What the purchase moved" }), head,
    ...rows.map(([name, old, fresh, trend]) => element("tr", {},
      element("th", { text: name, scope: "row" }), element("td", { text: old }),
      element("td", trend ? { text: fresh, class: trend } : { text: fresh }))));
}

// ---------------------------------------------------------------- start

async function begin() {
  const models = await ask("/v1/models");
  at("state").textContent = `as of ${models.as_of.slice(0, 16).replace("T", " ")} · snapshot ${models.snapshot_id}`;
  const missing = Object.entries(models.missing).map(([name, why]) => `${name}: none (${why})`);
  at("models").textContent = [...models.models.map((model) => `${model.name} ${model.version} (${model.kind})`), ...missing]
    .join(" · ");
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (wanted) {
    at("search").value = wanted;
    await open(wanted);
  } else at("search").focus();
}

if (document.documentElement.dataset.needsKey === "yes") askForKey();
else guarded(begin);
