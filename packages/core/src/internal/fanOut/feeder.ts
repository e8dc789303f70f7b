/**
 * Feeds a fan-out with elements. First comes the rest of the part of the source that a retry has begun, then come
 * failed rows, then the source.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { JobStore, OutcomeRow } from "../../JobStore.ts"
import * as Kept from "../task/kept.ts"
import type { FanOut } from "./engine.ts"
import type { Bracket, Feed, Ledger, Position } from "./ledger.ts"
import { decodeOrigin } from "./origin.ts"
import type { Lift } from "./storedLedger.ts"

/** Rows that one query reads for a retry. */
const pageSize = 100

/** Which rows a retry reads. */
type Wanted = Pick<Parameters<JobStore["Service"]["outcomes"]>[1], "tags" | "cause" | "elements">

interface Listeners {
  /** Called after new elements and after cleared rows. */
  readonly fed: () => void
  /** Called after a failure of the source. Gives the cause with which the fan-out fails, or none if its job pauses. */
  readonly failed: (cause: Cause.Cause<unknown>) => Cause.Cause<unknown> | undefined
}

export class Feeder {
  private readonly spec: FanOut
  private readonly ledger: Ledger
  private readonly lift: Lift
  private readonly concurrency: number
  private readonly on: Listeners
  /** Open while more elements may be pulled, and after an element has settled. */
  private readonly drained = Latch.makeUnsafe(true)
  private readonly settled = Latch.makeUnsafe(false)
  private isStopping = false

  constructor(
    spec: FanOut,
    ledger: Ledger,
    lift: Lift,
    concurrency: number,
    on: Listeners
  ) {
    this.spec = spec
    this.ledger = ledger
    this.lift = lift
    this.concurrency = concurrency
    this.on = on
  }

  /** Feeds all elements. */
  readonly run: Effect.Effect<void, unknown> = Effect.suspend(() =>
    Effect.gen({ self: this }, function*() {
      const { journal: { header }, root, segment } = this.ledger
      if (segment !== undefined) yield* this.pump(segment, segment.root)
      if (header.tally.failed > 0 || header.reopened.size > 0) yield* this.feedRows
      yield* this.pump(this.ledger.main, undefined)
      if (!this.isStopping && this.ledger.main.bracket !== root) {
        return yield* Effect.die(new Error(`The source of fan-out "${this.spec.name}" ended in an open bracket`))
      }
    })
  )

  /** Pulls more elements if few enough are left. */
  noteTaken(): void {
    const { feed } = this.ledger
    if (feed === undefined || feed.left <= feed.low) this.drained.openUnsafe()
  }

  noteSettled(): void {
    this.settled.openUnsafe()
  }

  /** Feeds no more elements. */
  stop(): void {
    this.isStopping = true
    this.drained.openUnsafe()
    this.settled.openUnsafe()
  }

  private pump(position: Position, until: Bracket | undefined): Effect.Effect<void, unknown> {
    return Effect.scoped(Effect.gen({ self: this }, function*() {
      const pull = yield* Stream.toPull(this.spec.source(Option.fromUndefinedOr(position.frontier)))
      const goesOn = position.frontier !== undefined
      const feed: Feed = { position, until, goesOn, chunks: [], index: 0, left: 0, low: this.concurrency, ended: false }
      this.ledger.feed = feed
      let end: Exit.Exit<void, unknown> = Exit.void
      while (!feed.ended && !this.isStopping) {
        const pulled = yield* Effect.exit(Pull.catchDone(pull, () => Effect.undefined))
        // Elements that a source gave before its failure still run.
        if (Exit.isFailure(pulled)) end = pulled
        if (Exit.isFailure(pulled) || pulled.value === undefined) break
        feed.chunks.push(pulled.value)
        feed.left += pulled.value.length
        this.drained.closeUnsafe()
        this.on.fed()
        if (feed.left > feed.low) yield* this.drained.await
      }
      feed.low = 0
      while (feed.left > 0 && !feed.ended && !this.isStopping) {
        this.drained.closeUnsafe()
        this.on.fed()
        yield* this.drained.await
      }
      if (!this.isStopping) this.ledger.feed = undefined
      if (Exit.isSuccess(end)) return
      const cause = this.on.failed(end.cause)
      if (cause !== undefined) return yield* Effect.failCause(cause)
      this.stop()
    }))
  }

  private get feedRows(): Effect.Effect<void, unknown> {
    const { only } = this.spec.run
    return Effect.andThen(
      // Rows of skipped elements are not chosen: they come below.
      this.feedRowsOf(only === undefined ? { tags: ["Failed", "Skipped"] } : { tags: ["Failed"], ...only }),
      // An opening element that failed again has a newer row than the elements skipped with it, so these come again.
      Effect.suspend(() =>
        this.ledger.journal.header.reopened.size > 0 ? this.feedRowsOf({ tags: ["Skipped"] }) : Effect.void
      )
    )
  }

  private feedRowsOf(wanted: Wanted): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function*() {
      const { name, run } = this.spec
      for (let after = 0;;) {
        const page = yield* run.store.outcomes(run.id, { ...wanted, fanOut: name, after, limit: pageSize })
        for (const [seq, row] of page) {
          after = seq
          if (this.isStopping) return
          if (row.attempt >= run.attempt) continue
          const { isRetriable, opener, v } = decodeOrigin(row.origin)
          if (opener !== undefined) {
            this.ledger.journal.clearSkipped(row, this.lift(v).cursor(opener))
            this.on.fed()
          } else if (isRetriable && row.outcome._tag === "Failed") {
            yield* this.retryRow(row)
          }
        }
        if (page.length < pageSize) return
      }
    })
  }

  private retryRow(row: OutcomeRow): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function*() {
      const { bracketAfter, v, ...saved } = decodeOrigin(row.origin)
      const { cursor, payload } = this.lift(v)
      const { active } = this.ledger
      const entry = this.ledger.retry(row, {
        cursor: cursor(row.cursor),
        encoded: payload(row.payload),
        kept: Kept.restore(saved),
        bracketAfter: bracketAfter === undefined ? undefined : cursor(bracketAfter)
      })
      this.on.fed()
      const opens = entry.kind === "open"
      // No more rows are taken than tasks may be unsettled.
      while (!this.isStopping && (opens ? active.has(entry) : active.size >= this.concurrency)) {
        this.settled.closeUnsafe()
        yield* this.settled.await
      }
      const { segment } = this.ledger
      if (segment?.root === entry.bracket) yield* this.pump(segment, entry.bracket)
    })
  }
}
