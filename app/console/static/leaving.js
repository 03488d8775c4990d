// Who signs out is on the way to the page to sign in: nothing is asked any more, since the answer would be 401, and the
// reload that follows a 401 would take the place of that way. sign_out.js notes it, which every page has from the start.
/** Whether this page is being signed out of. */
export const isLeaving = () => "leaving" in document.documentElement.dataset;

/** Does something when this page is being signed out of. */
export const whenLeaving = (act) => document.addEventListener("submit", () => isLeaving() && act());

/** What never comes. */
export const never = () => new Promise(() => {});
