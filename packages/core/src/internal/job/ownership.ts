/**
 * Decides who owns a job now: the owner decides about its own lease, and every other process about the lease of an
 * owner.
 *
 * No clock is compared with the clock of another process. The owner counts from the moment before its last renewal. Any
 * other process counts from the moment at which it first saw that renewal, and waits for the whole time to live of that
 * lease. So the owner always knows first.
 *
 * The owner of a lease that may be over asks the store before it gives up the job. It has lost the lease once the store
 * refuses its token, or does not answer for half of the time to live.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type { JobId } from "../../JobId.ts"
import type { Held } from "../../JobStore.ts"
import type { Instant, Lease } from "../../Lease.ts"

/** Parts of the time to live, counted from a renewal. */
const parts = {
  /** The owner asks for the next renewal. */
  due: 1 / 3,
  /** An owner without an answer of the store stops, and has the rest of the time for that. */
  silent: 1 / 2,
  /** The owner publishes nothing without a renewal, because another process may own the job soon. */
  surelyOwned: 9 / 10
}

const instantUnsafe = (clock: Clock.Clock): Instant => ({
  monotonicNanos: clock.monotonicTimeNanosUnsafe(),
  wallMillis: clock.currentTimeMillisUnsafe()
})

/**
 * Time in which this process could act. Of the time for which the process was stopped, or its thread was busy, only
 * two ticks count: the store, or the owner of a job, may have answered meanwhile without being heard.
 */
export class AwakeTime {
  private readonly clock: Clock.Clock
  private readonly tickMillis: number
  private counted = 0
  private last: bigint

  constructor(clock: Clock.Clock, tickMillis: number) {
    this.clock = clock
    this.tickMillis = tickMillis
    this.last = clock.monotonicTimeNanosUnsafe()
  }

  /** Lets the time pass until an interruption. */
  get run(): Effect.Effect<never> {
    return Effect.forever(Effect.andThen(
      Effect.sleep(this.tickMillis),
      Effect.sync(() => {
        this.counted = this.nowUnsafe()
        this.last = this.clock.monotonicTimeNanosUnsafe()
      })
    ))
  }

  /** Milliseconds since the start. */
  nowUnsafe(): number {
    const since = Number(this.clock.monotonicTimeNanosUnsafe() - this.last) / 1e6
    return this.counted + Math.min(since, 2 * this.tickMillis)
  }

  /** The moment before a request to the store. */
  momentUnsafe(): Moment {
    return { instant: instantUnsafe(this.clock), awakeMillis: this.nowUnsafe() }
  }
}

/** Moment on the clocks of a process. */
export interface Moment {
  readonly instant: Instant
  readonly awakeMillis: number
}

interface Options {
  readonly job: JobId
  readonly token: number
  readonly clock: Clock.Clock
  readonly awake: AwakeTime
  readonly ttlMillis: number
  /** The moment before the claim request to the store. */
  readonly since: Moment
  readonly onLost: () => void
}

/**
 * A lease as its owner sees it.
 *
 * The owner measures the age of the lease on two clocks, because a monotonic clock may stand still while the machine
 * sleeps, and a wall clock may be set. The higher age counts. A lost lease stays lost.
 */
export class JobLease implements Lease {
  readonly job: Option.Option<JobId>
  readonly token: number
  /** Whether the lease is lost. A lease that is not lost may still be over. */
  isLost = false
  private readonly options: Options
  private renewed: Moment
  /** Opens with the next renewal, and with the loss. */
  private known = Latch.makeUnsafe(false)

  constructor(options: Options) {
    this.job = Option.some(options.job)
    this.token = options.token
    this.options = options
    this.renewed = options.since
  }

  /** Whether the last renewal is so long ago, since the moment before its request. */
  private isOlderUnsafe(part: number): boolean {
    const { clock, ttlMillis } = this.options
    const { monotonicNanos, wallMillis } = instantUnsafe(clock)
    const { instant } = this.renewed
    const age = Math.max(Number(monotonicNanos - instant.monotonicNanos) / 1e6, wallMillis - instant.wallMillis)
    return age >= ttlMillis * part
  }

  isDueUnsafe(): boolean {
    return this.isOlderUnsafe(parts.due)
  }

  isHeldUnsafe(): boolean {
    if (this.isOlderUnsafe(parts.surelyOwned)) this.loseUnsafe()
    return !this.isLost
  }

  untilKnownUnsafe(): Effect.Effect<void> | undefined {
    return this.isLost || !this.isOlderUnsafe(parts.surelyOwned) ? undefined : this.known.await
  }

  heldUntilUnsafe(): Option.Option<Instant> {
    const millis = this.isLost ? 0 : this.options.ttlMillis * parts.silent
    const { monotonicNanos, wallMillis } = this.renewed.instant
    return Option.some({
      monotonicNanos: monotonicNanos + BigInt(Math.trunc(millis * 1e6)),
      wallMillis: wallMillis + millis
    })
  }

  /** Notes that the store has accepted the token after the moment `since`. */
  renewUnsafe(since: Moment): void {
    this.renewed = since
    const { known } = this
    this.known = Latch.makeUnsafe(false)
    known.openUnsafe()
  }

  loseUnsafe(): void {
    if (this.isLost) return
    this.isLost = true
    this.known.openUnsafe()
    this.options.onLost()
  }

  /** Loses the lease when the store does not answer for too long, and waits until the lease is lost. */
  get lost(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const { awake, ttlMillis } = this.options
      while (!this.isLost) {
        const left = this.renewed.awakeMillis + ttlMillis * parts.silent - awake.nowUnsafe()
        if (left <= 0) return this.loseUnsafe()
        // At least 1: a loop that sleeps so long makes progress.
        yield* Effect.sleep(Math.max(1, left))
      }
    })
  }
}

/** The last observed heartbeat of a job that another process runs, and the time of the first observation. */
interface Sighting {
  readonly token: number
  readonly beat: number
  readonly ttlMillis: number
  readonly since: number
}

/** The leases of other processes as this process sees them. */
export class Sightings {
  /** The time to live of a lease that does not tell its own: a process of an earlier version has stored the lease. */
  private readonly ttlMillis: number
  private readonly seen = new Map<JobId, Sighting>()

  constructor(ttlMillis: number) {
    this.ttlMillis = ttlMillis
  }

  get size(): number {
    return this.seen.size
  }

  /** Forgets all jobs except those of a look. */
  keepUnsafe(ids: ReadonlySet<JobId>): void {
    for (const id of Array.from(this.seen.keys())) if (!ids.has(id)) this.seen.delete(id)
  }

  forgetUnsafe(id: JobId): void {
    this.seen.delete(id)
  }

  /**
   * Notes what a look at the store has shown of a job, and tells whether the owner has not renewed its lease for the
   * whole time to live. `look` has the awake time before the request and after the answer.
   */
  isLostUnsafe({ beat, id, lease }: Pick<Held, "beat" | "id" | "lease">, look: Look): boolean {
    if (Option.isNone(lease)) return true
    const { token, ttlMillis = this.ttlMillis } = lease.value
    const last = this.seen.get(id)
    if (last !== undefined && last.token === token && last.beat === beat) {
      return look.askedAt - last.since >= Math.max(last.ttlMillis, ttlMillis)
    }
    this.seen.set(id, { token, beat, ttlMillis, since: look.answeredAt })
    return false
  }
}

interface Look {
  readonly askedAt: number
  readonly answeredAt: number
}
