/**
 * How much a thread is given at once: as much as was measured to take a short time.
 */

/** How long a batch should take: so long a more urgent task waits for a thread. */
const batchMillis = 2

export class Capacity {
  /** Cost of a batch, except that one task always goes. */
  cost = 1
  private readonly batch: number
  /** What a unit of cost takes, and what a task costs, on average of late; nothing is known at first. */
  private unitMillis: number | undefined = undefined
  private meanCost = 1

  constructor(batch: number) {
    this.batch = batch
  }

  /** How many tasks of such a cost are a batch. */
  get tasks(): number {
    return Math.max(1, Math.min(this.batch, Math.floor(this.cost / this.meanCost)))
  }

  /** Takes into account what tasks took together. It at most doubles. */
  measure(count: number, cost: number, millis: number): void {
    this.unitMillis = average(this.unitMillis, millis / cost)
    this.meanCost = average(this.meanCost, cost / count)
    this.cost = Math.min(Math.max(this.cost, cost) * 2, batchMillis / Math.max(this.unitMillis, 1e-12))
  }
}

const average = (before: number | undefined, now: number): number =>
  before === undefined ? now : before + (now - before) * 0.3
