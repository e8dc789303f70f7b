/** The ends of the elements of a fan-out: counts of all ends, and the rows that are not recorded yet. */
import type * as Clock from "effect/Clock"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import { type Ended, FanOutStopped } from "../../FanOut.ts"
import type { OutcomeRow } from "../../JobStore.ts"
import { cause, type Failure, type Outcome } from "../../Outcome.ts"
import { Tally } from "../../Progress.ts"
import { makeOutcomeRow } from "../store/rows.ts"
import * as Sums from "../sums.ts"
import * as Kept from "../task/kept.ts"
import type { Entry } from "./ledger.ts"

/** A tally that grows. */
interface Counts {
  done: number
  failed: number
  skipped: number
  readonly tags: Record<string, number>
  readonly units: Record<string, number>
  readonly causes: Record<string, number>
  readonly reasons: Record<string, number>
}

/** The part of a checkpoint that tells of ended elements. */
export interface Header {
  finished: boolean
  attempt: number
  tries: number
  failures: number
  readonly tally: Counts
  /** Cursors of opening elements that a retry has done, and whose row of skipped elements is still stored. */
  readonly reopened: Set<string>
}

/** The end of an element. */
export interface Settlement extends Pick<Entry, "cursor" | "payload" | "kept" | "retryOf" | "bracketAfter"> {
  readonly key: string
  /** Whether the payload can run again, and the encoded payload for that, unless the element is done. */
  readonly isRetriable: boolean
  readonly encoded: Schema.Json | undefined
  /** Cursor of the element that opens the bracket, if elements of a bracket were skipped. */
  readonly opener?: string
  readonly outcome: Outcome
  /** The value of a task that is done. */
  readonly value: Option.Option<unknown>
}

export interface JournalOptions {
  readonly fanOut: string
  /** Version, attempt and try of the job. */
  readonly run: { readonly version: number; readonly attempt: number; readonly tries: number }
  readonly clock: Clock.Clock
  /** Whether elements that are done get a row, too. */
  readonly keepsAll: boolean
  /** Whether the program has an `onCommit`. */
  readonly hasCommit: boolean
  /** How many ends may be unrecorded before the fan-out takes no more elements. */
  readonly most: number
  /** How many elements may fail in one attempt. */
  readonly failureLimit: number
}

/** Ends that are recorded in one transaction. */
export interface Batch {
  readonly rows: ReadonlyArray<OutcomeRow>
  /** Cursors whose rows are to be removed. */
  readonly cleared: ReadonlyArray<string>
  readonly ended: ReadonlyArray<Ended<unknown, unknown>>
}

export class Journal {
  readonly header: Header
  /** Whether a change is not recorded yet. */
  isChanged = false
  /** The first failure of this run, or of the earlier run that gave up. */
  firstFailure: Failure | undefined
  private readonly options: JournalOptions
  private rows: Array<OutcomeRow> = []
  private cleared: Array<string> = []
  private ended: Array<Ended<unknown, unknown>> = []
  private unrecorded = 0
  private inFlight = 0

  constructor(options: JournalOptions, stored: Header | undefined) {
    const { attempt, tries } = options.run
    this.options = options
    this.header = stored ?? {
      finished: false,
      attempt,
      tries,
      failures: 0,
      tally: { done: 0, failed: 0, skipped: 0, tags: {}, units: {}, causes: {}, reasons: {} },
      reopened: new Set()
    }
    const { header } = this
    // Each attempt and each try of a job begins with no failures.
    if (header.attempt !== attempt || header.tries !== tries) header.failures = 0
    if (header.attempt !== attempt) header.finished &&= header.tally.failed === 0
    header.attempt = attempt
    header.tries = tries
  }

  /** Adds the end of an element. */
  settle(settlement: Settlement): void {
    const { bracketAfter, cursor, isRetriable, kept, opener, outcome, payload, retryOf, value } = settlement
    const { header, options } = this
    // A retry has run the bracket while the source was still in the bracket.
    if (opener !== undefined && header.reopened.delete(opener)) return
    if (retryOf !== undefined) this.clear(retryOf)
    count(header.tally, outcome, kept?.units ?? Kept.noUnits)
    if (retryOf !== undefined && bracketAfter !== undefined && outcome._tag === "Done") header.reopened.add(cursor)
    if (outcome._tag !== "Done" || options.keepsAll) this.rows.push(this.rowOf(settlement))
    if (options.hasCommit) {
      this.ended.push({ cursor, payload: isRetriable ? Option.some(payload) : Option.none(), outcome, value })
    }
    this.note()
    if (outcome._tag !== "Failed") return
    this.firstFailure ??= outcome.failure
    header.failures++
  }

  /** Notes that parts take the place of an element. The parts count instead of the element. */
  replace({ cursor, kept, payload, retryOf }: Entry, value: Option.Option<unknown>): void {
    if (retryOf !== undefined) this.clear(retryOf)
    if (Option.isSome(value)) {
      addUnits(this.header.tally, kept?.units ?? Kept.noUnits)
      if (this.options.hasCommit) {
        this.ended.push({ cursor, payload: Option.some(payload), outcome: replaced, value })
      }
    }
    this.note()
  }

