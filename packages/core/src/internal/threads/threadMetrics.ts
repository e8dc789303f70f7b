/**
 * Metrics of all thread pools of the process together.
 */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"

// Without descriptions, so that whoever knows a name can read the metric.
const tasks = Metric.counter("fanout_thread_tasks")
const taskMillis = Metric.counter("fanout_thread_task_millis")
const lost = Metric.counter("fanout_threads_lost")
const gauges = {
  queued: Metric.gauge("fanout_threads_queued"),
  alive: Metric.gauge("fanout_threads_alive"),
  busy: Metric.gauge("fanout_threads_busy"),
  abandoned: Metric.gauge("fanout_threads_abandoned")
}

/** The share of one pool in these metrics. */
export class Measures {
  /** Tasks that have ended, and threads that were lost, since the pool was opened. */
  ended = 0
  lost = 0
  private readonly context: Context.Context<never>
  private readonly shown: Record<keyof typeof gauges, number> = { queued: 0, alive: 0, busy: 0, abandoned: 0 }

  constructor(context: Context.Context<never>) {
    this.context = context
  }

  noteTasks(count: number, millis: number): void {
    this.ended += count
    tasks.updateUnsafe(count, this.context)
    taskMillis.updateUnsafe(millis, this.context)
  }

  noteLost(): void {
    this.lost++
    lost.updateUnsafe(1, this.context)
  }

  show(counts: typeof this.shown): void {
    for (const name of ["queued", "alive", "busy", "abandoned"] as const) {
      const change = counts[name] - this.shown[name]
      if (change !== 0) gauges[name].modifyUnsafe(change, this.context)
      this.shown[name] = counts[name]
    }
  }
}
