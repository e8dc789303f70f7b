/**
 * The elements that a fan-out has taken and not settled, as a state machine without effects.
 *
 * `take` gives the next element that is to run. `settle` says how an element has ended. `replace` puts parts in the
 * place of an element. Elements come from a feed: the source, or, while a failed bracket is retried, the part of the
 * source that lies in the bracket. An element that is taken before its bracket is open waits in the bracket, so that
 * elements behind it can start. The journal keeps the ends. The checkpoint of a fan-out is its ledger and its journal,
 * without the elements that are only read ahead.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { OutcomeRow } from "../../JobStore.ts"
import { Outcome } from "../../Outcome.ts"
import type { Element } from "../../Source.ts"
import { Chain, type Linked } from "../chain.ts"
import { Kept } from "../task/kept.ts"
import type { Unit } from "../task/taskRun.ts"
import type { Journal, Settlement } from "./journal.ts"
import { type Loaded, Mismatch, orMismatch, type Payloads } from "./payloads.ts"

export interface Bracket {
  readonly id: number
  readonly parent: Bracket | undefined
  /** The cursor of the opening element, and its key if that element was not done. */
  readonly cursor: string
  key: string | undefined
  state: "opening" | "open" | "skipping"
  /** How many things in the bracket are taken and not settled: the opening element, items, brackets. */
  outstanding: number
  /** How many elements were skipped because the opening element was not done. */
  skipped: number
  /** How many brackets are open in a bracket that is skipped. */
  depth: number
  after: Loaded & { readonly cursor: string } | undefined
  /** Entries that were taken while the bracket was opening: items, and opening elements of brackets. */
  waiting: Array<Entry>
}

export interface Entry extends Unit, Loaded, Linked<Entry> {
  readonly kind: "item" | "open" | "after"
  readonly cursor: string
  readonly bracket: Bracket
  /** How many things the element stands for. */
  readonly count: number
  /** The row of the failure that this entry retries. The row is the checkpoint of the entry. */
  readonly retryOf: OutcomeRow | undefined
  /** The cursor behind which the source gives the bracket of a retried opening element, unless its own. */
  readonly bracketAfter: string | undefined
}

/** A place in a source: the last cursor that was taken, and the innermost bracket that is open there. */
export interface Position {
  frontier: string | undefined
  bracket: Bracket
}

export interface Feed {
  readonly position: Position
  /** The bracket that a part of the source belongs to. The feed ends with the bracket. */
  readonly until: Bracket | undefined
  /** Whether the source was opened behind a cursor. */
  readonly goesOn: boolean
  chunks: Array<ReadonlyArray<Element<unknown>>>
  index: number
  /** How many elements of the chunks are not taken, and at how many the feeder pulls more. */
  left: number
  low: number
  ended: boolean
}

type Item = Extract<Element<unknown>, { readonly _tag: "Item" }>

const natural = Schema.decodeUnknownSync(Schema.Natural)
const outcomeIn = Schema.decodeUnknownSync(Outcome)

/** How many things an element stands for. */
const sizeOf = ({ count = 1 }: Item): number | Mismatch =>
  count === 1 ? count : orMismatch("count", () => natural(count))

export class Ledger {
  readonly root: Bracket = makeBracket(0, undefined, "")
  readonly brackets = new Map<number, Bracket>()
  readonly active = new Chain<Entry>()
  /** Entries that can run now: unsettled ones of earlier runs, retried rows, ends of brackets, elements read ahead. */
  readonly ready: Array<Entry> = []
  /** The first cursor that was ever taken, and the cursors that earlier runs have left unsettled. */
  first: string | undefined
  readonly left = new Set<string>()
  main: Position = { frontier: undefined, bracket: this.root }
  segment: (Position & { readonly root: Bracket }) | undefined
  feed: Feed | undefined
  nextId = 1
  /** Whether the source has brackets. A source with brackets is read ahead. */
  private hasBrackets = false
  /** How many entries wait in brackets, and how many entries may wait or be ready. */
  private waiting = 0
  private readonly maxWaiting: number
  /** By cursor: checkpoints of retried elements whose row is not settled again. */
  readonly retried = new Map<string, Kept>()
  readonly payloads: Payloads
  readonly journal: Journal
  private readonly name: string

  constructor(name: string, maxWaiting: number, payloads: Payloads, journal: Journal) {
    this.name = name
    this.maxWaiting = maxWaiting
    this.payloads = payloads
    this.journal = journal
    this.root.state = "open"
  }

