/**
 * Knows which jobs a list shows, what it last knew of each, and what it has to ask about them one by one.
 */
import type { Listing, Row } from "./client.ts"
import { note } from "./trails.ts"

export const pageLength = 50

/** How many jobs are asked about one by one at once. */
const mostAsked = 20

export interface Held {
  readonly key: string
  ids: ReadonlyArray<string>
  readonly rows: Map<string, Row>
  /** Jobs that were asked about since the list has not had them, the last one last. */
  readonly asked: Set<string>
  /** All that the list has now. */
  listing: Listing | undefined
}

export const held = (key: string): Held => ({ key, ids: [], rows: new Map(), asked: new Set(), listing: undefined })

/** States in which a job is over. */
const ended = new Set<Row["state"]>(["Completed", "CompletedWithErrors", "Failed", "Cancelled"])

export const isOver = ({ state }: Pick<Row, "state">): boolean => ended.has(state)

/** Shown jobs that the list does not have: no longer, or because it does not reach as far. */
const missing = ({ ids }: Held, { jobs }: Listing): ReadonlyArray<string> => {
  const present = new Set(jobs.map(({ id }) => id))
  return ids.filter((id) => !present.has(id))
}

/** Shown jobs that no longer match: the list reaches as far, or they are in a state that is not asked for. */
export const goneOf = (held: Held, listing: Listing, states: ReadonlyArray<string>): ReadonlyArray<string> => {
  const end = listing.next === null ? Number.NEGATIVE_INFINITY : listing.jobs.at(-1)?.createdAt ?? 0
  return missing(held, listing).filter((id) => {
    const { createdAt = 0, state = "" } = held.rows.get(id) ?? {}
    return createdAt > end || states.length > 0 && !states.includes(state)
  })
}

/**
 * Jobs to be asked about, because the list does not tell of them. Each has its turn: first those that nobody has asked
 * about, last those that are over and so change seldom.
 */
export const unread = (held: Held, listing: Listing): ReadonlyArray<string> => {
  const turns = new Map(Array.from(held.asked, (id, turn) => [id, turn]))
  const turnOf = (id: string): number => {
    const turn = turns.get(id)
    const row = held.rows.get(id)
    return turn === undefined ? -1 : row !== undefined && isOver(row) ? turns.size + turn : turn
  }
  return missing(held, listing).toSorted((a, b) => turnOf(a) - turnOf(b)).slice(0, mostAsked)
}

/** Whether a job that the list does not have was never asked about since. */
export const isBehind = (held: Held, listing: Listing): boolean =>
  missing(held, listing).some((id) => !held.asked.has(id))

/** Keeps what jobs have come to that were asked about. Of one that could not be read, nothing new is known. */
export const keepAnswers = (held: Held, ids: ReadonlyArray<string>, answers: ReadonlyArray<Row | undefined>): void => {
  for (const [index, id] of ids.entries()) {
    held.asked.delete(id)
    held.asked.add(id)
    const job = answers[index]
    if (job !== undefined) held.rows.set(id, job)
  }
}

/** Keeps what the list has now, and shows it if nothing is shown. */
export const settle = (held: Held, listing: Listing): void => {
  held.listing = listing
  for (const job of listing.jobs) {
    held.rows.set(job.id, job)
    held.asked.delete(job.id)
    note(job)
  }
  if (held.ids.length === 0) held.ids = listing.jobs.slice(0, pageLength).map(({ id }) => id)
  const kept = new Set([...held.ids, ...listing.jobs.map(({ id }) => id)])
  for (const id of held.rows.keys()) if (!kept.has(id)) held.rows.delete(id)
  for (const id of held.asked) if (!kept.has(id)) held.asked.delete(id)
}

/** How many jobs the list has that are not shown, and would be. */
export const freshOf = ({ ids, listing, rows }: Held): number => {
  const shown = new Set(ids)
  const last = rows.get(ids.at(-1) ?? "")?.createdAt ?? 0
  const isFull = ids.length >= pageLength
  return listing?.jobs.filter(({ createdAt, id }) => !shown.has(id) && (!isFull || createdAt > last)).length ?? 0
}
