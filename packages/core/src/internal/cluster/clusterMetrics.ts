/**
 * Metrics of all pools of workers of the process together.
 */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"

// Without descriptions, so that whoever knows a name can read the metric.
const tasks = Metric.counter("fanout_cluster_tasks")
const lost = Metric.counter("fanout_cluster_workers_lost")
const gauges = {
  workers: Metric.gauge("fanout_cluster_workers"),
  inHand: Metric.gauge("fanout_cluster_tasks_in_hand"),
  queued: Metric.gauge("fanout_cluster_tasks_queued")
}

/** The share of one pool in these metrics. */
export class Measures {
  private readonly context: Context.Context<never>
  private readonly shown: Record<keyof typeof gauges, number> = { workers: 0, inHand: 0, queued: 0 }

  constructor(context: Context.Context<never>) {
    this.context = context
  }

  noteTasks(count: number): void {
    tasks.updateUnsafe(count, this.context)
  }

  noteLost(): void {
    lost.updateUnsafe(1, this.context)
  }

  show(counts: typeof this.shown): void {
    for (const name of ["workers", "inHand", "queued"] as const) {
      const change = counts[name] - this.shown[name]
      if (change !== 0) gauges[name].modifyUnsafe(change, this.context)
      this.shown[name] = counts[name]
    }
  }
}