  /** Whether every entry has ended and no feed is open. */
  get isEmpty(): boolean {
    return this.active.size === 0 && this.ready.length === 0 && this.segment === undefined && this.feed === undefined
  }

  makeBracket(parent: Bracket | undefined, cursor: string): Bracket {
    const bracket = makeBracket(this.nextId++, parent, cursor)
    this.brackets.set(bracket.id, bracket)
    this.hasBrackets = true
    return bracket
  }

  /** Gives the next entry that is to run, if any. `mayGoOn` is asked before each element of the feed. */
  take(mayGoOn: () => boolean): Entry | undefined {
    return this.advance(mayGoOn) ?? this.ready.shift()
  }

  /**
   * Takes elements from the feed, and gives an entry that is to run before the ready ones. In a source with brackets
   * that is the next opening element, so that its bracket is open in time.
   */
  private advance(mayGoOn: () => boolean): Entry | undefined {
    for (let feed = this.feed; feed !== undefined && mayGoOn(); feed = this.feed) {
      if (!this.hasBrackets && this.ready.length > 0) return undefined
      const chunk = feed.chunks[0]
      if (chunk === undefined) return undefined
      const element = chunk[feed.index]
      if (element === undefined) {
        feed.chunks.shift()
        feed.index = 0
        continue
      }
      const { position } = feed
      if (!this.mayTake(element, position.bracket)) return undefined
      if (this.wasTaken(element.cursor, feed)) {
        throw new Error(
          `The source of fan-out "${this.name}" gave the cursor "${element.cursor}" again: each is there once, and ` +
            "its source has to go on behind the one that it is given as `after`"
        )
      }
      if (element._tag === "After" && position.bracket === this.root) {
        throw new Error(`The source gave After "${element.cursor}" where no bracket is open`)
      }
      feed.index++
      feed.left--
      position.frontier = element.cursor
      this.first ??= element.cursor
      const entry = position.bracket.state === "skipping"
        ? this.skip(position, element)
        : this.takeOne(position, element)
      if (feed.until?.after !== undefined) this.endSegment(feed)
      if (entry === undefined) continue
      if (entry.kind === "open" || !this.hasBrackets) return entry
      this.ready.push(entry)
    }
    return undefined
  }

  /**
   * Whether a source has given a cursor before. Cursors have no order, so only some are known: the last one, the first
   * one and the unsettled ones. A source that ignores `after` begins anew and gives the first cursor. A part of the
   * source can hold unsettled cursors, so these count for the main source only.
   */
  private wasTaken(cursor: string, { goesOn, position, until }: Feed): boolean {
    return cursor === position.frontier ||
      (goesOn && until === undefined && (cursor === this.first || this.left.has(cursor)))
  }

  /** Whether an element can be taken now. An element that is settled already waits until its bracket is open. */
  private mayTake(element: Element<unknown>, { state }: Bracket): boolean {
    if (!this.hasBrackets || state === "skipping" || element._tag === "After") return true
    if (element._tag === "Settled") return state === "open"
    // An opening element runs at once, unless too many entries are ready before it, such as ends of empty brackets.
    return (element.opens === true && state === "open" && this.ready.length <= this.maxWaiting) ||
      this.ready.length + this.waiting < this.maxWaiting
  }

  private endSegment(feed: Feed): void {
    feed.chunks = []
    feed.ended = true
    this.feed = undefined
    this.segment = undefined
  }

  private takeOne(position: Position, element: Element<unknown>): Entry | undefined {
    const { bracket } = position
    switch (element._tag) {
      case "Item": {
        bracket.outstanding++
        const own = element.opens === true ? this.openWithin(bracket, element.cursor) : bracket
        position.bracket = own
        return this.admit(this.enterItem(element, own))
      }
      case "After": {
        bracket.after = this.afterOf(element)
        position.bracket = bracket.parent ?? this.root
        return bracket.outstanding === 0 ? this.enterAfter(bracket, bracket.after) : undefined
      }
      case "Settled":
        this.journal.settle(this.known(element))
        return undefined
    }
  }

  private skip(position: Position, element: Element<unknown>): undefined {
    const { bracket } = position
    if (element._tag !== "After") {
      const size = element._tag === "Item" ? sizeOf(element) : 1
      bracket.skipped += size instanceof Mismatch ? 1 : size
      if (element._tag === "Item" && element.opens === true) bracket.depth++
    } else if (bracket.depth > 0) {
      bracket.depth--
    } else {
      position.bracket = bracket.parent ?? this.root
      this.closeSkipped(bracket, element.cursor)
    }
  }

