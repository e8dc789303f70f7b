/**
 * Times how long attempts wait and run, by kind of task. `JobTasks` says what counts.
 */
import type * as Clock from "effect/Clock"
import { type Histogram, mostKinds, type TaskKind, upperMillis } from "../../JobTasks.ts"
import { nowMillis } from "./deadlines.ts"

/** After so many attempts of a kind, their rate decides whether some of the next ones go untimed. */
const window = 1000
/** Where attempts of a kind begin at smaller distances, to time each of them would take a percent of the work. */
const fastMillis = 0.025
/** So many attempts of a fast kind go untimed after each timed one. */
const untimed = 15

const others = "others"
const longestName = 100

const bucketOf = (millis: number): number =>
  millis <= 0.1 ? 0 : Math.min(upperMillis.length - 1, Math.ceil(2 * Math.log2(10 * millis)))

class Counts {
  private readonly counts = upperMillis.map(() => 0)

  add(millis: number, weight: number): void {
    const bucket = bucketOf(millis)
    this.counts[bucket] = (this.counts[bucket] ?? 0) + weight
  }

  get histogram(): Histogram {
    return this.counts.slice(0, this.counts.findLastIndex((count) => count > 0) + 1)
  }
}

/** Where times of attempts are counted. */
export interface Times {
  readonly clock: Clock.Clock
  /** Begins to time an attempt that asks for its permits, unless that goes untimed. */
  readonly ask: () => AttemptTimer | undefined
  readonly add: (waited: number, ran: number, weight: number) => void
}

/** The times of one kind of task in one run of a job. */
export class KindTimes implements Times {
  readonly clock: Clock.Clock
  private readonly waiting = new Counts()
  private readonly running = new Counts()
  /** The begin of the window, in milliseconds, and the attempts in it so far. */
  private since = Number.NEGATIVE_INFINITY
  private asked = 0
  private isFast = false
  /** Attempts that went untimed since the last timed one. */
  private passed = 0

  constructor(clock: Clock.Clock) {
    this.clock = clock
  }

  ask(): AttemptTimer | undefined {
    if (this.isFast && this.passed < untimed) {
      this.passed++
      return undefined
    }
    const weight = this.passed + 1
    const now = nowMillis(this.clock)
    this.passed = 0
    this.asked += weight
    if (this.asked >= window) {
      this.isFast = now - this.since < this.asked * fastMillis
      this.since = now
      this.asked = 0
    }
    return new AttemptTimer(this, weight, now)
  }

  add(waited: number, ran: number, weight: number): void {
    this.waiting.add(waited, weight)
    this.running.add(ran, weight)
  }

  named(name: string): TaskKind {
    return { name, waiting: this.waiting.histogram, running: this.running.histogram }
  }
}

/** Times one attempt. */
export class AttemptTimer {
  private readonly kind: Times
  private readonly weight: number
  private askedAt: number
  private begunAt: number | undefined = undefined

  constructor(kind: Times, weight: number, askedAt: number) {
    this.kind = kind
    this.weight = weight
    this.askedAt = askedAt
  }

  /** Notes that the handler begins: now, or when the attempt asked, if it has not waited. */
  begin(hasWaited = true): void {
    this.begunAt ??= hasWaited ? nowMillis(this.kind.clock) : this.askedAt
  }

  /** Notes that the handler has ended now, if it had begun. */
  end(): void {
    if (this.begunAt !== undefined) this.ran(this.begunAt, nowMillis(this.kind.clock))
  }

  /** Notes when a handler began and ended on a thread. If the thread has to run it once more, that counts apart. */
  ran(begunAt: number, endedAt: number): void {
    this.kind.add(begunAt - this.askedAt, endedAt - begunAt, this.weight)
    this.askedAt = endedAt
    this.begunAt = undefined
  }
}

/** The times of all kinds of tasks in one run of a job. */
export class TaskTimes {
  private readonly clock: Clock.Clock
  private readonly kinds = new Map<string, KindTimes>()

  constructor(clock: Clock.Clock) {
    this.clock = clock
  }

  of(task: string): KindTimes {
    const name = nameAmong(this.kinds, task)
    const times = this.kinds.get(name) ?? new KindTimes(this.clock)
    this.kinds.set(name, times)
    return times
  }

  /** The times of this run and those of earlier ones. */
  with(earlier: ReadonlyArray<TaskKind>): ReadonlyArray<TaskKind> {
    const kinds = new Map(earlier.map((kind) => [kind.name, kind]))
    for (const [kind, times] of this.kinds) {
      const name = nameAmong(kinds, kind)
      const { running, waiting } = times.named(name)
      const before = kinds.get(name)
      kinds.set(name, {
        name,
        waiting: sumOf(before?.waiting ?? [], waiting),
        running: sumOf(before?.running ?? [], running)
      })
    }
    return Array.from(kinds.values()).filter(({ running }) => running.length > 0)
  }
}

/** The name of a kind, if there is room for one more. */
const nameAmong = (kinds: ReadonlyMap<string, unknown>, task: string): string => {
  const name = task.slice(0, longestName)
  const apart = kinds.has(others) ? kinds.size - 1 : kinds.size
  return kinds.has(name) || apart < mostKinds ? name : others
}

const sumOf = (left: Histogram, right: Histogram): Histogram =>
  Array.from({ length: Math.max(left.length, right.length) }, (_, index) => (left[index] ?? 0) + (right[index] ?? 0))
