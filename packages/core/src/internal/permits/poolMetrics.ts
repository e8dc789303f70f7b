/**
 * Metrics of pools: of permits, of threads, and of workers of a cluster. They have no descriptions, so that whoever
 * knows a name can read the metric.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Struct from "effect/Struct"
import type { PoolStatus } from "../../Pools.ts"

const permits = {
  size: Metric.gauge("fanout_pool_size"),
  held: Metric.gauge("fanout_pool_held"),
  waiting: Metric.gauge("fanout_pool_waiting")
}

/** Shows once a second how pools are used, for ever: to count each permit would cost more than a small task. */
export const show = Effect.fnUntraced(function*(status: Effect.Effect<ReadonlyArray<PoolStatus>>) {
  while (true) {
    for (const { name: pool, ...counts } of yield* status) {
      for (const count of Struct.keys(permits)) {
        yield* Metric.update(Metric.withAttributes(permits[count], { pool }), counts[count])
      }
    }
    yield* Effect.sleep("1 second")
  }
})

/** What all pools of one kind in the process are measured by, together. */
interface Kind<Name extends string> {
  readonly tasks: Metric.Counter<number>
  /** How long the tasks took. */
  readonly millis?: Metric.Counter<number>
  readonly lost: Metric.Counter<number>
  readonly gauges: Readonly<Record<Name, Metric.Gauge<number>>>
}

/** Pools of threads. */
export const threads = {
  tasks: Metric.counter("fanout_thread_tasks"),
  millis: Metric.counter("fanout_thread_task_millis"),
  lost: Metric.counter("fanout_threads_lost"),
  gauges: {
    queued: Metric.gauge("fanout_threads_queued"),
    alive: Metric.gauge("fanout_threads_alive"),
    busy: Metric.gauge("fanout_threads_busy"),
    abandoned: Metric.gauge("fanout_threads_abandoned")
  }
}

/** Pools of the workers of a cluster. */
export const workers = {
  tasks: Metric.counter("fanout_cluster_tasks"),
  lost: Metric.counter("fanout_cluster_workers_lost"),
  gauges: {
    workers: Metric.gauge("fanout_cluster_workers"),
    inHand: Metric.gauge("fanout_cluster_tasks_in_hand"),
    queued: Metric.gauge("fanout_cluster_tasks_queued")
  }
}

/** The share of one pool in the metrics of its kind. */
export class Measures<Name extends string> {
  /** Tasks that have ended, and threads or workers that were lost, since the pool was opened. */
  ended = 0
  lost = 0
  private readonly kind: Kind<Name>
  private readonly context: Context.Context<never>
  private readonly shown = new Map<Name, number>()

  constructor(kind: Kind<Name>, context: Context.Context<never>) {
    this.kind = kind
    this.context = context
  }

  noteTasks(count: number, millis = 0): void {
    this.ended += count
    this.kind.tasks.updateUnsafe(count, this.context)
    this.kind.millis?.updateUnsafe(millis, this.context)
  }

  noteLost(): void {
    this.lost++
    this.kind.lost.updateUnsafe(1, this.context)
  }

  show(counts: Readonly<Record<Name, number>>): void {
    for (const name of Struct.keys(counts)) {
      const change = counts[name] - (this.shown.get(name) ?? 0)
      if (change !== 0) this.kind.gauges[name].modifyUnsafe(change, this.context)
      this.shown.set(name, counts[name])
    }
  }
}