  /** Removes a row of skipped elements whose opening element a retry has done. */
  clearSkipped(row: OutcomeRow, opener: string): void {
    if (!this.header.reopened.delete(opener)) return
    this.clear(row)
    this.isChanged = true
  }

  /** The counts of all ends so far. */
  get tally(): Tally {
    const { causes, reasons, ...counts } = this.header.tally
    const isEmpty = (named: Readonly<Record<string, number>>) => Object.keys(named).length === 0
    return new Tally({ ...counts, ...isEmpty(causes) ? {} : { causes }, ...isEmpty(reasons) ? {} : { reasons } })
  }

  /** Gives all unrecorded ends. They are in flight until `recorded` is called. */
  takeBatch(): Batch {
    const { cleared, ended, rows } = this
    this.rows = []
    this.cleared = []
    this.ended = []
    this.inFlight = this.unrecorded
    this.unrecorded = 0
    this.isChanged = false
    return { rows, cleared, ended }
  }

  /** Notes that the store has recorded the batch in flight. */
  recorded(): void {
    this.inFlight = 0
  }

  /** Whether the fan-out may take another element: few enough ends are unrecorded or in flight. */
  get hasRoom(): boolean {
    return this.unrecorded + this.inFlight < this.options.most
  }

  /** Whether a flush is due at once. */
  get isFull(): boolean {
    return this.unrecorded >= this.options.most
  }

  /** The error of a fan-out that has given up in this attempt. */
  get stopped(): FanOutStopped | undefined {
    const { firstFailure, header: { failures }, options: { failureLimit, fanOut } } = this
    if (failures <= failureLimit) return undefined
    return new FanOutStopped({
      fanOut,
      failures,
      first: firstFailure ?? { _tag: "Defect", message: "recorded by an earlier run" }
    })
  }

  private note(): void {
    this.unrecorded++
    this.isChanged = true
  }

  private clear({ cursor, outcome }: OutcomeRow): void {
    const { tally } = this.header
    if (outcome._tag === "Failed") {
      tally.failed--
      uncount(tally.causes, cause(outcome.failure), 1, tally.failed)
    } else if (outcome._tag === "Skipped") {
      tally.skipped -= outcome.count
      uncount(tally.reasons, reasonOf(outcome), outcome.count, tally.skipped)
    }
    this.cleared.push(cursor)
  }

  private rowOf({ bracketAfter, cursor, encoded, isRetriable, kept, key, opener, outcome }: Settlement): OutcomeRow {
    const { clock, fanOut, run } = this.options
    return makeOutcomeRow({
      fanOut,
      cursor,
      key,
      payload: outcome._tag === "Done" ? null : encoded ?? null,
      origin: {
        v: run.version,
        isRetriable,
        ...bracketAfter === undefined ? {} : { bracketAfter },
        ...opener === undefined ? {} : { opener },
        ...outcome._tag === "Failed" ? Kept.store(kept) : {}
      },
      outcome,
      attempt: run.attempt,
      at: clock.currentTimeMillisUnsafe()
    })
  }
}

/** The outcome of an element whose parts count instead of the element. */
const replaced: Outcome = { _tag: "Done", value: null, count: 0 }

const count = (counts: Counts, outcome: Outcome, units: Kept.Units): void => {
  if (outcome._tag === "Failed") {
    counts.failed++
    Sums.addIn(counts.causes, cause(outcome.failure), 1)
  } else if (outcome._tag === "Skipped") {
    counts.skipped += outcome.count
    Sums.addIn(counts.reasons, reasonOf(outcome), outcome.count)
  } else {
    const { count = 1, value } = outcome
    counts.done += count
    const tag = tagOf(value)
    if (tag !== undefined) Sums.addIn(counts.tags, tag, count)
    addUnits(counts, units)
  }
}

/** A longer reason may be of one element alone, and is kept in its row. */
const mostReason = 64

const reasonOf = ({ reason }: { readonly reason: string }): string => reason.length > mostReason ? Sums.others : reason

/** Takes away what is not counted by itself from among the others. `left` is how many there are in all by now. */
const uncount = (named: Record<string, number>, name: string, count: number, left: number): void => {
  // What an older version of fanout has stored is not counted by its name.
  if (Num.sumAll(Object.values(named)) <= left) return
  const counted = Object.hasOwn(named, name) ? name : Sums.others
  const rest = (named[counted] ?? 0) - count
  if (rest > 0) named[counted] = rest
  else delete named[counted]
}

const addUnits = (counts: Counts, units: Kept.Units): void => {
  for (const [unit, amount] of units) Sums.addIn(counts.units, unit, amount)
}

const tagOf = (value: Schema.Json): string | undefined =>
  typeof value === "object" && value !== null && "_tag" in value && typeof value["_tag"] === "string"
    ? value["_tag"]
    : undefined
