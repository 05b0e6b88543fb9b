// The pages work without this. It keeps them up to date and lets the timeline be moved by hand.
import { live } from "./live.js";
import { timeline } from "./timeline.js";

timeline();
live();

// "/" goes to the search field, as in many places.
addEventListener("keydown", (e) => {
  if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
  const field = document.querySelector("input[type=search]");
  if (field) {
    e.preventDefault();
    field.focus();
    field.select();
  }
});
