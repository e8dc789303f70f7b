/**
 * Gives the times of tasks, and the use of pools, threads and workers, the form that the API has.
 */
import type { WorkerStatus } from "@fanout/core/ClusterWorkers"
import type { JobOverview, JobProcess } from "@fanout/core/JobStatus"
import * as JobTasks from "@fanout/core/JobTasks"
import * as Option from "effect/Option"
import { printable } from "../ui/format.ts"
import { reached } from "../ui/workerText.ts"
import type * as Api from "./Api.ts"

const named = <A extends { readonly name: string }>(all: ReadonlyArray<A>): ReadonlyArray<A> =>
  all.map((one) => ({ ...one, name: printable(one.name) }))

const unheard = {
  since: null,
  inHand: null,
  ended: null,
  perSecond: null,
  greetingMillis: null,
  silentMillis: null,
  isLeaving: false,
  refuses: []
}

const worker = (one: WorkerStatus): Api.Worker => {
  const stateText = printable(reached(one))
  const address = printable(one.address)
  if (one._tag !== "Connected") {
    return { address, state: one._tag === "Connecting" ? "connecting" : "unusable", stateText, ...unheard }
  }
  const { _tag, refuses, ...figures } = one
  return {
    ...figures,
    address,
    state: "connected",
    stateText,
    refuses: refuses.map(([task, why]) => ({ task: printable(task), why: printable(why) }))
  }
}

const timesOf = (counts: JobTasks.Histogram) => {
  const within = (share: number): number | null => {
    const millis = JobTasks.quantile(counts, share) ?? 0
    return Number.isFinite(millis) ? millis : null
  }
  return { counts, p50: within(0.5), p95: within(0.95), p99: within(0.99) }
}

/** The times of a job's tasks. Pools, threads and workers are those of its process, if one runs it now. */
export const tasks = (
  { isOwnerDead, record: { lease } }: Pick<JobOverview, "isOwnerDead" | "record">,
  { kinds, pools, threads, token, workers }: JobTasks.JobTasks
): Api.TaskTimes => {
  const isCurrent = !isOwnerDead && Option.exists(lease, (held) => held.token === token)
  return {
    upperMillis: JobTasks.upperMillis.filter(Number.isFinite),
    kinds: kinds.map(({ name, running, waiting }) => ({
      name: printable(name),
      attempts: JobTasks.countOf(running),
      waiting: timesOf(waiting),
      running: timesOf(running)
    })),
    pools: isCurrent ? named(pools) : [],
    threads: isCurrent ? named(threads) : [],
    workers: isCurrent ? workers.map(worker) : []
  }
}

/** A live process. */
export const process = ({ jobs, owner, pools, threads, workers }: JobProcess): Api.Process => ({
  process: printable(owner.process),
  machine: printable(owner.machine),
  jobs,
  pools: named(pools),
  threads: named(threads),
  workers: workers.map(worker)
})
