/**
 * Keeps which jobs of the list are selected.
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
