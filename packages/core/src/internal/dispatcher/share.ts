/**
 * What one dispatcher may use of what the process has: a job's, or a part of that. A part is never more than the whole.
 */
import type * as Clock from "effect/Clock"
import type { Limits } from "../../LimitedTaskDispatcher.ts"
import type { Priority } from "../../Task.ts"
import type { Bandwidth } from "../../TaskDispatcher.ts"
import { both, type Environment, TokenBucket } from "./bandwidth.ts"
import type { Deadlines } from "./deadlines.ts"
import * as Permits from "./permits.ts"

export class Share implements Permits.Share {
  readonly root: Share
  readonly bandwidth: Bandwidth
  private readonly parent: Share | undefined
  /** Counts its tasks; of a job also while there is no limit, for one may be set while they run. */
  private readonly tasks: Permits.PermitPool | undefined
  private readonly pools = new Map<string, Permits.PermitPool>()
  private readonly pace: Pace | undefined
  private readonly bucket: TokenBucket
  private readonly ceiling: number
  private readonly environment: Environment
  private urgency = 0

  constructor(environment: Environment, limits: Limits, parent?: Share) {
    const { clock } = environment
    for (const [name, size] of Object.entries({ ...limits.permits, concurrency: limits.concurrency ?? 1 })) {
      if (size < 1) throw new Error(`A limit of ${size} for "${name}" would let nothing run: it is 1 or more`)
    }
    this.environment = environment
    this.parent = parent
    this.root = parent?.root ?? this
    this.tasks = limits.concurrency === undefined && parent !== undefined
      ? undefined
      : Permits.makePermits(limits.concurrency ?? Number.POSITIVE_INFINITY, clock)
    for (const [name, size] of Object.entries(limits.permits ?? {})) {
      this.pools.set(name, Permits.makePermits(size, clock))
    }
    this.pace = limits.tasksPerSecond === undefined ? undefined : new Pace(clock, limits.tasksPerSecond)
    this.bucket = new TokenBucket(environment, limits.bytesPerSecond ?? Number.POSITIVE_INFINITY)
    this.bandwidth = parent === undefined ? this.bucket : both(this.bucket, parent.bandwidth)
    this.ceiling = Permits.ranks[limits.priority ?? "critical"]
  }

  /** What is asked of a job while it runs. `urgency` moves all priorities of its tasks. */
  setUnsafe({ bytesPerSecond, concurrency, urgency }: {
    readonly urgency: number
    readonly concurrency: number
    readonly bytesPerSecond: number
  }): void {
    this.urgency = urgency
    this.tasks?.resizeUnsafe(concurrency)
    this.bucket.setUnsafe(bytesPerSecond)
  }

  readonly rankOf = (priority: Priority): number => {
    const own = Permits.ranks[priority] + this.urgency
    const above = this.parent === undefined
      ? Math.min(Math.max(own, Permits.ranks.low), Permits.ranks.critical)
      : this.parent.rankOf(priority)
    return Math.min(above, this.ceiling)
  }

  /** Permits of a pool: the narrowest limits come first, the pool itself last, and nobody waits the other way round. */
  permitsOf(name: string, pool: Permits.PermitPool): Permits.Permits {
    const gates: Array<Gate> = []
    const paces: Array<Pace> = []
    for (const share of this.upwards()) {
      if (share.pace !== undefined) paces.push(share.pace)
      if (share.tasks !== undefined) gates.push({ permits: share.tasks.of(this), counts: "tasks" })
      const own = share.pools.get(name)
      if (own !== undefined) gates.push({ permits: own.of(this), counts: "weight" })
    }
    return new Gates(this.environment.deadlines, paces, [...gates, { permits: pool.of(this), counts: "weight" }])
  }

  private *upwards(): Iterable<Share> {
    yield this
    if (this.parent !== undefined) yield* this.parent.upwards()
  }
}

interface Gate {
  readonly permits: Permits.Permits
  readonly counts: "tasks" | "weight"
}

const weightAt = ({ counts }: Gate, weight: number): number => counts === "tasks" ? 1 : weight

/** Permits of several, taken one after the other, once it is time to begin. */
class Gates implements Permits.Permits {
  private readonly paces: ReadonlyArray<Pace>
  private readonly gates: ReadonlyArray<Gate>
  private readonly deadlines: Deadlines

  constructor(deadlines: Deadlines, paces: ReadonlyArray<Pace>, gates: ReadonlyArray<Gate>) {
    this.deadlines = deadlines
    this.paces = paces
    this.gates = gates
  }

  tryTakeUnsafe(weight: number): boolean {
    if (!this.paces.every((pace) => pace.isDue)) return false
    let taken = 0
    for (const gate of this.gates) {
      if (!gate.permits.tryTakeUnsafe(weightAt(gate, weight))) {
        this.release(weight, taken)
        return false
      }
      taken++
    }
    for (const pace of this.paces) pace.reserve()
    return true
  }

  waitUnsafe(weight: number, priority: Priority, returning: boolean, granted: () => void): () => void {
    // What only goes on does not begin.
    const paces = returning ? [] : this.paces
    let taken = 0
    let cancel = () => {}
    const take = (): void => {
      const gate = this.gates[taken]
      if (gate === undefined) return granted()
      const at = taken
      const stop = gate.permits.waitUnsafe(weightAt(gate, weight), priority, returning, () => {
        taken++
        take()
      })
      // Where it was granted at once, what is waited for now has been put there before.
      if (taken === at) cancel = stop
    }
    const begin = (index: number): void => {
      const pace = paces[index]
      if (pace === undefined) return take()
      const inMillis = pace.reserve()
      if (inMillis <= 0) return begin(index + 1)
      const deadline = this.deadlines.addUnsafe(inMillis, () => begin(index + 1))
      cancel = () => this.deadlines.removeUnsafe(deadline)
    }
    begin(0)
    return () => {
      if (taken < this.gates.length) cancel()
      this.release(weight, taken)
    }
  }

  /** The last one is the pool's. */
  noteUnsafe(pieces: number): void {
    this.gates.at(-1)?.permits.noteUnsafe(pieces)
  }

  releaseUnsafe(weight: number): void {
    this.release(weight, this.gates.length)
  }

  private release(weight: number, count: number): void {
    for (let index = count - 1; index >= 0; index--) {
      const gate = this.gates[index]
      if (gate !== undefined) gate.permits.releaseUnsafe(weightAt(gate, weight))
    }
  }
}

/** Has tasks begin one after the other, at a rate. */
class Pace {
  private readonly clock: Clock.Clock
  private readonly intervalMillis: number
  private nextMillis = Number.NEGATIVE_INFINITY

  constructor(clock: Clock.Clock, perSecond: number) {
    this.clock = clock
    this.intervalMillis = 1000 / perSecond
  }

  get isDue(): boolean {
    return this.nextMillis <= this.clock.currentTimeMillisUnsafe()
  }

  /** Gives the next task its time; returns in how many milliseconds that is. */
  reserve(): number {
    const now = this.clock.currentTimeMillisUnsafe()
    const at = Math.max(now, this.nextMillis)
    this.nextMillis = at + this.intervalMillis
    return at - now
  }
}
