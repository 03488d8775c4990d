// Who signs out is on the way to the page to sign in: nothing is asked any more, since the answer would be 401, and the
// reload that follows a 401 would take the place of that way.
const acts = [];
let leaving = false;

document.addEventListener("submit", ({ target }) => {
  if (!new URL(target.action).pathname.endsWith("/sign-out")) return;
  leaving = true;
  for (const act of acts) act();
});

/** Whether this page is being signed out of. */
export const isLeaving = () => leaving;

/** Does something when this page is being signed out of. */
export const whenLeaving = (act) => acts.push(act);

/** What never comes. */
export const never = () => new Promise(() => {});
