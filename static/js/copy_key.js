// The Copy button of the page that shows a new API key once.
"use strict";

(() => {
  const field = document.getElementById("api-key");
  const button = document.getElementById("copy-key");
  const said = document.getElementById("copy-said");

  async function copy() {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      // Without HTTPS browsers offer no clipboard object, only this.
      if (!document.execCommand("copy")) {
        said.textContent = "The browser does not allow copying: the key is selected, press Ctrl+C or ⌘C.";
        return;
      }
    }
    said.textContent = "Copied.";
  }

  field.addEventListener("focus", () => field.select());
  button.addEventListener("click", copy);
  button.hidden = false;
})();
