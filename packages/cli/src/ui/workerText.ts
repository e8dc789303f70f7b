/**
 * What is told of workers of a cluster.
 */
import type { WorkerStatus } from "@fanout/core/ClusterWorkers"
import * as format from "./format.ts"

type Connected = Extract<WorkerStatus, { readonly _tag: "Connected" }>

const tasksRefused = (refuses: ReadonlyArray<readonly [task: string, why: string]>): string =>
  refuses.map(([task, why]) => `${task} (${why})`).join(", ")

/** How a worker can be reached, without its address. */
export const reached = (worker: WorkerStatus): string => {
  switch (worker._tag) {
    case "Connecting":
      return "has not answered yet"
    case "Unusable":
      return worker.why
    case "Connected": {
      const { greetingMillis, isLeaving, refuses } = worker
      return [
        `answered in ${Math.round(greetingMillis)} ms`,
        ...isLeaving ? ["is about to end"] : [],
        ...refuses.length === 0 ? [] : [`does not take ${tasksRefused(refuses)}`]
      ].join(", ")
    }
  }
}

/** What a worker has to do. */
const load = ({ ended, inHand, perSecond, silentMillis, since }: Connected, now: number): string =>
  [
    `${format.counted(inHand, "task")} in hand`,
    `${format.count(Math.round(perSecond))}/s`,
    `${format.count(ended)} ended in ${format.duration(now - since)}`,
    `last heard ${(silentMillis / 1000).toFixed(1)} s ago`,
    ""
  ].join(", ")

/** Whether a worker has nothing to do, and nothing is wrong with it. */
export const isIdle = (worker: WorkerStatus): boolean =>
  worker._tag === "Connected" && worker.inHand === 0 && worker.refuses.length === 0 && !worker.isLeaving

/** A line about a worker. */
export const sentence = (worker: WorkerStatus, now: number): string =>
  format.printable(
    `Worker ${worker.address}: ${worker._tag === "Connected" ? load(worker, now) : ""}${reached(worker)}`
  )
