/**
 * The checkpoint of a fan-out as the store keeps it: the frontier, and the elements that are taken and not settled. The
 * size of a checkpoint depends on the concurrency and on the depth of brackets, never on the number of elements.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Migration } from "../../Job.ts"
import { JobStoreError, StorageFailure } from "../../JobStoreError.ts"
import { Tally } from "../../Progress.ts"
import * as Kept from "../task/kept.ts"
import type { Header } from "./journal.ts"
import type { Bracket, Ledger } from "./ledger.ts"
import { type Loaded, Mismatch, type Payloads } from "./payloads.ts"

const Position = Schema.Struct({ frontier: Schema.NullOr(Schema.String), bracket: Schema.Natural })

/** A payload, or the reason why the payload cannot be stored. */
const Payload = Schema.Struct({ p: Schema.Json, x: Schema.optionalKey(Schema.String) })

const storePayload = (payloads: Payloads, loaded: Loaded): typeof Payload.Type => {
  const encoded = payloads.encodedOf(loaded)
  return encoded instanceof Mismatch ? { p: null, x: encoded.message } : { p: encoded }
}

// The names are short, because a checkpoint is written hundreds of times a second.
const Stored = Schema.Struct({
  /** Version of the job that wrote the checkpoint. */
  v: Schema.Natural,
  finished: Schema.Boolean,
  /** Attempt and try of the job, and how many elements failed in that try. */
  attempt: Schema.Natural,
  tries: Schema.Natural,
  failures: Schema.Natural,
  tally: Tally,
  main: Position,
  /** The first cursor that was taken. Checkpoints of older versions of fanout lack it. */
  first: Schema.optionalKey(Schema.String),
  segment: Schema.NullOr(Schema.Struct({ ...Position.fields, root: Schema.Natural })),
  entries: Schema.Array(Schema.Struct({
    k: Schema.Literals(["item", "open", "retried"]),
    c: Schema.String,
    ...Payload.fields,
    b: Schema.Natural,
    n: Schema.optionalKey(Schema.Natural),
    ...Kept.Stored.fields
  })),
  brackets: Schema.Array(Schema.Struct({
    id: Schema.Natural,
    parent: Schema.Natural,
    c: Schema.String,
    k: Schema.optionalKey(Schema.String),
    s: Schema.Literals(["opening", "open", "skipping"]),
    skipped: Schema.optionalKey(Schema.Natural),
    depth: Schema.optionalKey(Schema.Natural),
    after: Schema.optionalKey(Schema.Struct({ c: Schema.String, ...Payload.fields }))
  })),
  /** See `Header.reopened`. */
  reopened: Schema.Array(Schema.String)
})
type Stored = typeof Stored.Type

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.toCodecJson(Stored)))

/** Fails as `Corrupt` where a checkpoint can't be read: something else has written it, such as a newer version. */
export const requireReadable = (text: string): Effect.Effect<void, JobStoreError> =>
  Effect.try({
    try: () => void decode(text),
    catch: (cause) =>
      new JobStoreError({
        reason: new StorageFailure({ operation: "read the checkpoint of a fan-out", problem: "Corrupt", cause })
      })
  })

export const encode = (version: number, state: Ledger): string => {
  const { journal: { header } } = state
  const brackets = Array.from(state.brackets.values(), (bracket) => ({
    id: bracket.id,
    parent: bracket.parent?.id ?? 0,
    c: bracket.cursor,
    s: bracket.state,
    ...bracket.key === undefined ? {} : { k: bracket.key },
    ...bracket.skipped > 0 ? { skipped: bracket.skipped } : {},
    ...bracket.depth > 0 ? { depth: bracket.depth } : {},
    ...bracket.after === undefined
      ? {}
      : { after: { c: bracket.after.cursor, ...storePayload(state.payloads, bracket.after) } }
  }))
  const entries = []
  // A retry reads the row of an unsettled opening element again, and makes its bracket again.
  const retried = new Set<number>()
  for (const entry of state.active.toArray()) {
    if (entry.retryOf !== undefined) retried.add(entry.bracket.id)
    // The end of a bracket is stored with the bracket. A retried element has its row.
    if (entry.kind === "after" || (entry.retryOf !== undefined && entry.kept?.checkpoint === undefined)) continue
    entries.push({
      ...entry.retryOf === undefined
        ? { k: entry.kind, c: entry.cursor, ...storePayload(state.payloads, entry), b: entry.bracket.id }
        : { k: "retried" as const, c: entry.cursor, p: null, b: 0 },
      ...entry.count === 1 ? {} : { n: entry.count },
      ...Kept.store(entry.kept)
    })
  }
  // Retried elements whose rows this run has not read yet.
  for (const [cursor, kept] of state.retried) {
    entries.push({ k: "retried" as const, c: cursor, p: null, b: 0, ...Kept.store(kept) })
  }
  const stored: Stored = {
    v: version,
    finished: header.finished,
    attempt: header.attempt,
    tries: header.tries,
    failures: header.failures,
    tally: state.journal.tally,
    main: { frontier: state.main.frontier ?? null, bracket: state.main.bracket.id },
    ...state.first === undefined ? {} : { first: state.first },
    segment: state.segment === undefined ? null : {
      frontier: state.segment.frontier ?? null,
      bracket: state.segment.bracket.id,
      root: state.segment.root.id
    },
    entries,
    brackets: brackets.filter(({ id }) => !retried.has(id)),
    reopened: Array.from(header.reopened)
  }
  return JSON.stringify(stored)
}

