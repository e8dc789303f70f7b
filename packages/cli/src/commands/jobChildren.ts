/**
 * What `fanout jobs show` tells of the jobs that a job has started.
 */
import type { JobId } from "@fanout/core/JobId"
import { JobManager } from "@fanout/core/JobManager"
import type { JobOverview, JobStatus } from "@fanout/core/JobStatus"
import type { JobRecord, StateCounts } from "@fanout/core/JobStore"
import * as Effect from "effect/Effect"
import * as Num from "effect/Number"
import * as format from "../ui/format.ts"
import * as jobTree from "../ui/jobTree.ts"
import * as summary from "../ui/summary.ts"
import { broken, table } from "../ui/table.ts"

/** So many jobs of the tree are shown. */
const most = 20

/** The newest jobs below a job, those that it has started itself first, and numbers of what these have started. */
const below = Effect.fnUntraced(function*(id: JobId) {
  const manager = yield* JobManager
  const jobs: Array<JobOverview> = []
  const counts = new Map<JobId, StateCounts>()
  for (let parents: ReadonlyArray<JobId> = [id]; parents.length > 0 && jobs.length < most;) {
    const level: Array<JobOverview> = []
    for (const parent of parents) {
      const limit = most - jobs.length - level.length
      if (limit > 0) level.push(...yield* manager.overview({ parent, limit }))
    }
    jobs.push(...level)
    const found = yield* manager.childCounts(level.map(({ record }) => record.id))
    for (const [parent, count] of found) counts.set(parent, count)
    parents = Array.from(found.keys())
  }
  return { jobs, counts }
})

const header = ["ID", "STATE", "COUNTED", "WHAT"]

/** Lines that show the jobs below a job as a tree. */
export const lines = Effect.fnUntraced(function*(
  { children, record: { id } }: JobStatus,
  title: (record: JobRecord) => string,
  columns: number
) {
  const all = Num.sumAll(Object.values(children))
  if (all === 0) return []
  const { counts, jobs } = yield* below(id)
  const tree = jobTree.asTree(jobs)
  const rows = tree.map(({ depth, job: { isOwnerDead, progress, record } }) => {
    const started = counts.get(record.id)
    const has = started === undefined ? "" : ` (has started ${jobTree.counted(started)})`
    return [
      record.id,
      summary.shortState(record, isOwnerDead),
      summary.countsOf(record, progress),
      jobTree.indented(depth, `${title(record)}${has}`)
    ]
  })
  const shown = tree.filter(({ depth }) => depth === 0).length
  const [first = "", ...others] = table(header, rows, columns, ["COUNTED"])
  return [
    first,
    ...others.map((line, n) => tree[n] === undefined ? line : jobTree.tinted(line, tree[n].job)),
    ...all > shown
      ? broken(`and ${format.count(all - shown)} more: \`fanout jobs list --parent ${id}\` lists them`, columns - 1)
      : []
  ]
})
