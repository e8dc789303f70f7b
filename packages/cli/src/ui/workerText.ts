/**
 * What is told of workers of a cluster.
 */
import type { WorkerStatus } from "@fanout/core/ClusterWorkers"
import type * as Api from "../api/Api.ts"
import * as format from "./format.ts"
import { wrappedTable } from "./table.ts"

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

/** How many workers are shown. */
const shown = 32

const header = ["", "IN HAND", "RATE", "ENDED", "LAST WORD", "WORKER"]

/** A narrower terminal does without some columns. */
const wide = 80
const isWide = (column: number): boolean => column >= 2 && column <= 4

const figure = (value: number | null, text: (value: number) => string): string => value === null ? "" : text(value)

/** Lines of a table: what each worker has in hand, its rate and its last word, and how it can be reached. */
export const lines = (workers: ReadonlyArray<Api.Worker>, columns: number): ReadonlyArray<string> => {
  if (workers.length === 0) return []
  const rows = workers.slice(0, shown).map(({ address, ended, inHand, perSecond, silentMillis, stateText }, index) => [
    index === 0 ? "workers " : "",
    figure(inHand, format.count),
    figure(perSecond, (rate) => `${format.count(Math.round(rate))}/s`),
    figure(ended, format.count),
    figure(silentMillis, (millis) => millis < 1000 ? "just now" : `${format.age(millis)} ago`),
    `${address}: ${stateText}`
  ])
  const fitting = (row: ReadonlyArray<string>) => row.filter((_, column) => columns >= wide || !isWide(column))
  const more = workers.length - shown
  return [
    ...wrappedTable(fitting(header), rows.map(fitting), columns),
    ...more > 0 ? [`          and ${format.counted(more, "more worker")}: --json has them all`] : []
  ]
}
