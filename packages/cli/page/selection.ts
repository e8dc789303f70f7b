/**
 * Keeps which jobs of the list are selected, and which failed elements of a job are chosen.
 */
import { signal } from "@preact/signals"

export const selected = signal<ReadonlySet<string>>(new Set())

export const toggle = (id: string): void => {
  const next = new Set(selected.value)
  if (!next.delete(id)) next.add(id)
  selected.value = next
}

/** Selects all of these, or none if all are selected. */
export const toggleAll = (ids: ReadonlyArray<string>): void => {
  const areAll = ids.every((id) => selected.value.has(id))
  selected.value = new Set(areAll ? [] : ids)
}

/** Selects no others than these. */
export const keep = (ids: ReadonlyArray<string>): void => {
  const kept = ids.filter((id) => selected.value.has(id))
  if (kept.length < selected.value.size) selected.value = new Set(kept)
}

export const clear = (): void => {
  if (selected.value.size > 0) selected.value = new Set()
}

/** Most elements that one retry takes. */
export const mostChosen = 1000

/** Failed elements that are chosen, by their numbers. */
export const chosen = signal<ReadonlySet<number>>(new Set())

/** Chooses elements, as many as one retry takes, or chooses them no more. */
export const choose = (elements: ReadonlyArray<number>, isChosen: boolean): void => {
  const others = Array.from(chosen.value).filter((seq) => !elements.includes(seq))
  chosen.value = new Set([...others, ...isChosen ? elements : []].slice(0, mostChosen))
}

export const chooseNone = (): void => {
  chosen.value = new Set()
}
