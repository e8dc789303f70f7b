/**
 * Shows jobs below the jobs that have started them. Pure: jobs go in, rows come out.
 */
import type { JobId } from "@fanout/core/JobId"
import * as JobState from "@fanout/core/JobState"
import type { JobOverview } from "@fanout/core/JobStatus"
import type { StateCounts } from "@fanout/core/JobStore"
import * as Option from "effect/Option"
import * as Process from "../host/Process.ts"
import * as colour from "./colour.ts"
import * as format from "./format.ts"
import * as summary from "./summary.ts"

/** Job of a tree. One whose parent is not there has the depth 0. */
export interface Branch {
  readonly job: JobOverview
  readonly depth: number
}

/** Puts jobs below those of them that have started them, and leaves their order as it is otherwise. */
export const asTree = (jobs: ReadonlyArray<JobOverview>): ReadonlyArray<Branch> => {
  const ids = new Set(jobs.map(({ record }) => record.id))
  const parentOf = ({ record: { parent } }: JobOverview) =>
    Option.isSome(parent) && ids.has(parent.value.id) ? parent.value.id : undefined
  const children = Map.groupBy(jobs, parentOf)
  const below = (parent: JobId | undefined, depth: number) =>
    (children.get(parent) ?? []).map((job) => ({ job, depth })).toReversed()
  const tree: Array<Branch> = []
  const rest = below(undefined, 0)
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    tree.push(next)
    rest.push(...below(next.job.record.id, next.depth + 1))
  }
  return tree
}

/** Deeper jobs stand no further to the right. */
const mostIndented = 8

/** What a job does, to the right of what the job does that has started it. */
export const indented = (depth: number, what: string): string =>
  depth === 0 ? what : `${"  ".repeat(Math.min(depth, mostIndented) - 1)}└ ${what}`

/** Numbers of jobs by state, in words: `12 done, 1 running`. */
export const counted = (counts: StateCounts): string =>
  JobState.Tag.literals.flatMap((tag) => {
    const many = counts[tag] ?? 0
    const word = tag === "CompletedWithErrors" ? "with failures" : summary.stateWord(tag)
    return many === 0 ? [] : [`${format.count(many)} ${word}`]
  }).join(", ")

/** Tints the state in a line of a table of jobs, which begins with the id. */
export const tinted = (line: string, { isOwnerDead, record }: JobOverview): string => {
  const state = summary.shortState(record, isOwnerDead)
  const painted = colour.paint(colour.ofState(record.state._tag, isOwnerDead), state, Process.current().stdout)
  return record.id + line.slice(record.id.length).replace(state, painted)
}