/** Puts a stored checkpoint back into a fresh ledger. */
export const restore = (text: string, lift: Lift, make: (header: Header) => Ledger): Ledger => {
  const stored = decode(text)
  const { cursor, payload } = lift(stored.v)
  const { attempt, failures, finished, reopened, tally, tries } = stored
  const { causes, reasons, tags, units } = tally
  const counts = { ...tally, tags: { ...tags }, units: { ...units }, causes: { ...causes }, reasons: { ...reasons } }
  const state = make({ attempt, tries, failures, finished, tally: counts, reopened: new Set(reopened.map(cursor)) })
  const payloadOf = ({ p, x }: typeof Payload.Type): Loaded => {
    if (x !== undefined) return { payload: undefined, encoded: new Mismatch(x) }
    const encoded = payload(p)
    return { payload: state.payloads.decode(encoded), encoded }
  }
  const find = (id: number): Bracket => state.brackets.get(id) ?? state.root
  for (const one of stored.brackets) {
    const bracket: Bracket = {
      id: one.id,
      // Brackets are stored in the order of their making, so a parent comes before its children.
      parent: one.parent === 0 ? (stored.segment?.root === one.id ? undefined : state.root) : find(one.parent),
      cursor: cursor(one.c),
      key: one.k,
      state: one.s,
      outstanding: 0,
      skipped: one.skipped ?? 0,
      depth: one.depth ?? 0,
      after: one.after === undefined ? undefined : { cursor: cursor(one.after.c), ...payloadOf(one.after) },
      waiting: []
    }
    state.brackets.set(bracket.id, bracket)
    if (bracket.after !== undefined) state.left.add(bracket.after.cursor)
    if (bracket.parent !== undefined) bracket.parent.outstanding++
    state.nextId = Math.max(state.nextId, bracket.id + 1)
  }
  for (const entry of stored.entries) {
    const { b, c, k, n } = entry
    const kept = Kept.restore(entry)
    if (k === "retried") {
      if (kept !== undefined) state.retried.set(cursor(c), kept)
      continue
    }
    state.left.add(cursor(c))
    const bracket = find(b)
    bracket.outstanding++
    const { encoded, payload } = payloadOf(entry)
    const ready = state.admit(state.enter(k, cursor(c), payload, encoded, bracket, { count: n, kept }))
    if (ready !== undefined) state.ready.push(ready)
  }
  const frontierOf = (frontier: string | null) => frontier === null ? undefined : cursor(frontier)
  state.first = stored.first === undefined ? undefined : cursor(stored.first)
  state.main = { frontier: frontierOf(stored.main.frontier), bracket: find(stored.main.bracket) }
  if (stored.segment !== null) {
    const { bracket, frontier, root } = stored.segment
    state.segment = { frontier: frontierOf(frontier), bracket: find(bracket), root: find(root) }
  }
  state.restored()
  return state
}

/**
 * The checkpoints that tasks of a stored fan-out have saved: of unsettled elements, and by their cursors of failed
 * elements that a retry has run again. Their payloads are in their rows.
 */
export const keptIn = (text: string, lift: Lift) => {
  const stored = decode(text)
  const { cursor, payload } = lift(stored.v)
  const kept = stored.entries.flatMap(({ s, ...entry }) => s === undefined ? [] : [{ ...entry, s }])
  return {
    unsettled: kept.filter(({ k, x }) => k !== "retried" && x === undefined)
      .map(({ c, p, s }) => ({ cursor: cursor(c), payload: payload(p), checkpoint: s })),
    retried: new Map(kept.filter(({ k }) => k === "retried").map(({ c, s }) => [cursor(c), s]))
  }
}

/** Gives functions that lift cursors and payloads from a version of the job to the current one. */
export type Lift = (version: number) => {
  readonly cursor: (cursor: string) => string
  readonly payload: (payload: Schema.Json) => Schema.Json
}

/** Composes the migrations of a fan-out from a stored version to the version of the job. */
export const lifting =
  (migrations: Readonly<Record<number, Migration>>, version: number, name: string): Lift => (from) => {
    let current = oldName(migrations, from, version, name)
    const cursors: Array<(cursor: string) => string> = []
    const payloads: Array<(payload: Schema.Json) => Schema.Json> = []
    for (let v = from; v < version; v++) {
      const step = migrations[v]?.fanOuts?.[current]
      if (step?.cursor !== undefined) cursors.push(step.cursor)
      if (step?.payload !== undefined) payloads.push(step.payload)
      current = step?.name ?? current
    }
    return {
      cursor: (cursor) => cursors.reduce((value, step) => step(value), cursor),
      payload: (payload) => payloads.reduce((value, step) => step(value), payload)
    }
  }

/** The name of a fan-out in an older version of its job. */
const oldName = (
  migrations: Readonly<Record<number, Migration>>,
  from: number,
  version: number,
  name: string
): string => {
  let current = name
  for (let v = version - 1; v >= from; v--) {
    const renamed = Object.entries(migrations[v]?.fanOuts ?? {}).find(([, step]) => step.name === current)
    if (renamed !== undefined) current = renamed[0]
  }
  return current
}
