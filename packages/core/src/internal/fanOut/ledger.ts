/**
 * What a fan-out has taken and not settled, as a state machine without effects.
 *
 * `take` gives the next element that is to run, or nothing; `settle` says what an element came to, and `replace` what
 * takes its place. Elements come from feeds: the main source, and while a failed bracket is retried the part of the
 * source that belongs to it. An element that is taken before its bracket is open waits in it, so that what lies behind
 * can begin. The journal keeps what has ended. The checkpoint is both, without what the feeds have ready.
 */
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { Element } from "../../FanOut.ts"
import type { OutcomeRow } from "../../JobStore.ts"
import type { Outcome } from "../../Outcome.ts"
import { Chain, type Linked } from "../chain.ts"
import { Kept } from "../task/kept.ts"
import type { Unit } from "../task/taskRun.ts"
import type { Journal, Settlement } from "./journal.ts"
import { type Loaded, Mismatch, type Payloads } from "./payloads.ts"

export interface Bracket {
  readonly id: number
  readonly parent: Bracket | undefined
  /** The opening element's cursor, and its key once it came to something else than done. */
  readonly cursor: string
  key: string | undefined
  state: "opening" | "open" | "skipping"
  /** What was taken within and is not settled: the opening element, items, brackets. */
  outstanding: number
  /** Elements skipped because the opening element did not come to be done. */
  skipped: number
  /** Brackets open within a bracket that is skipped. */
  depth: number
  after: Loaded & { readonly cursor: string } | undefined
  /** What was taken within while it was opening: items, and the opening elements of brackets. */
  waiting: Array<Entry>
}

export interface Entry extends Unit, Loaded, Linked<Entry> {
  readonly kind: "item" | "open" | "after"
  readonly cursor: string
  readonly bracket: Bracket
  /** How many things it stands for. */
  readonly count: number
  /** The stored failure that this entry runs again. Its row is its checkpoint. */
  readonly retryOf: OutcomeRow | undefined
  /** Where the bracket of a retried opening element begins in the source, unless right behind it. */
  readonly bracketAfter: string | undefined
}

/** A place in a source: the last cursor taken, and the innermost bracket open there. */
export interface Position {
  frontier: string | undefined
  bracket: Bracket
}

export interface Feed {
  readonly position: Position
  /** For a part of the source: the bracket with whose end it ends. */
  readonly until: Bracket | undefined
  /** Whether the source was opened behind a cursor. */
  readonly goesOn: boolean
  chunks: Array<ReadonlyArray<Element<unknown>>>
  index: number
  /** How many elements of these were not taken, and how few they have to be for more to be pulled. */
  left: number
  low: number
  ended: boolean
}

type Item = Extract<Element<unknown>, { readonly _tag: "Item" }>

export class Ledger {
  readonly root: Bracket = makeBracket(0, undefined, "")
  readonly brackets = new Map<number, Bracket>()
  readonly active = new Chain<Entry>()
  /** What can run by now: what a stop left unsettled, retried rows, ends of brackets, what was read ahead. */
  readonly ready: Array<Entry> = []
  /** The first cursor that was ever taken, and those of what an earlier run has left unsettled. */
  first: string | undefined
  readonly left = new Set<string>()
  main: Position = { frontier: undefined, bracket: this.root }
  segment: (Position & { readonly root: Bracket }) | undefined
  feed: Feed | undefined
  nextId = 1
  /** Whether the source has any: then it is read ahead. */
  private hasBrackets = false
  /** How many entries wait in brackets, and how many may, those that are ready included. */
  private waiting = 0
  private readonly maxWaiting: number
  /** What retried elements had saved before their row was settled again, by their cursor. */
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

  /** Whether all that was taken has ended, and nothing of it is to come. */
  get isEmpty(): boolean {
    return this.active.size === 0 && this.ready.length === 0 && this.segment === undefined && this.feed === undefined
  }

  makeBracket(parent: Bracket | undefined, cursor: string): Bracket {
    const bracket = makeBracket(this.nextId++, parent, cursor)
    this.brackets.set(bracket.id, bracket)
    this.hasBrackets = true
    return bracket
  }

  /** The next piece of work, or nothing for now. `mayGoOn` is asked before each element that needs no work. */
  take(mayGoOn: () => boolean): Entry | undefined {
    return this.advance(mayGoOn) ?? this.ready.shift()
  }

