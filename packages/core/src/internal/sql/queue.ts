/**
 * Finds jobs to run: those that are queued, and those whose owner may be lost.
 */
import * as Effect from "effect/Effect"
import type { Fragment } from "effect/sql/Statement"
import type { JobStore } from "../../JobStore.ts"
import * as Rows from "../job/rows.ts"
import { atMost, selectJobs, type SqlAccess } from "./access.ts"

export const makeQueue = (access: SqlAccess) => {
  const { dialect, sql } = access

  const firstQueued = (where: Fragment) =>
    sql`(select seq from fanout_jobs where tag = 'Queued' and ${where} order by name, version limit 1)`
  // Looks for the next kind behind each that it has found, instead of at every job.
  const kinds = access.read(
    "look for queued jobs",
    sql`with recursive found (seq) as (
          select ${firstQueued(sql`1 = 1`)}
          union all
          select coalesce(
            ${firstQueued(sql`name = last.name and version > last.version`)},
            ${firstQueued(sql`name > last.name`)}
          ) from found join fanout_jobs last on last.seq = found.seq
        )
        select name, version from fanout_jobs where seq in (select seq from found)`,
    Rows.decodeKind
  )

  const due = ({ except, ids, kinds, limit, now, parents }: Parameters<JobStore["Service"]["due"]>[0]) => {
    const first = sql`order by priority desc, created_at, seq limit ${atMost(limit)}`
    const named = Array.from(ids, Rows.toText)
    // One ordered range of the index for each kind.
    const ranges = kinds.map(({ name, version }) =>
      sql`tag = 'Queued' and name = ${Rows.toText(name)} and version = ${version}`
    )
    const families = Array.from(parents, Rows.toText)
    if (families.length > 0) ranges.push(sql`tag = 'Queued' and ${dialect.isOneOf(sql.literal("parent_id"), families)}`)
    // Not `tag` alone: its index would be taken before that of the few ids.
    if (named.length > 0) ranges.push(sql`tag || '' = 'Queued' and ${dialect.isOneOf(sql.literal("id"), named)}`)
    if (ranges.length === 0) return Effect.succeed([])
    const others = sql`not ${dialect.isOneOf(sql.literal("id"), Array.from(except, Rows.toText))}`
    const found = ranges.map((range) =>
      sql`select * from (select seq, priority, created_at from fanout_jobs
        where ${range} and request is null and available_at <= ${now} and ${others} ${first}) as one`
    )
    return access.read(
      "find jobs to run",
      sql`${selectJobs(sql)}
          where j.seq in (select seq from (${sql.join(" union ", false)(found)}) as each ${first})
          order by j.priority desc, j.created_at, j.seq`,
      Rows.decodeJob
    )
  }

  const toCancel = ({ children, except, ids, limit, names }: Parameters<JobStore["Service"]["toCancel"]>[0]) => {
    const isOneOf = (column: string, values: Iterable<string>) =>
      dialect.isOneOf(sql.literal(column), Array.from(values, Rows.toText))
    return access.read(
      "find jobs to clean up after",
      sql`${selectJobs(sql)}
          where j.tag = 'Queued' and j.request = 'Cancel' and not ${isOneOf("j.id", except)}
            and (${isOneOf("j.name", names)} or ${isOneOf("j.id", ids)}
              or (j.parent_id is not null and ${isOneOf("j.name", children)}))
          order by j.priority desc, j.created_at, j.seq limit ${atMost(limit)}`,
      Rows.decodeJob
    )
  }

  const held = access.read(
    "look for running jobs",
    sql`select id, name, version, lease, parent, beat from fanout_jobs where tag = 'Running' order by seq`,
    Rows.decodeHeld
  )

  return { kinds, due, toCancel, held }
}