  private closeSkipped(bracket: Bracket, cursor: string): void {
    if (bracket.skipped > 0) {
      this.journal.settle({
        // The end of the bracket can have a row of its own after a retry.
        cursor: `${cursor}#skipped`,
        key: bracket.key ?? bracket.cursor,
        payload: undefined,
        isRetriable: false,
        encoded: undefined,
        bracketAfter: undefined,
        opener: bracket.cursor,
        outcome: { _tag: "Skipped", reason: "what opens it was not done", count: bracket.skipped },
        value: Option.none(),
        kept: undefined,
        retryOf: undefined
      })
    }
    this.closeBracket(bracket)
  }

  /** Gives an entry back that can run now. Any other entry waits until its bracket is open. */
  admit(entry: Entry): Entry | undefined {
    const bracket = entry.kind === "open" ? entry.bracket.parent : entry.bracket
    if (bracket?.state !== "opening") return entry
    bracket.waiting.push(entry)
    this.waiting++
    return undefined
  }

  /** Skips the entries that wait in a bracket which does not open, and the rest of the bracket in the source. */
  private skipWaiting(bracket: Bracket): void {
    for (const position of [this.main, this.segment]) {
      if (position === undefined) continue
      let depth = 0
      for (let at: Bracket | undefined = position.bracket; at !== undefined; at = at.parent, depth++) {
        if (at !== bracket) continue
        position.bracket = bracket
        bracket.depth = depth
        break
      }
    }
    bracket.skipped += this.dropWaiting(bracket)
  }

  private dropWaiting(bracket: Bracket): number {
    let count = 0
    for (const entry of bracket.waiting) {
      this.active.delete(entry)
      this.waiting--
      count += entry.count
      if (entry.kind !== "open") continue
      count += this.dropWaiting(entry.bracket)
      this.brackets.delete(entry.bracket.id)
    }
    bracket.waiting = []
    return count
  }

  private enterItem(item: Item, bracket: Bracket): Entry {
    const { checkpoint, cursor, opens, payload } = item
    const kept = checkpoint === undefined ? undefined : new Kept(checkpoint)
    const size = sizeOf(item)
    const [encoded, count] = size instanceof Mismatch ? [size, 1] : [this.payloads.check(payload), size]
    return this.enter(opens === true ? "open" : "item", cursor, payload, encoded, bracket, { count, kept })
  }

  enter(
    kind: Entry["kind"],
    cursor: string,
    payload: unknown,
    encoded: Loaded["encoded"],
    bracket: Bracket,
    from: { readonly [K in "count" | "kept" | "retryOf" | "bracketAfter"]?: Entry[K] | undefined } = {}
  ): Entry {
    const entry: Entry = {
      kind,
      cursor,
      payload,
      bracket,
      count: from.count ?? 1,
      encoded,
      retryOf: from.retryOf,
      bracketAfter: from.bracketAfter,
      kept: from.kept,
      chain: undefined,
      previous: undefined,
      next: undefined
    }
    this.active.add(entry)
    return entry
  }

  /** Takes an element that has failed, and whose row is to run again. */
  retry(
    row: OutcomeRow,
    { bracketAfter, cursor, encoded, kept }: Pick<Entry, "cursor" | "kept" | "bracketAfter"> & {
      readonly encoded: Schema.Json
    }
  ): Entry {
    const opens = bracketAfter !== undefined
    const bracket = opens ? this.makeBracket(undefined, cursor) : this.root
    bracket.outstanding++
    // The failed end of a bracket runs again as an item, because its bracket is settled.
    const entry = this.enter(opens ? "open" : "item", cursor, this.payloads.decode(encoded), encoded, bracket, {
      kept: this.retried.get(cursor) ?? kept,
      retryOf: row,
      bracketAfter
    })
    this.retried.delete(cursor)
    this.ready.push(entry)
    return entry
  }

