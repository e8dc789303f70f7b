/**
 * The workers that this process knows now, so that they can be shown.
 */
import * as Context from "effect/Context"
import type { WorkerStatus } from "../../ClusterWorkers.ts"

/** The workers of a cluster as others see them. */
export interface LiveCluster {
  readonly statuses: ReadonlyArray<WorkerStatus>
}

/** All clusters whose layers are open. A layer adds its cluster, and takes it away when it closes. */
export const LiveClusters = Context.Reference<Set<LiveCluster>>("@fanout/core/internal/LiveClusters", {
  defaultValue: () => new Set()
})

/** Most workers that are told of, and most tasks that one of them is told to refuse. */
const most = { workers: 128, refusals: 16 }
const mostCharacters = 300

const short = (text: string): string => text.length > mostCharacters ? `${text.slice(0, mostCharacters - 1)}…` : text

const rounded = (value: number): number => Math.round(value * 10) / 10

/** What is told of a worker. It stays the same while the worker has nothing to do, so that nothing has to be stored. */
const briefOf = (worker: WorkerStatus): WorkerStatus => {
  const address = short(worker.address)
  switch (worker._tag) {
    case "Connecting":
      return { ...worker, address }
    case "Unusable":
      return { ...worker, address, why: short(worker.why) }
    case "Connected":
      return {
        ...worker,
        address,
        perSecond: rounded(worker.perSecond),
        greetingMillis: rounded(worker.greetingMillis),
        silentMillis: Math.floor(worker.silentMillis / 1000) * 1000,
        refuses: worker.refuses.slice(0, most.refusals).map(([task, why]) => [short(task), short(why)] as const)
      }
  }
}

/** What is told of all workers that are known. */
export const briefs = (clusters: ReadonlySet<LiveCluster>): ReadonlyArray<WorkerStatus> =>
  Array.from(clusters, ({ statuses }) => statuses).flat().slice(0, most.workers).map(briefOf)
