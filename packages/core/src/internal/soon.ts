/**
 * Puts work off to the end of a turn of the event loop.
 */

/** A function that has `run` called once at the end of the turn, however often it is called before. */
export const soon = (run: () => void): () => void => {
  let isDue = false
  return () => {
    if (isDue) return
    isDue = true
    void Promise.resolve().then(() => {
      isDue = false
      run()
    })
  }
}
