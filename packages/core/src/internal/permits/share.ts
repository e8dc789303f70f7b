/**
 * What one dispatcher may use of the process: the dispatcher of a job, or of a part of a job. A part never gets more
 * than the whole.
 */
import type { Priority } from "../../Task.ts"
import type { Bandwidth, Limits } from "../../TaskDispatcher.ts"
import * as Numbers from "../numbers.ts"
import { makePermits, type PermitPool, type Permits, ranks, type Share as PermitShare } from "./permits.ts"
import { both, ByteRate, type Environment, Rate } from "./rate.ts"

const check = ({ bytesPerSecond = 1, concurrency = 1, permits, tasksPerSecond = 1 }: Limits): void => {
  for (const [name, most] of Object.entries({ ...permits, concurrency })) Numbers.limit(`The limit of "${name}"`, most)
  for (const [name, most] of Object.entries({ tasksPerSecond, bytesPerSecond })) {
    Numbers.rate(`The limit of "${name}"`, most)
  }
}

export class Share implements PermitShare {
  readonly root: Share
  readonly bandwidth: Bandwidth
  private readonly parent: Share | undefined
  /** This share and those around it, the innermost first. */
  private readonly upwards: ReadonlyArray<Share>
  /** Counts the share's tasks. A job counts them without a limit, too, since one may be set while they run. */
  private readonly tasks: PermitPool | undefined
  private readonly pools: ReadonlyMap<string, PermitPool>
  private readonly pace: Rate | undefined
  private readonly bytes: ByteRate
  private readonly ceiling: number
  private urgency = 0

  constructor(environment: Environment, limits: Limits, parent?: Share) {
    check(limits)
    const { bytesPerSecond = Infinity, concurrency, permits = {}, priority = "critical", tasksPerSecond } = limits
    const { clock } = environment
    this.parent = parent
    this.upwards = [this, ...parent?.upwards ?? []]
    this.root = parent?.root ?? this
    this.tasks = concurrency === undefined && parent !== undefined
      ? undefined
      : makePermits(concurrency ?? Infinity, clock)
    this.pools = new Map(Object.entries(permits).map(([name, size]) => [name, makePermits(size, clock)]))
    this.pace = tasksPerSecond === undefined ? undefined : new Rate(environment, tasksPerSecond)
    this.bytes = new ByteRate(environment, bytesPerSecond)
    this.bandwidth = parent === undefined ? this.bytes : both(this.bytes, parent.bandwidth)
    this.ceiling = ranks[priority]
  }

  /** Sets what may be changed of a job while it runs. `urgency` moves the priorities of all its tasks. */
  setUnsafe(asked: Readonly<Record<"urgency" | "concurrency" | "bytesPerSecond", number>>): void {
    this.urgency = asked.urgency
    this.tasks?.resizeUnsafe(asked.concurrency)
    this.bytes.setUnsafe(asked.bytesPerSecond)
  }

  /** How many tasks of a job run now. */
  tasksUnsafe(): number {
    return this.tasks?.held ?? 0
  }

  readonly rankOf = (priority: Priority): number => {
    const own = ranks[priority] + this.urgency
    const above = this.parent === undefined
      ? Math.min(Math.max(own, ranks.low), ranks.critical)
      : this.parent.rankOf(priority)
    return Math.min(above, this.ceiling)
  }

  /**
   * Permits of a pool for tasks of this share. Permits of the innermost share are taken first and those of the pool
   * last; all tasks wait in this order, so none can block another one.
   */
  permitsOf(name: string, pool: PermitPool, rate?: PermitPool): Permits {
    const paces: Array<Rate> = []
    const gates: Array<Permits> = []
    for (const { pace, pools, tasks } of this.upwards) {
      if (pace !== undefined) paces.push(pace)
      if (tasks !== undefined) gates.push(countingTasks(tasks.of(this)))
      const own = pools.get(name)
      if (own !== undefined) gates.push(own.of(this))
    }
    return new Gates(paces, [...gates, pool.of(this)], rate?.of(this))
  }
}

/** Permits of which each task takes one, whatever it weighs. */
const countingTasks = (permits: Permits): Permits => ({
  tryTakeUnsafe: () => permits.tryTakeUnsafe(1),
  waitUnsafe: (_, priority, returning, granted) => permits.waitUnsafe(1, priority, returning, granted),
  releaseUnsafe: () => permits.releaseUnsafe(1),
  noteUnsafe: (pieces) => permits.noteUnsafe(pieces),
  refuseUnsafe: (millis) => permits.refuseUnsafe(millis)
})

/** A gate to wait at. A pace is one that is never given back. */
type Step = Pick<Permits, "waitUnsafe" | "releaseUnsafe">

const beginning = (pace: Rate): Step => ({
  waitUnsafe: (_, __, ___, granted) => {
    if (!pace.isDue) return pace.waitUnsafe(1, granted)
    pace.owe(1)
    granted()
    return () => {}
  },
  releaseUnsafe: () => {}
})

/** Permits that are taken at several gates, one after the other, once the paces let a task begin. */
class Gates implements Permits {
  readonly rate: Permits | undefined
  private readonly paces: ReadonlyArray<Rate>
  /** The pool is the last one. */
  private readonly gates: ReadonlyArray<Permits>
  private readonly steps: ReadonlyArray<Step>

  constructor(paces: ReadonlyArray<Rate>, gates: ReadonlyArray<Permits>, rate: Permits | undefined) {
    this.rate = rate
    this.paces = paces
    this.gates = gates
    this.steps = [...paces.map(beginning), ...gates]
  }

  tryTakeUnsafe(weight: number): boolean {
    const { gates, paces } = this
    if (!paces.every((pace) => pace.isDue)) return false
    for (let taken = 0; taken < gates.length; taken++) {
      if (gates[taken]?.tryTakeUnsafe(weight) === true) continue
      this.release(weight, paces.length + taken)
      return false
    }
    for (const pace of paces) pace.owe(1)
    return true
  }

  waitUnsafe(weight: number, priority: Priority, returning: boolean, granted: () => void): () => void {
    // A task that goes on does not begin again, so no pace counts it.
    let passed = returning ? this.paces.length : 0
    let isOver = false
    let cancel = () => {}
    const pass = (): void => {
      // Other tasks that are granted permits may cancel this one before the gate has returned how to.
      cancel = () => {}
      const step = this.steps[passed]
      if (step === undefined) return granted()
      let isPassed = false
      const stop = step.waitUnsafe(weight, priority, returning, () => {
        isPassed = true
        if (isOver) return step.releaseUnsafe(weight)
        passed++
        pass()
      })
      if (isPassed) return
      if (isOver) stop()
      else cancel = stop
    }
    pass()
    return () => {
      isOver = true
      cancel()
      this.release(weight, passed)
    }
  }

  noteUnsafe(pieces: number): void {
    this.gates.at(-1)?.noteUnsafe(pieces)
  }

  refuseUnsafe(millis: number): void {
    this.gates.at(-1)?.refuseUnsafe(millis)
  }

  releaseUnsafe(weight: number): void {
    this.release(weight, this.steps.length)
  }

  private release(weight: number, count: number): void {
    for (let index = count - 1; index >= 0; index--) this.steps[index]?.releaseUnsafe(weight)
  }
}
