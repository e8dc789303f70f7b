/**
 * Keeps the token that the address of `fanout ui` carries: behind `#token=` once, from then on for this tab alone.
 */
import { signal } from "@preact/signals"

const key = "fanout.token"

/** Takes the token out of the address, where nobody is to see it or keep it. */
const take = (): boolean => {
  const given = /^#token=([\w-]+)/.exec(location.hash)?.[1]
  if (given === undefined) return false
  sessionStorage.setItem(key, given)
  history.replaceState(null, "", `${location.pathname}#/jobs`)
  return true
}

take()

// The address of a new server, in a tab that is open: all that is shown is another server's.
window.addEventListener("hashchange", () => {
  if (take()) location.reload()
})

/** What proves to the server that this page is the one that was opened. An application may know its users otherwise. */
export const token = sessionStorage.getItem(key)

/** Whether the server answers to this page, as far as is known. */
export const isTaken = signal(true)
