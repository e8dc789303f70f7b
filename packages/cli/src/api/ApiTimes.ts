/**
 * Gives the times of tasks, and the use of pools and threads, the form that the API has.
 */
import type { JobOverview, JobProcess } from "@fanout/core/JobStatus"
import * as JobTasks from "@fanout/core/JobTasks"
import * as Option from "effect/Option"
import { printable } from "../ui/format.ts"
import type * as Api from "./Api.ts"

const named = <A extends { readonly name: string }>(all: ReadonlyArray<A>): ReadonlyArray<A> =>
  all.map((one) => ({ ...one, name: printable(one.name) }))

const timesOf = (counts: JobTasks.Histogram) => {
  const within = (share: number): number | null => {
    const millis = JobTasks.quantile(counts, share) ?? 0
    return Number.isFinite(millis) ? millis : null
  }
  return { counts, p50: within(0.5), p95: within(0.95), p99: within(0.99) }
}

/** The times of a job's tasks. Pools and threads are those of its process, if one runs it now. */
export const tasks = (
  { isOwnerDead, record: { lease } }: Pick<JobOverview, "isOwnerDead" | "record">,
  { kinds, pools, threads, token }: JobTasks.JobTasks
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
    threads: isCurrent ? named(threads) : []
  }
}

/** A live process. */
export const process = ({ jobs, owner, pools, threads }: JobProcess): Api.Process => ({
  process: printable(owner.process),
  machine: printable(owner.machine),
  jobs,
  pools: named(pools),
  threads: named(threads)
})
