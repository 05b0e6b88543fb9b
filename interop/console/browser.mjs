// The console in headless Chromium, through real clicks and keys, with axe-core on every page.
//
//   node browser.mjs fixture http://127.0.0.1:9645     the made-up broker of tools/console
//   node browser.mjs many    http://127.0.0.1:9645     the same with 10,000 groups
//   node browser.mjs live    http://127.0.0.1:9644     a broker, while the Go test lets members come and go: it reads lines on stdin
//
// Nothing here waits for time to pass, but where it is to be seen that nothing happens. It prints a line for each thing it checked, and ends with status 1 at the first that is not so. SHOTS=dir keeps screenshots;
// ONLY=throughClicks runs that step alone.
import assert from "node:assert/strict";
import { readFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const [mode, base] = process.argv.slice(2);
const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

const looks = {
  "laptop-light": { viewport: { width: 1366, height: 850 }, colorScheme: "light" },
  "laptop-dark": { viewport: { width: 1366, height: 850 }, colorScheme: "dark" },
  "phone-light": { viewport: { width: 390, height: 844 }, colorScheme: "light", hasTouch: true, isMobile: true },
  "phone-dark": { viewport: { width: 390, height: 844 }, colorScheme: "dark", hasTouch: true, isMobile: true },
};

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
const said = (what) => console.log("ok", what);

// open is a page that fails the test when a script fails, the policy is broken, a dialog opens, or another host is asked.
async function open(path, options = looks["laptop-light"]) {
  const context = await browser.newContext({ locale: "en-US", ...options });
  const page = await context.newPage();
  const faults = [];
  page.on("console", (m) => m.type() === "error" && !m.location().url.endsWith("expected404") && faults.push(m.text()));
  page.on("pageerror", (e) => faults.push(String(e)));
  page.on("dialog", (d) => (faults.push("a dialog: " + d.message()), d.dismiss()));
  page.on("request", (r) => new URL(r.url()).host === new URL(base).host || faults.push("asks " + r.url()));
  page.faults = faults;
  page.asks = new Set(); // what is not answered yet
  page.on("request", (r) => r.resourceType() !== "eventsource" && page.asks.add(r));
  for (const end of ["requestfinished", "requestfailed"]) page.on(end, (r) => page.asks.delete(r));
  page.setDefaultTimeout(60000); // of a machine that does much else meanwhile
  await page.goto(base + path, { waitUntil: "load" });
  return page;
}
async function done(page) {
  assert.deepEqual(page.faults, [], page.url());
  await page.context().close();
}

// drawn waits until the timeline, if there is one, is as wide as there is room: then it is not asked for again by itself.
const drawn = (page) =>
  page.waitForFunction(() => {
    const figure = document.querySelector("figure.timeline");
    return !figure || Math.abs(Number(figure.dataset.width) - document.getElementById("timeline-box").clientWidth) <= 8;
  });

// still waits until a page that is paused or hidden has had all its answers, and done with them what it does.
async function still(page) {
  await drawn(page);
  for (let quiet = 0; quiet < 3; quiet++) {
    await page.evaluate(() => new Promise((done) => setTimeout(done)));
    if (page.asks.size > 0) quiet = -1;
  }
}

// updates waits until the page has put in what is new, so many times.
const updates = (page, n) =>
  page.evaluate((n) => new Promise((done) => document.addEventListener("updated", () => --n || done())), n);

// moved does something, and waits until the timeline shows another time.
async function moved(page, act) {
  const before = await page.evaluate(timeline);
  await act();
  await page.waitForFunction((was) => { const d = document.querySelector("figure.timeline").dataset; return d.from !== was.from || d.to !== was.to; }, { from: before.from, to: before.to });
}

async function accessible(page, what) {
  await page.evaluate(axe);
  const result = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const found = result.violations.map((v) => `${v.id}: ${v.help}\n    ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200) + " " + (n.failureSummary || "").slice(0, 300)).join("\n    ")}`);
  assert.equal(found.length, 0, `${what}:\n  ${found.join("\n  ")}`);
}

const hostile = "\"><script>alert('x')</script><svg onload=alert(1)>&amp;\u202egnp.exe\x00\n\ndata: {\"all\":true}\r\n</title>{{.}}";
const group = (name, more = "") => "/console/group?name=" + encodeURIComponent(name) + more;
const timeline = () => document.querySelector("figure.timeline").dataset;

async function everyPageInEveryLook() {
  const ms = (s) => Date.parse("2026-01-15T" + s + "Z");
  const pages = {
    groups: "/console/",
    payments: group("payments"),
    close: group("payments", `&from=${ms("11:28:58")}&to=${ms("11:29:06")}`),
    orders: group("orders-push"),
    crowd: group("crowd"),
    hostile: group(hostile),
    empty: group("nobody-here"),
    incident: "/console/incident?group=payments&id=20260115T113800.000-g5",
    topics: "/console/topics?internal=1",
    topic: "/console/topic?name=payments",
  };
  for (const [look, options] of Object.entries(looks)) {
    for (const [name, path] of Object.entries(pages)) {
      const page = await open(path, options);
      await drawn(page);
      for (const d of await page.locator(".incidents details").all()) if ((await d.getAttribute("open")) === null && name === "payments") await d.locator("summary").click();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${name}, ${look}: ${wide} pixels stand out to the right`);
      await accessible(page, `${name}, ${look}`);
      if (shots) await page.screenshot({ path: `${shots}/${name}-${look}.png`, fullPage: name !== "crowd" });
      await done(page);
    }
    said(`${Object.keys(pages).length} pages, ${look}: axe-core finds nothing, nothing stands out, no other host`);
  }
  for (const name of ["groups", "payments", "incident"]) {
    const page = await open(pages[name], { ...looks["laptop-light"], locale: "zh-CN" });
    for (const d of await page.locator(".incidents details").all()) await d.locator("summary").click();
    const english = await page.locator("main [lang=en]").allTextContents();
    assert.deepEqual(english, [], "sentences of the journal in English on a Chinese page");
    await accessible(page, "Chinese");
    if (shots) await page.screenshot({ path: `${shots}/${name}-chinese.png`, fullPage: true });
    await done(page);
  }
  said("pages in Chinese, and no sentence of the journal in English; axe-core finds nothing");
}

async function throughClicks() {
  const page = await open("/console/");
  await page.getByLabel("Search by name").fill("pay");
  await page.getByRole("button", { name: "Show" }).click();
  await page.waitForURL(/q=pay/);
  assert.equal(await page.locator("tbody tr").count(), 1);
  await page.getByRole("link", { name: "payments", exact: true }).click();
  await page.waitForURL(/name=payments/);
  said("search, and a click on the group");

  await page.locator("#live").click(); // nothing moves under the pointer
  await still(page);
  await page.evaluate(() => (window.kept = true)); // a load of the page would lose it
  const before = await page.evaluate(timeline);
  await page.getByRole("link", { name: "Closer" }).click();
  await page.waitForFunction((was) => document.querySelector("figure.timeline").dataset.from !== was, before.from);
  const closer = await page.evaluate(timeline);
  assert.ok(Math.abs((closer.to - closer.from) * 2 - (before.to - before.from)) < 1000, "closer is not half of the time");
  await page.goBack();
  await page.waitForFunction((n) => { const d = document.querySelector("figure.timeline").dataset; return Math.abs(d.to - d.from - n) < 1000; }, before.to - before.from);
  assert.ok(await page.evaluate(() => window.kept), "the page was loaded anew");
  said("Closer, and back, without loading the page");

  const ribbon = await page.locator(".ribbons .r path.own").nth(3).evaluate((p) => { const at = p.getPointAtLength(20).matrixTransform(p.getScreenCTM()); return { x: at.x, y: at.y }; });
  await page.mouse.move(ribbon.x, ribbon.y);
  await page.locator(".tip", { hasText: /^payments-\d+: payments-/ }).waitFor();
  said("a ribbon under the pointer says whose it was: " + (await page.locator(".tip").textContent()));

  const box = await page.locator(".plot svg").boundingBox();
  await page.mouse.move(box.x + 700, box.y + box.height - 8);
  await page.mouse.down();
  await page.mouse.move(box.x + 800, box.y + box.height - 8, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/from=\d+&to=\d+/);
  const dragged = await page.evaluate(timeline);
  assert.ok(dragged.to - dragged.from < (before.to - before.from) / 5, "the drag did not look closer");
  assert.ok(await page.evaluate(() => window.kept), "the drag loaded the page anew");
  said("a drag looks closer");

  await page.locator(".presets").getByRole("link", { name: "1 h", exact: true }).click();
  await page.waitForURL(/span=1h/);
  await page.locator(".plot").focus();
  await page.keyboard.press("ArrowLeft");
  await page.waitForURL(/from=/);
  await moved(page, () => page.keyboard.press("+"));
  await moved(page, () => page.keyboard.press("ArrowRight"));
  assert.ok(await page.evaluate(() => document.activeElement.matches(".plot")), "the focus was lost on the way");
  said("the arrow keys and plus move the timeline, and the focus stays");

  await page.goto(base + group("payments"));
  const flag = page.locator("a.flag.c-bad").first();
  await flag.focus();
  await page.locator(".tip").waitFor();
  const words = await flag.getAttribute("aria-label");
  assert.match(words, /C07 .*took/);
  await flag.press("Enter");
  await page.waitForURL(/console\/incident/);
  assert.match(await page.locator("#h-evidence + ul").textContent(), /last fetched from its partitions/);
  await page.getByRole("link", { name: "Show on the timeline" }).click();
  await page.waitForURL(/console\/group.*from=/);
  assert.ok((await page.locator(".marks .arrived").count()) > 0, "the members' marks are not drawn close up");
  said("a cause leads to its evidence and back to the timeline, close up");

  await page.goto(base + group("payments"));
  const summary = page.locator(".incidents summary").nth(1);
  await summary.focus();
  await page.keyboard.press("Enter");
  assert.ok(await page.locator(".incidents details").nth(1).evaluate((d) => d.open));
  await page.locator("#live").click(); // and on again
  await summary.focus();
  await updates(page, 1);
  assert.ok(await page.locator(".incidents details").nth(1).evaluate((d) => d.open), "an update closed what was open");
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "SUMMARY");
  said("a live update leaves what is open open, and the focus where it is");

  const live = page.locator("#live");
  assert.equal(await live.textContent(), "live");
  await live.press("Space");
  assert.equal(await live.textContent(), "paused");
  assert.equal(await live.getAttribute("aria-pressed"), "true");
  await still(page);
  let asked = 0;
  page.on("request", () => asked++);
  await page.waitForTimeout(3500);
  assert.equal(asked, 0, "a paused page asks");
  await live.click();
  await page.waitForFunction(() => document.getElementById("live").textContent === "live");
  said("live updates can be paused");

  const hide = (hidden) => page.evaluate((h) => (Object.defineProperty(document, "hidden", { value: h, configurable: true }), document.dispatchEvent(new Event("visibilitychange"))), hidden);
  await hide(true);
  await still(page); // what was asked before is answered
  asked = 0;
  await page.waitForTimeout(3500);
  assert.equal(asked, 0, "a hidden page asks");
  const stream = page.waitForResponse((r) => r.url().endsWith("/console/events"));
  await hide(false);
  await stream;
  said("a hidden page lets its stream go, and takes it up again");

  await page.getByRole("link", { name: "中文" }).click();
  await page.waitForFunction(() => document.documentElement.lang === "zh");
  assert.match(page.url(), /name=payments/);
  await page.getByRole("link", { name: "主题", exact: true }).click();
  await page.waitForURL(/topics/);
  assert.equal(await page.evaluate(() => document.documentElement.lang), "zh");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.type), "search");
  await page.getByLabel("包括内部主题").check();
  await page.getByRole("button", { name: "显示" }).click();
  await page.waitForURL(/internal=1/);
  await page.getByRole("link", { name: "payments", exact: true }).click();
  await page.getByRole("link", { name: "payments", exact: true }).click();
  await page.waitForURL(/group\?name=payments/);
  said("the other language stays; topics lead to their groups");
  await done(page);
}

async function byKeyboardAlone() {
  for (const path of ["/console/", group("payments"), group("orders-push"), "/console/topics", "/console/incident?group=payments&id=20260115T113800.000-g5"]) {
    const page = await open(path);
    await page.locator("#live").click(); // nothing moves meanwhile
    await still(page);
    await page.evaluate(() => document.activeElement.blur());
    const all = await page.evaluate(() => {
      const list = [...document.querySelectorAll("a[href], button, summary, input, select, [tabindex='0']")].filter((e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== "hidden" && !e.closest("details:not([open]) > :not(summary)"));
      list.forEach((e, i) => (e.dataset.n = i));
      return list.map((e) => e.outerHTML.slice(0, 90));
    });
    const seen = new Set();
    for (let i = 0; i < all.length + 20 && seen.size < all.length; i++) {
      await page.keyboard.press("Tab");
      const n = await page.evaluate(() => document.activeElement?.dataset.n);
      if (n !== undefined) seen.add(Number(n));
    }
    const missed = all.filter((_, i) => !seen.has(i));
    assert.deepEqual(missed, [], path);
    await page.context().close();
    said(`${path}: ${all.length} controls, each reached by Tab`);
  }
}

async function hostileNames() {
  const page = await open("/console/");
  await page.locator("tbody th a").first().click();
  await page.waitForURL(/group\?name=%22/);
  assert.match(await page.locator("h1").textContent(), /^"><script>alert\('x'\)/);
  await page.locator(".incidents summary").first().click();
  await page.locator("a.flag").first().hover();
  await updates(page, 2); // after two events with the name in them
  await page.locator("a.flag").first().hover();
  await page.locator("a.flag").first().click();
  await page.waitForURL(/incident/);
  assert.equal(await page.locator("main script, main svg[onload]").count(), 0);
  await page.goto(base + "/console/topics");
  await page.locator("tbody th a").first().click();
  await page.waitForURL(/topic\?name=%22/);
  assert.equal(await page.locator("main script").count(), 0);
  await done(page);
  said("hostile names are text everywhere");
}

async function withoutScripts() {
  const page = await open(group("payments"), { ...looks["laptop-light"], javaScriptEnabled: false });
  await page.getByRole("link", { name: "Closer" }).click();
  await page.waitForURL(/span=30m/);
  await page.getByRole("link", { name: "Earlier" }).click();
  await page.waitForURL(/from=/);
  await page.locator(".incidents summary").first().click();
  await page.locator(".incidents").getByRole("link", { name: /All facts/ }).first().click();
  await page.waitForURL(/incident/);
  await done(page);
  said("everything works without scripts");
}

// many is a broker with ten thousand groups: what a page holds does not grow with them, nor with the time that it stays open.
async function many() {
  for (const look of ["laptop-light", "phone-dark"]) {
    const page = await open("/console/", looks[look]);
    assert.match(await page.locator("#sum").textContent(), /^10,\d\d\d groups/);
    const cdp = await page.context().newCDPSession(page);
    await cdp.send("Performance.enable");
    const size = async () => {
      await cdp.send("HeapProfiler.collectGarbage");
      const m = Object.fromEntries((await cdp.send("Performance.getMetrics")).metrics.map((m) => [m.name, m.value]));
      return { nodes: m.Nodes, megabytes: Math.round(m.JSHeapUsedSize / 1e5) / 10, elements: await page.evaluate(() => document.querySelectorAll("*").length) };
    };
    assert.equal(await page.locator("tbody tr").count(), 100);
    const first = await size();
    assert.ok(first.elements < 2500, `${first.elements} elements`);
    await updates(page, 3);
    await page.locator("#live").click();
    await still(page);
    const later = await size();
    assert.ok(later.nodes < 1.5 * first.nodes + 500 && later.elements < 2500, `${first.nodes} nodes became ${later.nodes} after three updates`);
    said(`10,000 groups, ${look}: ${first.elements} elements, ${first.nodes} nodes, ${first.megabytes} MB of script memory; after three updates ${later.nodes} nodes, ${later.megabytes} MB`);
    await accessible(page, "many, " + look);
    if (shots) await page.screenshot({ path: `${shots}/many-${look}.png` });

    // By keyboard alone: search, order, the next page.
    await page.keyboard.press("/");
    await page.keyboard.type("many-0999");
    await page.keyboard.press("Enter");
    await page.waitForURL(/q=many-0999/);
    assert.equal(await page.locator("tbody tr").count(), 10);
    await page.keyboard.press("/");
    await page.keyboard.press("Delete");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.type("unst");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.waitForURL(/q=&.*sort=unstable/);
    const shares = (await page.locator("td.unstable span").allTextContents()).map((t) => parseFloat(t.replace(/[^0-9.]/g, ""))); // "4.0%", "<0.1%"
    assert.ok(shares.length === 100 && shares.every((s, i) => i === 0 || s <= shares[i - 1]), "not in the order of instability: " + shares);
    await page.locator("a[rel=next]").focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/page=2/);
    assert.match(await page.locator(".foot").textContent(), /101 to 200 of 10,/);
    await done(page);

    const hot = await open(group("stormy", "&span=168h"), looks[look]);
    await drawn(hot);
    const n = await hot.evaluate(() => document.querySelectorAll("*").length);
    assert.ok(n < 8000, `${n} elements`);
    await accessible(hot, "stormy, " + look);
    if (shots) await hot.screenshot({ path: `${shots}/stormy-${look}.png` });
    await done(hot);
    said(`search, order and paging by keyboard; a group with very many incidents has ${n} elements`);
  }
}

// live watches a group's page while members come and go; the Go test says on stdin what it did.
async function live() {
  const page = await open(group("shop"));
  await page.evaluate(() => (window.kept = true));
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, value] = line.split(" ");
    if (what === "members") {
      await page.waitForFunction((n) => document.querySelectorAll("#members tbody tr").length === Number(n), value, { timeout: 30000 });
      assert.ok(await page.evaluate(() => window.kept), "the page was loaded anew");
      said(`${value} members, and nobody loaded the page`);
    } else if (what === "incidents") {
      await page.waitForFunction((n) => document.querySelectorAll(".incidents > li").length >= Number(n), value, { timeout: 30000 });
      said(`${value} incidents or more`);
    }
  }
  if (shots) await page.screenshot({ path: `${shots}/live.png`, fullPage: true });
  await accessible(page, "live");
  await done(page);
}

try {
  if (mode === "live") await live();
  else if (mode === "many") await many();
  else
    for (const step of [everyPageInEveryLook, throughClicks, byKeyboardAlone, hostileNames, withoutScripts])
      if (!process.env.ONLY || process.env.ONLY === step.name) await step();
} catch (e) {
  console.log("failed:", e.message);
  console.error(e.stack);
  process.exitCode = 1;
} finally {
  await browser.close();
}
