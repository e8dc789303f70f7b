/**
 * Lets the page in: the address that `fanout ui` tells has a code behind `#code=`, which is exchanged for a token once.
 */
import { signal } from "@preact/signals"

const key = "fanout.token"

const codeIn = (hash: string): string | undefined => /^#code=([\w-]+)/.exec(hash)?.[1]

const code = codeIn(location.hash)
if (code !== undefined) history.replaceState(null, "", `${location.pathname}#/jobs`)

// The address of a new server, in a tab that is open: all that is shown is another server's.
window.addEventListener("hashchange", () => {
  if (codeIn(location.hash) !== undefined) location.reload()
})

/** What proves to the server that this page was let in. An application may know its users otherwise. */
export let token = localStorage.getItem(key)

/** Whether the server answers to this page, as far as is known. */
export const isTaken = signal(true)

/** Exchanges the code, if the address had one. All tabs have the token, and it is of use until the server ends. */
export const enter = async (): Promise<void> => {
  if (code === undefined) return
  const response = await fetch("session", { method: "POST", headers: { authorization: `Bearer ${code}` } })
  if (!response.ok) return
  const { token: given }: { readonly token: string } = await response.json()
  token = given
  localStorage.setItem(key, given)
}
