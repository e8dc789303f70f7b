/**
 * How many tasks a thread gets at once: as many as were measured to take a short time.
 */

/** How long a batch should take. A more urgent task waits for a thread for so long. */
const batchMillis = 2
/** How long a thread's next batch should take. The owner may be away for so long, at work of its own. */
const nextMillis = 20
/**
 * A task that takes longer waits behind no other one: it goes to the thread that is free first. Where tasks take about
 * as long as the owner may be away, threads would wait for that: so it is some times as long.
 */
const aheadMillis = 100
/** A task counts as at most so many times as long as expected: a large file among small ones is no rule. */
const outlier = 3
/** Least time of a unit of cost. A unit that takes no time could never be found to take more. */
const leastMillis = 1e-6

export class Capacity {
  /** The most that a batch may cost, except that one task always goes. */
  cost = 1
  /** The same for the batch that a thread has next while it is at another one. */
  nextCost = 1
  /** The most tasks of a batch. */
  private readonly batch: number
  /** Average time of a unit of cost, and average cost of a task; nothing is known at first. */
  private unitMillis: number | undefined = undefined
  private meanCost = 1

  constructor(batch: number) {
    this.batch = batch
  }

  /** How many tasks of average cost are a batch. */
  get tasks(): number {
    return this.tasksOf(this.cost)
  }

  /** How many tasks a thread should have next. */
  get nextTasks(): number {
    return this.isAhead ? this.tasksOf(this.nextCost) : 0
  }

  private tasksOf(cost: number): number {
    return Math.max(1, Math.min(this.batch, Math.floor(cost / this.meanCost)))
  }

  /** Whether a thread should have its next batch before it is through with one: not where tasks may take long. */
  get isAhead(): boolean {
    return this.tasks > 1 || (this.unitMillis !== undefined && this.millisOf(this.meanCost) < aheadMillis)
  }

  /** Expected time of a cost; 0 where nothing is known. */
  millisOf(cost: number): number {
    return cost * (this.unitMillis ?? 0)
  }

  /** Learns from tasks that have ended. Both costs at most double. */
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