  /**
   * Takes elements from the feed, and gives one that is to run before what is ready: where there are brackets, one that
   * opens the next of them, so that it is open when it is needed.
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
   * Whether a source has gone back, as far as that can be told of cursors that nobody else can compare: one that takes
   * no notice of where it is to go on begins anew. A part of it may end with what has failed before, and is retried.
   */
  private wasTaken(cursor: string, { goesOn, position, until }: Feed): boolean {
    return cursor === position.frontier ||
      (goesOn && until === undefined && (cursor === this.first || this.left.has(cursor)))
  }

  /** Whether an element can be taken by now. In a bracket that is opening only what can still be skipped is. */
  private mayTake(element: Element<unknown>, { state }: Bracket): boolean {
    if (!this.hasBrackets || state === "skipping" || element._tag === "After") return true
    if (element._tag === "Settled") return state === "open"
    // What opens one runs at once, unless too much is ready before it: ends of empty ones, for instance.
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
      bracket.skipped += element._tag === "Item" ? element.count ?? 1 : 1
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
        // The end of the bracket may have a row of its own, once a retry has opened it.
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

  /** Gives back what can run by now, and has the rest wait until its bracket is open. */
  admit(entry: Entry): Entry | undefined {
    const bracket = entry.kind === "open" ? entry.bracket.parent : entry.bracket
    if (bracket?.state !== "opening") return entry
    bracket.waiting.push(entry)
    this.waiting++
    return undefined
  }

  /** Skips what waits in a bracket that does not open, and the part of it that is to come. */
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

  private enterItem({ checkpoint, count, cursor, opens, payload }: Item, bracket: Bracket): Entry {
    const kept = checkpoint === undefined ? undefined : new Kept(checkpoint)
    return this.enter(opens === true ? "open" : "item", cursor, payload, this.payloads.check(payload), bracket, {
      count,
      kept
    })
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

  /** Takes an element whose row says that it has failed, and is to run again. */
  retry(
    row: OutcomeRow,
    { bracketAfter, cursor, encoded, kept }: Pick<Entry, "cursor" | "kept" | "bracketAfter"> & {
      readonly encoded: Schema.Json
    }
  ): Entry {
    const opens = bracketAfter !== undefined
    const bracket = opens ? this.makeBracket(undefined, cursor) : this.root
    bracket.outstanding++
    // The failed end of a bracket runs again like an item: its bracket is long settled.
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
    const isRetriable = !(entry.encoded instanceof Mismatch)
    const encoded = outcome._tag === "Done" ? undefined : this.payloads.encodedOf(entry)
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
      // What belongs to a retried opening element comes from its part of the source, if it is wanted now.
      if (retryOf !== undefined && bracket.state === "open") {
        this.segment = { frontier: bracketAfter, bracket, root: bracket }
      }
      if (retryOf !== undefined && bracket.state === "skipping") this.brackets.delete(bracket.id)
      // The source has given its end already.
      if (bracket.state === "skipping" && bracket.after !== undefined) {
        return this.closeSkipped(bracket, bracket.after.cursor)
      }
    }
    bracket.outstanding--
    this.endBracket(bracket)
  }

  /**
   * Puts others in the place of an element: those that have ended, and those that are to run by themselves. Their
   * brackets are balanced.
   */
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

  /** A bracket that waits for what opens it. */
  private openWithin(parent: Bracket, cursor: string): Bracket {
    const own = this.makeBracket(parent, cursor)
    own.outstanding = 1
    return own
  }

  /** After a checkpoint was put back: brackets whose end was taken and that wait for nothing end now. */
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

  /** An ending that nobody had to run anything for. */
  private known({ cursor, key, outcome, retry }: Extract<Element<unknown>, { readonly _tag: "Settled" }>): Settlement {
    const checked = retry === undefined
      ? undefined
      : { payload: retry.payload, encoded: this.payloads.check(retry.payload) }
    const encoded = checked === undefined ? undefined : this.payloads.encodedOf(checked)
    const isStorable = !(encoded instanceof Mismatch)
    return {
      cursor,
      key,
      payload: retry?.payload,
      isRetriable: retry !== undefined && isStorable,
      encoded: isStorable ? encoded : undefined,
      bracketAfter: retry?.bracketAfter,
      outcome: isStorable ? outcome : { _tag: "Failed", failure: { _tag: "Defect", message: encoded.message } },
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
