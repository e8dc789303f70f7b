/**
 * Keeps the rows of a list in their places while what they show changes: new jobs wait until somebody wants to see
 * them, and jobs that a filter no longer matches stay until then.
 */
import { useReducer, useRef } from "preact/hooks"
import { detail, list, type Listing, type Query, type Row } from "./client.ts"
import { type Live, useLive } from "./live.ts"
import { note } from "./trails.ts"

const pageLength = 50
const most = { listed: 200, gone: 20 }

interface Held {
  key: string
  ids: ReadonlyArray<string>
  readonly rows: Map<string, Row>
  /** All that the list has now. */
  listing: Listing | undefined
}

export interface Steady extends Live<Listing> {
  readonly rows: ReadonlyArray<Row>
  /** How many jobs are new, and how many of the shown ones are no longer in the list. */
  readonly fresh: number
  readonly gone: number
  readonly renew: () => void
  /** Where the next page begins. */
  readonly next: string | null
}

const held = (key: string): Held => ({ key, ids: [], rows: new Map(), listing: undefined })

/** Shown jobs that the list no longer has, although it reaches as far. */
const goneOf = ({ ids, rows }: Held, { jobs, next }: Listing): ReadonlyArray<string> => {
  const present = new Set(jobs.map(({ id }) => id))
  const end = next === null ? Number.NEGATIVE_INFINITY : jobs.at(-1)?.createdAt ?? 0
  return ids.filter((id) => !present.has(id) && (rows.get(id)?.createdAt ?? 0) > end)
}

const settle = (held: Held, listing: Listing): void => {
  held.listing = listing
  for (const job of listing.jobs) {
    held.rows.set(job.id, job)
    note(job)
  }
  if (held.ids.length === 0) held.ids = listing.jobs.slice(0, pageLength).map(({ id }) => id)
}

const freshOf = ({ ids, listing, rows }: Held): number => {
  const shown = new Set(ids)
  const last = rows.get(ids.at(-1) ?? "")?.createdAt ?? 0
  const isFull = ids.length >= pageLength
  return listing?.jobs.filter(({ createdAt, id }) => !shown.has(id) && (!isFull || createdAt > last)).length ?? 0
}

export const useSteady = (key: string, query: Query): Steady => {
  const current = useRef(held(key))
  const [, redraw] = useReducer((times: number) => times + 1, 0)
  const live = useLive(key, async (signal) => {
    const before = current.current.key === key ? current.current : held(key)
    const limit = Math.min(most.listed, pageLength + freshOf(before))
    const listing = await list({ ...query, limit }, signal)
    const gone = goneOf(before, listing).slice(0, most.gone)
    const found = await Promise.all(gone.map((id) => detail(id, signal).catch(() => undefined)))
    for (const job of found) if (job !== undefined) before.rows.set(job.id, job)
    settle(before, listing)
    current.current = before
    return listing
  })
  const { ids, listing, rows } = current.current
  return {
    ...live,
    value: listing,
    rows: ids.flatMap((id) => rows.get(id) ?? []),
    fresh: freshOf(current.current),
    gone: listing === undefined ? 0 : goneOf(current.current, listing).length,
    renew: () => {
      // In place: a list that is being read belongs to the same rows.
      current.current.ids = []
      if (listing !== undefined) settle(current.current, listing)
      redraw(0)
    },
    next: listing?.next ?? null
  }
}
