/**
 * How much a thread is given at once: as much as was measured to take a short time.
 */

/** How long a batch should take: so long a more urgent task waits for a thread. */
const batchMillis = 2

/**
 * How long the one should take that a thread has next: so long the owner may be away, at work of its own, and can't
 * hand out any.
 */
const nextMillis = 20

/**
 * What takes longer is left for whoever is free first, instead of waiting behind what a thread is at.
 */
const aheadMillis = 40

/** So many times as long as expected counts a task that took longer: large files among small ones are no rule. */
const outlier = 3
/** A unit of cost that seems to take no time would seem so for ever. */
const leastMillis = 1e-6

export class Capacity {
  /** Cost of a batch, except that one task always goes. */
  cost = 1
  /** Cost of a batch that a thread has next, while it is at another one. */
  nextCost = 1
  private readonly batch: number
  /** What a unit of cost takes, and what a task costs, on average of late; nothing is known at first. */
  private unitMillis: number | undefined = undefined
  private meanCost = 1

  constructor(batch: number) {
    this.batch = batch
  }

  /** How many tasks of such a cost are a batch. */
  get tasks(): number {
    return this.tasksOf(this.cost)
  }

  /** How many tasks a thread is to have next. */
  get nextTasks(): number {
    return this.isAhead ? this.tasksOf(this.nextCost) : 0
  }

  private tasksOf(cost: number): number {
    return Math.max(1, Math.min(this.batch, Math.floor(cost / this.meanCost)))
  }

  /** Whether a thread is to have its next batch before it is through with one: not where that may take long. */
  get isAhead(): boolean {
    return this.tasks > 1 || (this.unitMillis !== undefined && this.millisOf(this.meanCost) < aheadMillis)
  }

  /** How long so much is expected to take; 0 where nothing is known. */
  millisOf(cost: number): number {
    return cost * (this.unitMillis ?? 0)
  }

  /** Takes into account what tasks took together. Both costs at most double. */
  measure(count: number, cost: number, millis: number): void {
    const most = (this.unitMillis ?? Number.POSITIVE_INFINITY) * outlier
    this.unitMillis = average(this.unitMillis, Math.min(millis / cost, Math.max(most, leastMillis)))
    this.meanCost = average(this.meanCost, cost / count)
    const unitMillis = Math.max(this.unitMillis, 1e-12)
    this.cost = Math.min(Math.max(this.cost, cost) * 2, batchMillis / unitMillis)
    this.nextCost = Math.min(Math.max(this.nextCost, cost) * 2, nextMillis / unitMillis)
  }
}

const average = (before: number | undefined, now: number): number =>
  before === undefined ? now : before + (now - before) * 0.3
