/**
 * Counts what a job has to do, beside its work.
 */
import * as Checkpoint from "@fanout/core/Checkpoint"
import type { JobContext } from "@fanout/core/JobContext"
import * as Progress from "@fanout/core/Progress"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Num from "effect/Number"
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Files from "../../Files.ts"
import * as JobFileSystems from "./jobFileSystems.ts"

/** How much there is, by unit: `items` are elements. What is not known is left out. */
export type Amounts = Readonly<Record<string, number>>

/** Amounts of two together. */
export const sum = (a: Amounts, b: Amounts): Amounts => Record.union(a, b, Num.sum)

const totalsOf = (what: string) => Checkpoint.make(`total ${what}`, Schema.Record(Schema.String, Schema.Natural))

const elements = totalsOf("elements")

/** How many elements there are in all, where a run of the job has told that. */
export const known: Effect.Effect<Option.Option<Amounts>, never, JobContext> = Effect.orElseSucceed(
  elements.get,
  () => Option.none()
)

/** Tells how much there is in all, and keeps it. What was counted of a disk that is gone is no total. */
export const tellTotals = (
  found: Amounts,
  totals = elements
): Effect.Effect<void, never, Files.Files | JobContext> =>
  Effect.gen(function*() {
    if ((yield* JobFileSystems.findMoved()) !== undefined) return
    for (const [unit, amount] of Object.entries(found)) yield* Progress.total(unit, amount)
    if (Option.isNone(yield* totals.get)) yield* totals.save(found)
  }).pipe(Effect.ignore)

/** What is over by then needs no percentage. */
const after = "1 second"

/** Tells how much there is, counted beside the work by one run of the job alone. */
export const countBeside = <R>(
  count: Effect.Effect<Amounts, never, R>,
  totals = elements
): Effect.Effect<void, never, Files.Files | JobContext | R | Scope.Scope> =>
  totals.get.pipe(
    Effect.flatMap(Option.match({ onNone: () => Effect.delay(count, after), onSome: Effect.succeed })),
    Effect.flatMap((found) => tellTotals(found, totals)),
    Effect.ignore,
    Effect.forkScoped,
    Effect.asVoid
  )

/** So much later than elements, bytes are counted: until then the share goes by elements. */
const bytesAfter = "4 seconds"

/** So many times as long as it counts bytes, the count rests: files are looked at for nothing else. */
const restTimes = 99n

/** Tells how many bytes there are in what a walk meets. It is not told where `bytesOf` does not know it of some. */
export const countBytesBeside = <A, R>(
  walk: Stream.Stream<A, never, R>,
  bytesOf: (elements: ReadonlyArray<A>) => Effect.Effect<Option.Option<number>, never, R>
) => {
  const count = Effect.gen(function*() {
    let [began, bytes] = [yield* Clock.currentTimeNanos, 0]
    const add = Effect.fnUntraced(function*(elements: ReadonlyArray<A>) {
      bytes += Option.getOrElse(yield* bytesOf(elements), () => Number.NaN)
      yield* Effect.sleep(Duration.nanos(((yield* Clock.currentTimeNanos) - began) * restTimes))
      began = yield* Clock.currentTimeNanos
    })
    yield* Stream.runForEachArray(Stream.takeWhile(walk, () => Number.isFinite(bytes)), add)
    return Number.isFinite(bytes) ? { bytes } : {}
  })
  return countBeside(Effect.delay(count, bytesAfter), totalsOf("bytes"))
}

/** How far the walk of a job has come, and how much it has met, if it began with the first. */
export class Met<A extends { readonly cursor: string }> {
  private readonly amountsOf: (element: A) => Amounts
  private cursor: Option.Option<string> = Option.none()
  private amounts: Record<string, number> | undefined
  private readonly ended = Deferred.makeUnsafe<void>()

  /** `amountsOf` says what an element stands for. */
  constructor(amountsOf: (element: A) => Amounts) {
    this.amountsOf = amountsOf
  }

  private addTo(amounts: Record<string, number>, elements: ReadonlyArray<A>): Record<string, number> {
    for (const element of elements) {
      for (const [unit, amount] of Object.entries(this.amountsOf(element))) {
        amounts[unit] = (amounts[unit] ?? 0) + amount
      }
    }
    return amounts
  }

  /** Notes what the walk meets behind a cursor. */
  noting<E, R>(walk: Stream.Stream<A, E, R>, after: Option.Option<string>): Stream.Stream<A, E, R> {
    this.amounts = Option.isSome(after) ? undefined : {}
    this.cursor = Option.none()
    const noted = Stream.mapArray(walk, (elements) => {
      if (this.amounts !== undefined) this.addTo(this.amounts, elements)
      this.cursor = Option.some(Arr.lastNonEmpty(elements).cursor)
      return elements
    })
    return Stream.onEnd(noted, Deferred.succeed(this.ended, undefined))
  }

  /** How much there was, once the walk is over; nothing if it did not begin with the first. */
  get whole(): Effect.Effect<Amounts> {
    return Effect.map(Deferred.await(this.ended), () => this.amounts ?? {})
  }

  /** Counts all there is, by the same walk: from where the work has come to, if all before was met. */
  countAll<R>(walk: (after: Option.Option<string>) => Stream.Stream<A, never, R>): Effect.Effect<Amounts, never, R> {
    return Effect.suspend(() => {
      const amounts = { ...this.amounts }
      const rest = walk(this.amounts === undefined ? Option.none() : this.cursor)
      return Effect.as(
        Stream.runForEachArray(rest, (elements) => Effect.sync(() => this.addTo(amounts, elements))),
        amounts
      )
    })
  }
}