  settle(entry: Entry, key: string, outcome: Outcome, value: Option.Option<unknown>): void {
    const { bracket, cursor, kept, kind, payload, retryOf } = entry
    this.active.delete(entry)
    const encoded = outcome._tag === "Done" ? undefined : this.payloads.encodedOf(entry)
    const isRetriable = !(encoded instanceof Mismatch)
    const bracketAfter = kind === "open" ? entry.bracketAfter ?? cursor : undefined
    this.journal.settle({
      cursor,
      key,
      payload,
      isRetriable,
      encoded: encoded instanceof Mismatch ? undefined : encoded,
      bracketAfter,
      outcome,
      value,
      kept,
      retryOf
    })
    if (kind === "after") return this.closeBracket(bracket)
    if (kind === "open") {
      if (outcome._tag === "Done") {
        bracket.state = "open"
        this.waiting -= bracket.waiting.length
        this.ready.push(...bracket.waiting)
        bracket.waiting = []
      } else {
        bracket.state = "skipping"
        bracket.key = key
        this.skipWaiting(bracket)
      }
      // The elements in the bracket of a retried opening element come from a part of the source.
      if (retryOf !== undefined && bracket.state === "open") {
        this.segment = { frontier: bracketAfter, bracket, root: bracket }
      }
      if (retryOf !== undefined && bracket.state === "skipping") this.brackets.delete(bracket.id)
      // The source has given the end of the bracket already.
      if (bracket.state === "skipping" && bracket.after !== undefined) {
        return this.closeSkipped(bracket, bracket.after.cursor)
      }
    }
    bracket.outstanding--
    this.endBracket(bracket)
  }

  /** Puts parts in the place of an element: settled ones and ones that are to run. Their brackets are balanced. */
  replace(entry: Entry, value: Option.Option<unknown>, parts: ReadonlyArray<Element<unknown>>): void {
    const { bracket } = entry
    this.active.delete(entry)
    this.journal.replace(entry, value)
    let own = bracket
    for (const part of parts) {
      switch (part._tag) {
        case "Settled":
          this.journal.settle(this.known(part))
          break
        case "After":
          own.after = this.afterOf(part)
          own = own.parent ?? this.root
          break
        case "Item": {
          own.outstanding++
          if (part.opens === true) own = this.openWithin(own, part.cursor)
          const ready = this.admit(this.enterItem(part, own))
          if (ready !== undefined) this.ready.push(ready)
        }
      }
    }
    bracket.outstanding--
    this.endBracket(bracket)
  }

  /** Makes a bracket that waits for its opening element. */
  private openWithin(parent: Bracket, cursor: string): Bracket {
    const own = this.makeBracket(parent, cursor)
    own.outstanding = 1
    return own
  }

  /** Ends the brackets of a restored checkpoint that have their end and wait for nothing. */
  restored(): void {
    this.hasBrackets = this.brackets.size > 0
    for (const bracket of this.brackets.values()) this.endBracket(bracket)
  }

  private endBracket(bracket: Bracket): void {
    if (bracket.after === undefined || bracket.outstanding > 0 || bracket === this.root) return
    this.ready.push(this.enterAfter(bracket, bracket.after))
  }

  private enterAfter(bracket: Bracket, { cursor, encoded, payload }: NonNullable<Bracket["after"]>): Entry {
    return this.enter("after", cursor, payload, encoded, bracket)
  }

  private afterOf({ cursor, payload }: Extract<Element<unknown>, { readonly _tag: "After" }>): Bracket["after"] & {} {
    return { cursor, payload, encoded: this.payloads.check(payload) }
  }

  /** The settlement of an element that the source gives as settled. */
  private known({ cursor, key, outcome, retry }: Extract<Element<unknown>, { readonly _tag: "Settled" }>): Settlement {
    const encoded = retry === undefined
      ? undefined
      : this.payloads.encodedOf({ payload: retry.payload, encoded: undefined })
    const checked = encoded instanceof Mismatch ? encoded : orMismatch("outcome", () => outcomeIn(outcome))
    return {
      cursor,
      key,
      payload: retry?.payload,
      isRetriable: retry !== undefined && !(encoded instanceof Mismatch),
      encoded: encoded instanceof Mismatch ? undefined : encoded,
      bracketAfter: retry?.bracketAfter,
      outcome: checked instanceof Mismatch
        ? { _tag: "Failed", failure: { _tag: "Defect", message: checked.message } }
        : checked,
      value: Option.none(),
      kept: undefined,
      retryOf: undefined
    }
  }

  private closeBracket(bracket: Bracket): void {
    this.brackets.delete(bracket.id)
    const { parent } = bracket
    if (parent === undefined) return
    parent.outstanding--
    this.endBracket(parent)
  }
}

const makeBracket = (id: number, parent: Bracket | undefined, cursor: string): Bracket => ({
  id,
  parent,
  cursor,
  key: undefined,
  state: "opening",
  outstanding: 0,
  skipped: 0,
  depth: 0,
  after: undefined,
  waiting: []
})
