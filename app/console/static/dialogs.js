// Dialogs of the room: they open over everything but the strip's meaning, and close by Escape or a press on Cancel.
import { make, setText } from "./dom.js";
import { word } from "./words.js";

/** A dialog with a title, a body and buttons; it is removed when it closes. */
export const openDialog = (title, body, buttons, { isWide = false } = {}) => {
  const dialog = make("dialog", { class: isWide ? "dialog is-wide" : "dialog", "aria-label": title });
  const cancel = make("button", { type: "button", class: "button", onclick: () => dialog.close() }, word("watch.close"));
  dialog.append(
    make("h2", {}, title),
    make("div", { class: "dialog-body" }, ...body),
    make("div", { class: "dialog-foot" }, cancel, ...buttons),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
};

/** A labelled field. */
export const field = (label, input) => make("label", { class: "field" }, label, input);

/** A form in a dialog: `save` gets its fields; what it raises is told in the dialog, which stays open. */
export const openForm = (title, fields, { save, label, more = [] }) => {
  const told = make("p", { class: "dialog-told", role: "alert" });
  const form = make("form", { class: "dialog-form", id: "dialog-form", novalidate: true }, ...fields, ...more, told);
  const submit = make("button", { type: "submit", form: "dialog-form", class: "button is-main" }, label);
  const dialog = openDialog(title, [form], [submit]);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    setText(told, "");
    try {
      await save(Object.fromEntries(new FormData(form)));
      dialog.close();
    } catch (problem) {
      setText(told, problem.message);
    } finally {
      submit.disabled = false;
    }
  });
  return dialog;
};

/** Asks whether something grave is meant; resolves to true or false. */
export const confirmed = (text, label) =>
  new Promise((answer) => {
    const yes = make("button", { type: "button", class: "button is-grave" }, label);
    const dialog = openDialog(label, [make("p", {}, text)], [yes]);
    yes.addEventListener("click", () => {
      answer(true);
      dialog.close();
    });
    dialog.addEventListener("close", () => answer(false));
  });
