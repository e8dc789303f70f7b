/**
 * What one dispatcher may use of what the process has: a job's, or a part of that. A part is never more than the whole.
 */
import type { Limits } from "../../LimitedTaskDispatcher.ts"
import type { Priority } from "../../Task.ts"
import type { Bandwidth } from "../../TaskDispatcher.ts"
import { Chain, type Linked } from "../chain.ts"
import { type Deadline, nowMillis } from "../task/deadlines.ts"
import { both, type Environment, TokenBucket } from "./bandwidth.ts"
import * as Permits from "./permits.ts"

const check = ({ bytesPerSecond = 1, concurrency = 1, permits, tasksPerSecond = 1 }: Limits): void => {
  const refuse = (name: string, limit: number, least: string) => {
    throw new Error(`A limit of ${limit} for "${name}" would let nothing run: it is ${least}`)
  }
  for (const [name, size] of Object.entries({ ...permits, concurrency })) {
    if (!(size >= 1)) refuse(name, size, "1 or more")
  }
  for (const [name, rate] of Object.entries({ tasksPerSecond, bytesPerSecond })) {
    if (!(rate > 0)) refuse(name, rate, "more than 0")
  }
}

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
  private urgency = 0

  constructor(environment: Environment, limits: Limits, parent?: Share) {
    const { clock } = environment
    check(limits)
    this.parent = parent
    this.root = parent?.root ?? this
    this.tasks = limits.concurrency === undefined && parent !== undefined
      ? undefined
      : Permits.makePermits(limits.concurrency ?? Number.POSITIVE_INFINITY, clock)
    for (const [name, size] of Object.entries(limits.permits ?? {})) {
      this.pools.set(name, Permits.makePermits(size, clock))
    }
    this.pace = limits.tasksPerSecond === undefined ? undefined : new Pace(environment, limits.tasksPerSecond)
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
    return new Gates(paces, [...gates, { permits: pool.of(this), counts: "weight" }])
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

const nothing = () => {}

/** Permits of several, taken one after the other, once it is time to begin. */
class Gates implements Permits.Permits {
  private readonly paces: ReadonlyArray<Pace>
  private readonly gates: ReadonlyArray<Gate>

  constructor(paces: ReadonlyArray<Pace>, gates: ReadonlyArray<Gate>) {
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
    for (const pace of this.paces) pace.note()
    return true
  }

  waitUnsafe(weight: number, priority: Priority, returning: boolean, granted: () => void): () => void {
    let taken = 0
    let isOver = false
    let cancel = nothing
    const take = (): void => {
      // Whoever is granted meanwhile may cancel this one, before it is known how to.
      cancel = nothing
      const gate = this.gates[taken]
      if (gate === undefined) return granted()
      const own = weightAt(gate, weight)
      let isTaken = false
      const stop = gate.permits.waitUnsafe(own, priority, returning, () => {
        isTaken = true
        if (isOver) return gate.permits.releaseUnsafe(own)
        taken++
        take()
      })
      if (isTaken) return
      if (isOver) stop()
      else cancel = stop
    }
    // What only goes on does not begin.
    const paces = returning ? [] : this.paces
    const begin = (index: number): void => {
      cancel = nothing
      const pace = paces[index]
      if (pace === undefined) return take()
      if (pace.isDue) {
        pace.note()
        return begin(index + 1)
      }
      cancel = pace.waitUnsafe(() => begin(index + 1))
    }
    begin(0)
    return () => {
      isOver = true
      cancel()
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

/** How much of a rate is made up for that was not used because the process was busy. */
const lateMillis = 100

interface Turn extends Linked<Turn> {
  readonly go: () => void
}

/** Has tasks begin one after the other, at a rate. */
class Pace {
  private readonly environment: Environment
  private readonly intervalMillis: number
  private nextMillis = Number.NEGATIVE_INFINITY
  private readonly turns = new Chain<Turn>()
  private deadline: Deadline | undefined

  constructor(environment: Environment, perSecond: number) {
    this.environment = environment
    this.intervalMillis = 1000 / perSecond
  }

  /** Whether the next task may begin at once. */
  get isDue(): boolean {
    return this.turns.size === 0 && this.nextMillis <= nowMillis(this.environment.clock)
  }

  /** Notes that a task begins now, which was due up to so long ago. */
  note(late = 0): void {
    this.nextMillis = Math.max(this.nextMillis, nowMillis(this.environment.clock) - late) + this.intervalMillis
  }

  /** Calls back when it is its turn. Returns how to leave that to the next one. */
  waitUnsafe(go: () => void): () => void {
    const turn: Turn = { go, chain: undefined, previous: undefined, next: undefined }
    this.turns.add(turn)
    this.deadline ??= this.schedule()
    return () => this.turns.delete(turn)
  }

  private readonly serve = (): void => {
    for (let { first } = this.turns; first !== undefined; first = this.turns.first) {
      if (this.nextMillis > nowMillis(this.environment.clock)) break
      this.turns.delete(first)
      this.note(lateMillis)
      first.go()
    }
    this.deadline = this.turns.size === 0 ? undefined : this.schedule()
  }

  private schedule(): Deadline {
    const { clock, deadlines } = this.environment
    return deadlines.addUnsafe(this.nextMillis - nowMillis(clock), this.serve)
  }
}
