import { assert, it } from "@effect/vitest"
import type { Outcome } from "@fanout/core/Outcome"
import type { Element } from "@fanout/core/Source"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Header, Journal } from "../src/internal/fanOut/journal.ts"
import { type Entry, type Feed, Ledger } from "../src/internal/fanOut/ledger.ts"
import { Payloads } from "../src/internal/fanOut/payloads.ts"
import * as StoredLedger from "../src/internal/fanOut/storedLedger.ts"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const Step = Schema.Struct({
  kind: Schema.Literals(["item", "item", "open", "close"]),
  ends: Schema.Literals(["Done", "Done", "Failed", "Skipped"])
})
type Step = typeof Step.Type

/** What is done with a ledger: elements are taken, one of those that run ends, or all that is not recorded is lost. */
const Act = Schema.Struct({ what: Schema.Literals(["take", "take", "end", "end", "flush", "crash"]), at: int(0, 20) })
type Act = typeof Act.Type

const json = Schema.toCodecJson(Schema.Number)
const codec = { fits: () => false, encode: Schema.encodeUnknownSync(json), decode: Schema.decodeUnknownSync(json) }

/** Elements with their brackets closed. The payload is the place in the list. */
const elementsOf = (steps: ReadonlyArray<Step>): ReadonlyArray<Element<number>> => {
  const elements: Array<Element<number>> = []
  let depth = 0
  for (const { kind } of [...steps, ...steps.map(() => ({ kind: "close" as const }))]) {
    const [payload, cursor] = [elements.length, String(elements.length).padStart(4, "0")]
    if (kind !== "close") elements.push({ _tag: "Item", cursor, payload, ...kind === "open" ? { opens: true } : {} })
    else if (depth > 0) elements.push({ _tag: "After", cursor, payload })
    depth += kind === "open" ? 1 : kind === "close" && depth > 0 ? -1 : 0
  }
  return elements
}

const endOf = (steps: ReadonlyArray<Step>, index: number): Step["ends"] => steps[index]?.ends ?? "Done"

/** The model: what is in a bracket is skipped unless all that is around it was done; its end runs if it was opened. */
const modelOf = (steps: ReadonlyArray<Step>) => {
  const counts = { Done: 0, Failed: 0, Skipped: 0 }
  const around: Array<boolean> = []
  for (const [index, element] of elementsOf(steps).entries()) {
    const isOpen = element._tag === "After" ? around.pop() === true : around.every(Boolean)
    if (isOpen) counts[endOf(steps, index)]++
    else if (element._tag === "Item") counts.Skipped++
    if (element._tag === "Item" && element.opens === true) around.push(isOpen && endOf(steps, index) === "Done")
  }
  return counts
}

/** A ledger, its source, what runs of it, and what is stored of it. */
class World {
  ledger: Ledger
  stored: string | undefined
  running: Array<Entry> = []
  /** Tally and rows, as they were recorded. */
  recorded = { Done: 0, Failed: 0, Skipped: 0 }
  readonly rows = new Map<string, Outcome>()
  private readonly steps: ReadonlyArray<Step>
  private readonly elements: ReadonlyArray<Element<number>>
  private readonly clock: Clock.Clock

  constructor(steps: ReadonlyArray<Step>, clock: Clock.Clock) {
    this.steps = steps
    this.elements = elementsOf(steps)
    this.clock = clock
    this.ledger = this.open()
  }

  private open(): Ledger {
    const run = { version: 1, attempt: 1, tries: 0 }
    const make = (header?: Header) =>
      new Ledger(
        "test",
        4,
        new Payloads(codec),
        new Journal({
          fanOut: "test",
          run,
          clock: this.clock,
          keepsAll: false,
          hasCommit: true,
          most: 1000,
          failureLimit: Number.POSITIVE_INFINITY
        }, header)
      )
    const lift = StoredLedger.lifting({}, 1, "test")
    const ledger = this.stored === undefined ? make() : StoredLedger.restore(this.stored, lift, make)
    const { frontier } = ledger.main
    const rest = this.elements.filter(({ cursor }) => frontier === undefined || cursor > frontier)
    const feed: Feed = {
      position: ledger.main,
      until: undefined,
      goesOn: frontier !== undefined,
      chunks: [rest],
      index: 0,
      left: rest.length,
      low: 0,
      ended: false
    }
    ledger.feed = feed
    return ledger
  }

  take(): boolean {
    const entry = this.ledger.take(() => true)
    if (entry === undefined) return false
    this.checkOrder(entry)
    this.running.push(entry)
    return true
  }

  /** What is in a bracket runs once the bracket is open, and its end once all in it has ended. */
  private checkOrder({ bracket, kind, payload }: Entry): void {
    if (kind === "after") assert.isFalse(this.running.some((other) => other.bracket === bracket), String(payload))
    else assert.notStrictEqual(kind === "open" ? bracket.parent?.state : bracket.state, "opening", String(payload))
  }

  end(at: number): boolean {
    const [entry] = this.running.splice(at % Math.max(1, this.running.length), 1)
    if (entry === undefined) return false
    const how = endOf(this.steps, Number(entry.payload))
    const outcome: Outcome = how === "Done"
      ? { _tag: "Done", value: null }
      : how === "Skipped"
      ? { _tag: "Skipped", reason: "", count: 1 }
      : { _tag: "Failed", failure: { _tag: "Timeout", millis: 1 } }
    this.ledger.settle(entry, String(entry.payload), outcome, how === "Done" ? Option.some(null) : Option.none())
    return true
  }

  flush(): void {
    const { cleared, ended, rows } = this.ledger.journal.takeBatch()
    for (const cursor of cleared) this.rows.delete(cursor)
    for (const { cursor, outcome } of rows) {
      assert.isFalse(this.rows.has(cursor), `${cursor} is recorded twice`)
      this.rows.set(cursor, outcome)
    }
    for (const { outcome } of ended) this.recorded[outcome._tag] += outcome._tag === "Skipped" ? outcome.count : 1
    this.stored = StoredLedger.encode(1, this.ledger)
    this.ledger.journal.recorded()
  }

  crash(): void {
    this.running = []
    this.ledger = this.open()
  }

  act({ at, what }: Act): void {
    if (what === "take") this.take()
    else if (what === "end") this.end(at)
    else if (what === "flush") this.flush()
    else this.crash()
  }

  /** Goes on until nothing is left. */
  finish(): void {
    for (let isMoving = true; isMoving;) isMoving = this.take() || this.end(0)
    this.ledger.feed = undefined
    this.flush()
  }
}

it.effect.prop(
  "a ledger comes to the same as its model, whatever is taken, ended, recorded and lost in whatever order",
  {
    steps: Schema.Array(Step).check(Schema.isMaxLength(40)),
    acts: Schema.Array(Act).check(Schema.isMaxLength(150))
  },
  ({ acts, steps }) =>
    Effect.gen(function*() {
      const world = new World(steps, yield* Clock.Clock)
      for (const act of acts) world.act(act)
      world.finish()

      const { done, failed, skipped } = world.ledger.journal.header.tally
      assert.deepStrictEqual({ Done: done, Failed: failed, Skipped: skipped }, modelOf(steps))
      assert.deepStrictEqual(world.recorded, modelOf(steps))
      const failures = Array.from(world.rows.values()).filter(({ _tag }) => _tag === "Failed")
      assert.strictEqual(failures.length, failed)
      assert.isTrue(world.ledger.isEmpty)
      assert.strictEqual(world.ledger.brackets.size, 0)
    }),
  { arbitrary: { size: 150 } }
)
