// The timeline by hand: hover for words, drag to look closer, arrow keys and plus and minus. The server draws; this asks for other drawings.
import { replace } from "./live.js";

export function timeline() {
  const box = document.getElementById("timeline-box");
  if (!box) return;
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);

  let busy = null;
  let query = location.search; // of what is shown, or asked for
  let unpushed = false; // query is not in the history yet
  const figure = () => box.querySelector("figure");
  const plotWidth = () => Math.round(box.clientWidth);
  const remember = () => {
    document.cookie = `w=${plotWidth()}; path=/console; max-age=31536000; samesite=strict`;
  };

  // load asks for the drawing of another time; only the newest answer counts.
  const load = async (q, push) => {
    query = q;
    unpushed ||= push;
    if (busy) busy.abort();
    const mine = (busy = new AbortController());
    const params = new URLSearchParams(q);
    params.set("w", plotWidth());
    try {
      const answer = await fetch("/console/timeline?" + params, { signal: mine.signal });
      if (!answer.ok) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const holder = document.createElement("div");
      holder.append(...next.body.childNodes);
      replace(box, holder);
      if (unpushed) history.pushState({ timeline: q }, "", "/console/group" + q);
      unpushed = false;
    } catch (e) {
      if (e.name !== "AbortError") location.assign("/console/group" + q);
    }
  };

  box.addEventListener("click", (e) => {
    const a = e.target.closest(".ways a");
    if (!a || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    e.preventDefault();
    load(new URL(a.href).search, true);
  });
  addEventListener("popstate", () => {
    unpushed = false;
    load(location.search, false);
  });
  document.addEventListener("updated", () => {
    if (figure()?.dataset.span && !drag) load(query, false);
  });

  const keys = { ArrowLeft: "earlier", ArrowRight: "later", "+": "closer", "=": "closer", "-": "farther", "_": "farther" };
  box.addEventListener("keydown", (e) => {
    const way = keys[e.key];
    if (!way || e.ctrlKey || e.metaKey || e.altKey || !e.target.closest(".plot")) return;
    const a = box.querySelector(`a[data-way=${way}]`);
    if (!a) return;
    e.preventDefault();
    load(new URL(a.href).search, true);
  });

  // Hover and focus: the words of what is under the pointer, or has the focus.
  const say = (target, x, y) => {
    const at = target?.closest?.("[data-tip]");
    const text = at?.dataset.tip;
    box.querySelectorAll(".on").forEach((n) => n.classList.remove("on"));
    if (!text) {
      tip.hidden = true;
      return;
    }
    if (at.dataset.inc) box.querySelectorAll(`[data-inc="${CSS.escape(at.dataset.inc)}"]`).forEach((n) => n.classList.add("on"));
    tip.textContent = text;
    tip.hidden = false;
    const r = tip.getBoundingClientRect();
    tip.style.left = Math.max(6, Math.min(x + 12, innerWidth - r.width - 6)) + "px";
    tip.style.top = (y + 18 + r.height > innerHeight ? y - r.height - 10 : y + 18) + "px";
  };
  box.addEventListener("pointermove", (e) => {
    if (e.pointerType !== "touch" && !drag?.moved) say(e.target, e.clientX, e.clientY);
  });
  box.addEventListener("pointerleave", () => say(null));
  box.addEventListener("focusin", (e) => {
    const r = e.target.getBoundingClientRect();
    if (e.target.matches("[data-tip]")) say(e.target, r.left, r.bottom - 12);
  });
  box.addEventListener("focusout", () => say(null));
  addEventListener("keydown", (e) => e.key === "Escape" && say(null));

  // Drag over the plot to look closer at that time.
  let drag = null;
  const toX = (e, svg) => ((e.clientX - svg.getBoundingClientRect().left) * Number(figure().dataset.width)) / svg.getBoundingClientRect().width;
  box.addEventListener("pointerdown", (e) => {
    const svg = e.target.closest("svg");
    if (!svg || e.button || e.pointerType === "touch" || !e.target.closest(".plot")) return;
    drag = { svg, from: toX(e, svg), moved: false };
  });
  addEventListener("pointermove", (e) => {
    if (!drag) return;
    const x = toX(e, drag.svg);
    if (!drag.moved && Math.abs(x - drag.from) < 6) return;
    if (!drag.moved) {
      drag.moved = true;
      drag.rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      drag.rect.setAttribute("class", "selection");
      drag.rect.setAttribute("y", "0");
      drag.rect.setAttribute("height", drag.svg.getAttribute("height"));
      drag.svg.append(drag.rect);
      say(null);
    }
    drag.to = x;
    drag.rect.setAttribute("x", Math.min(x, drag.from));
    drag.rect.setAttribute("width", Math.abs(x - drag.from));
    e.preventDefault();
  });
  addEventListener("pointerup", () => {
    const d = drag;
    drag = null;
    if (!d?.moved) return;
    d.rect.remove();
    // The click that ends a drag is no click on what lies there.
    addEventListener("click", (e) => (e.preventDefault(), e.stopPropagation()), { capture: true, once: true });
    setTimeout(() => dispatchEvent(new Event("click")), 0);
    const f = figure().dataset;
    const at = (x) => {
      const share = (Math.min(Math.max(x, Number(f.left)), Number(f.right)) - Number(f.left)) / (Number(f.right) - Number(f.left));
      return Math.round(Number(f.from) + share * (Number(f.to) - Number(f.from)));
    };
    const [from, to] = [at(d.from), at(d.to)].sort((a, b) => a - b);
    if (to - from < 2) return;
    const q = new URLSearchParams(location.search);
    for (const key of ["span", "before", "w"]) q.delete(key);
    q.set("from", from);
    q.set("to", to);
    load("?" + q, true);
  });
  box.addEventListener("dragstart", (e) => e.preventDefault());

  // The drawing is as wide as there is room.
  let settle = 0;
  new ResizeObserver(() => {
    clearTimeout(settle);
    settle = setTimeout(() => {
      remember();
      if (figure() && Math.abs(Number(figure().dataset.width) - plotWidth()) > 8) load(query, false);
    }, 60);
  }).observe(box);
}
