// The admin's search among many objects is a box of its own making, which says what is chosen but not what it is for.
"use strict";

// After the admin's own script, which makes the boxes in the same way.
django.jQuery(() => {
  for (const select of document.querySelectorAll("select.admin-autocomplete")) {
    const shown = document.getElementById(`select2-${select.id}-container`);
    const label = document.querySelector(`label[for="${select.id}"]`);
    if (shown && label) shown.setAttribute("aria-label", label.textContent.trim().replace(/:$/, ""));
  }
});
addEventListener("focusin", ({ target }) => {
  if (target.matches(".select2-search__field")) target.setAttribute("aria-label", "Search");
});
