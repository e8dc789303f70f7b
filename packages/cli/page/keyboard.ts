/**
 * Obeys keys as lists of mail and terminals do. Capitals are for what can't be undone.
 */
import { askOf, server } from "./asking.ts"
import type { Action } from "./client.ts"
import { areKeysShown } from "./Dialogs.tsx"
import { listed, selectedFor } from "./Foot.tsx"
import { go, route, to } from "./route.ts"
import { chooseNone, clear, selected, toggleAll } from "./selection.ts"
import { printable } from "./shown.ts"

/** Jobs of a list, schedules, and failed elements. */
const row = "li.job, tr.row"

const rows = (): ReadonlyArray<HTMLElement> => Array.from(document.querySelectorAll<HTMLElement>(row))

const current = (): HTMLElement | null => document.activeElement?.closest<HTMLElement>(row) ?? null

const move = (by: number): void => {
  const all = rows()
  const from = all.findIndex((row) => row === current())
  const next = from < 0 ? 0 : Math.max(0, Math.min(all.length - 1, from + by))
  all[next]?.querySelector<HTMLElement>("a.title, td > input")?.focus()
}

const idOf = (element: HTMLElement | null): ReadonlyArray<string> =>
  element?.dataset["id"] === undefined ? [] : [element.dataset["id"]]

/** Asks of the job whose page it is, of the selected jobs, or of the one that has the focus. */
const askCurrent = (action: Action): void => {
  const page = document.querySelector<HTMLElement>("main.one")
  const ids = page === null && selected.value.size > 0 ? selectedFor(action) : idOf(page ?? current())
  const [first] = ids
  const title = page?.querySelector("h1")?.textContent ?? listed.value.find(({ id }) => id === first)?.title ?? ""
  askOf(action, ids, ids.length === 1 ? printable(title) : undefined)
}

const select = (how: () => void) => () => {
  if (server.value?.isReadOnly === false && rows().length > 0) how()
}

const ask = (action: Action) => () => {
  if (server.value?.isReadOnly === false) askCurrent(action)
}

const keys: Readonly<Record<string, () => void>> = {
  j: () => move(1),
  k: () => move(-1),
  x: select(() => current()?.querySelector<HTMLElement>("input")?.click()),
  A: select(() => {
    const all = document.querySelector<HTMLElement>("#choose-all")
    if (all === null) toggleAll(listed.value.map(({ id }) => id))
    else all.click()
  }),
  p: ask("pause"),
  r: ask("resume"),
  t: ask("retry"),
  C: ask("cancel"),
  n: () => document.querySelector<HTMLElement>("#news")?.click(),
  u: () => go(to(route.value.parts.slice(0, route.value.parts.length > 2 ? 2 : 1))),
  "/": () => {
    const field = document.querySelector<HTMLInputElement>("#find")
    field?.focus()
    field?.select()
  },
  "?": () => {
    areKeysShown.value = true
  },
  Escape: () => {
    clear()
    chooseNone()
  }
}

const isWritten = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.matches("input:not([type=checkbox]), select, textarea")

/** Begins to obey. */
export const obeyKeys = (): void =>
  document.addEventListener("keydown", (event) => {
    const { altKey, ctrlKey, key, metaKey, target } = event
    if (altKey || ctrlKey || metaKey || document.querySelector("dialog[open]") !== null) return
    if (isWritten(target)) {
      if (key === "Escape" && target instanceof HTMLElement) target.blur()
      return
    }
    const obey = keys[key]
    if (obey === undefined) return
    event.preventDefault()
    obey()
  })
