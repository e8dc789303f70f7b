/**
 * Keeps the rows of a list in their places while what they show changes: new jobs wait until somebody wants to see
 * them, and jobs that a filter no longer matches stay until then.
 */
import { useReducer, useRef } from "preact/hooks"
import { detail, list, type Listing, type Query, type Row } from "./client.ts"
import { type Live, look, useLive } from "./live.ts"
import { freshOf, goneOf, held, isBehind, keepAnswers, pageLength, settle, unread } from "./places.ts"
import { keep } from "./selection.ts"

const mostListed = 200

export interface Steady extends Live<Listing> {
  readonly rows: ReadonlyArray<Row>
  /** How many jobs are new, and how many of the shown ones are no longer in the list. */
  readonly fresh: number
  readonly gone: number
  readonly renew: () => void
  /** Where the next page begins. */
  readonly next: string | null
}

export const useSteady = (key: string, query: Query): Steady => {
  const current = useRef(held(key))
  const [, redraw] = useReducer((times: number) => times + 1, 0)
  const live = useLive(key, async (signal) => {
    const before = current.current.key === key ? current.current : held(key)
    const limit = Math.min(mostListed, pageLength + freshOf(before))
    const listing = await list({ ...query, limit }, signal)
    const ids = document.hidden ? [] : unread(before, listing)
    const answers = await Promise.all(ids.map((id) => detail(id, signal).catch(() => undefined)))
    signal.throwIfAborted()
    keepAnswers(before, ids, answers)
    settle(before, listing)
    if (isBehind(before, listing)) look()
    current.current = before
    return listing
  })
  // Those of another key stay only until it is known what this one has.
  const shown = current.current.key === key || live.isStale ? current.current : held(key)
  const { ids, listing, rows } = shown
  const states = [query["state"] ?? []].flat().map(String)
  return {
    ...live,
    value: listing,
    rows: ids.flatMap((id) => rows.get(id) ?? []),
    fresh: freshOf(shown),
    gone: listing === undefined || shown.key !== key ? 0 : goneOf(shown, listing, states).length,
    renew: () => {
      // In place: a list that is being read belongs to the same rows.
      shown.ids = []
      if (listing !== undefined) settle(shown, listing)
      keep(shown.ids)
      redraw(0)
    },
    next: listing?.next ?? null
  }
}
