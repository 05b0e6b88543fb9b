// Live updates: the broker says that something changed, and the page is asked for again; what is marked data-live and differs is replaced.
const PAUSE = { group: 1000, groups: 2000, topics: 4000 }; // at least, between two updates

export function live() {
  const body = document.body;
  if (body.dataset.retry) {
    setTimeout(() => location.reload(), Number(body.dataset.retry));
    return;
  }
  const watch = body.dataset.watch;
  const button = document.getElementById("live");
  if (!watch || !button) return;

  let paused = sessionStorage.getItem("paused") === "1";
  let source = null;
  let last = 0;
  let timer = 0;

  const show = (state) => {
    button.hidden = false;
    button.dataset.state = state;
    button.querySelector("span").textContent = button.dataset[state + "Text"];
    button.setAttribute("aria-pressed", String(paused));
    button.title = paused ? button.dataset.resume : button.dataset.pause;
  };

  const update = async () => {
    timer = 0;
    last = Date.now();
    try {
      const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" } });
      if (!answer.ok) return;
      const text = await answer.text();
      if (paused || document.hidden) return; // meanwhile; what is swapped in may ask for more
      swap(new DOMParser().parseFromString(text, "text/html"));
    } catch {
      // the stream tells when the broker is gone, and comes back by itself
    }
  };
  const soon = () => {
    if (timer || paused || document.hidden) return;
    timer = setTimeout(update, Math.max(50, last + PAUSE[watch] - Date.now()));
  };

  const open = () => {
    source = new EventSource("/console/events");
    let first = true;
    source.onopen = () => show("live");
    source.onerror = () => show("offline");
    source.onmessage = (e) => {
      const news = JSON.parse(e.data);
      const ours = news.all || news.tick || watch === "groups" || (watch === "group" && (news.groups || []).includes(body.dataset.name));
      if (ours && !first) soon();
      first = false;
    };
  };
  const close = () => {
    if (source) source.close();
    source = null;
    clearTimeout(timer);
    timer = 0;
  };

  button.addEventListener("click", () => {
    paused = !paused;
    sessionStorage.setItem("paused", paused ? "1" : "0");
    if (paused) {
      close();
      show("paused");
    } else {
      open();
      update();
    }
  });
  // A hidden page lets its connection go: browsers give one host six, and seven open tabs would keep each other from loading.
  document.addEventListener("visibilitychange", () => {
    if (paused) return;
    close();
    if (!document.hidden) {
      open();
      update();
    }
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (e) => {
    if (e.persisted && !paused && !source) open();
  });
  if (paused) show("paused");
  else if (!document.hidden) open();
}

// swap puts the new state of the page in place of the old one: open details stay open, and the focus stays where it is.
function swap(next) {
  for (const old of document.querySelectorAll("[data-live][id]")) {
    const fresh = next.getElementById(old.id);
    if (fresh) replace(old, fresh);
  }
  document.dispatchEvent(new CustomEvent("updated", { detail: next }));
}

export function replace(old, fresh) {
  for (const d of old.querySelectorAll("details[open][id]")) {
    const same = fresh.querySelector("#" + CSS.escape(d.id));
    if (same) same.open = true;
  }
  if (old.isEqualNode(fresh)) return;
  const selection = getSelection();
  if (selection && !selection.isCollapsed && old.contains(selection.anchorNode)) return; // somebody is copying
  const path = focusPath(old);
  const scrolled = [...old.querySelectorAll(".scroll")].map((e) => [e.scrollTop, e.scrollLeft]);
  old.replaceChildren(...[...fresh.childNodes].map((n) => document.importNode(n, true)));
  old.querySelectorAll(".scroll").forEach((e, i) => scrolled[i] && ([e.scrollTop, e.scrollLeft] = scrolled[i]));
  if (path) focusAgain(old, path);
}

// focusPath says where the focus is within an element, so that it is found again in the next version of it.
function focusPath(root) {
  const at = document.activeElement;
  if (!at || at === document.body || !root.contains(at) || at === root) return null;
  if (at.id) return { id: at.id };
  const href = at.getAttribute("href");
  const key = href ? `[href="${CSS.escape(href)}"]` : at.tagName.toLowerCase();
  const near = at.closest("[id]");
  const within = near && root.contains(near) && near !== root ? near.id : "";
  const scope = within ? near : root;
  return { within, key, index: [...scope.querySelectorAll(key)].indexOf(at) };
}

function focusAgain(root, path) {
  const scope = path.within ? root.querySelector("#" + CSS.escape(path.within)) || root : root;
  const at = path.id ? root.querySelector("#" + CSS.escape(path.id)) : scope.querySelectorAll(path.key)[path.index];
  if (at) at.focus({ preventScroll: true });
}
