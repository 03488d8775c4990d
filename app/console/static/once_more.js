// Answers that are asked for one after the other never come in another order.

/**
 * What runs one at a time: called while it runs, it runs once more afterwards, since what it has asked for may have
 * been answered before the reason of the call. Resolves once it has run since.
 */
export const onceMore = (act) => {
  let running = null;
  let isWanted = false;
  const run = async () => {
    try {
      while (isWanted) {
        isWanted = false;
        await act();
      }
    } finally {
      running = null;
    }
  };
  return () => {
    isWanted = true;
    running ??= run();
    return running;
  };
};
