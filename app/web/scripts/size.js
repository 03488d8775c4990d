// A file above the limit is told before it is sent: Gradio would say so in English alone, with the name read as HTML.
// In front of this file stand `const most = BYTES` and `const words = "... {names} ..."`.
const SHOWN_MS = 15000;

const tell = (names) => {
  document.querySelector(".vigil-too-big")?.remove();
  const told = document.createElement("button");
  told.type = "button";
  told.className = "vigil-too-big";
  told.setAttribute("role", "alert");
  told.textContent = words.replace("{names}", () => names.join(", "));
  told.addEventListener("click", () => told.remove());
  document.querySelector(".gradio-container").append(told);
  setTimeout(() => told.remove(), SHOWN_MS);
};

const check = (event, files) => {
  const large = [...(files || [])].filter((file) => file.size > most);
  if (!large.length) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (event.type === "change") event.target.value = "";
  else event.target.dispatchEvent(new DragEvent("dragleave", { bubbles: true }));
  tell(large.map((file) => file.name));
};

addEventListener("change", (event) => event.target.type === "file" && check(event, event.target.files), true);
addEventListener("drop", (event) => check(event, event.dataTransfer?.files), true);
addEventListener("paste", (event) => check(event, event.clipboardData?.files), true);
