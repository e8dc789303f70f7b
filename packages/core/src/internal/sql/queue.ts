/**
 * Finds what there is to do: jobs that are queued, and those whose owner may be lost.
 */
import * as Effect from "effect/Effect"
import type { Fragment } from "effect/sql/Statement"
import type { Held, JobStore, Kind, Look } from "../../JobStore.ts"
import * as Rows from "../job/rows.ts"
import { type Row, selectJobs, type SqlAccess } from "./access.ts"
import { readable } from "./pages.ts"

export const makeQueue = (access: SqlAccess) => {
  const { sql } = access

  const look = (now: number) => {
    const firstQueued = (where: Fragment) =>
      sql`(select seq from fanout_jobs where tag = 'Queued' and ${where} order by name, version limit 1)`
    const flag = (what: string, where: Fragment) =>
      sql`select ${sql.literal(`'${what}'`)}, 0, '', '', 0, null, null, null where exists (select 1 from ${where})`
    return Effect.map(
      readable(
        access,
        "look for what there is to do",
        Number.POSITIVE_INFINITY,
        (others) =>
          // Looks for the next kind behind each that it has found, instead of at every job.
          sql`with recursive found (seq) as (
              select ${firstQueued(others("seq"))}
              union all
              select coalesce(
                ${firstQueued(sql`name = last.name and version > last.version and ${others("seq")}`)},
                ${firstQueued(sql`name > last.name and ${others("seq")}`)}
              ) from found join fanout_jobs last on last.seq = found.seq
            )
            select 'Held' as what, seq, id, name, version, lease, parent, beat
              from fanout_jobs where tag = 'Running' and ${others("seq")}
            union all
            select 'Kind', seq, id, name, version, null, null, null
              from fanout_jobs where seq in (select seq from found)
            union all
            ${flag("Child", sql`fanout_jobs where active_parent is not null`)}
            union all
            ${flag("ToCancel", sql`fanout_jobs where tag = 'Queued' and request = 'Cancel'`)}
            union all
            ${flag("Schedule", sql`fanout_schedules where next_at <= ${now}`)}
            order by seq`,
        decodeFound
      ),
      lookOf
    )
  }

  return { look, due: dueWith(access), toCancel: toCancelWith(access) }
}

const dueWith =
  (access: SqlAccess) => ({ except, ids, kinds, limit, now, parents }: Parameters<JobStore["Service"]["due"]>[0]) => {
    const { dialect, sql } = access
    if (kinds.length === 0) return Effect.succeed([])
    const passed = sql`not ${dialect.isOneOf(sql.literal("id"), Array.from(except, Rows.toText))}`
    const ofKind = ({ name, version }: Kind) => sql`name = ${Rows.toText(name)} and version = ${version}`
    const isAmong = (column: string, jobs: Iterable<string>) =>
      dialect.isOneOf(sql.literal(column), Array.from(jobs, Rows.toText))
    const narrow = [
      ...(parents === undefined ? [] : [isAmong("parent_id", parents)]),
      ...(ids === undefined ? [] : [isAmong("id", ids)])
    ]
    // One ordered range of the index for each kind; of few ids another one, which `tag` alone would keep from use.
    const ranges = narrow.length === 0
      ? kinds.map((kind) => sql`tag = 'Queued' and ${ofKind(kind)}`)
      : [sql.and([
        ids === undefined ? sql`tag = 'Queued'` : sql`tag || '' = 'Queued'`,
        ...narrow,
        sql.or(kinds.map(ofKind))
      ])]
    return readable(
      access,
      "find jobs to run",
      limit,
      (others, limit) => {
        const first = sql`order by priority desc, created_at, seq limit ${limit}`
        const found = ranges.map((range) =>
          sql`select * from (select seq, priority, created_at from fanout_jobs
          where ${range} and request is null and available_at <= ${now} and ${passed} and ${
            others("seq")
          } ${first}) as one`
        )
        return sql`${selectJobs(sql)}
        where j.seq in (select seq from (${sql.join(" union ", false)(found)}) as each ${first})
        order by j.priority desc, j.created_at, j.seq`
      },
      Rows.decodeListed
    )
  }

const toCancelWith =
  (access: SqlAccess) => ({ children, except, ids, limit, names }: Parameters<JobStore["Service"]["toCancel"]>[0]) => {
    const { dialect, sql } = access
    const isOneOf = (column: string, values: Iterable<string>) =>
      dialect.isOneOf(sql.literal(column), Array.from(values, Rows.toText))
    return readable(
      access,
      "find jobs to clean up after",
      limit,
      (others, limit) =>
        sql`${selectJobs(sql)}
          where j.tag = 'Queued' and j.request = 'Cancel' and not ${isOneOf("j.id", except)} and ${others("j.seq")}
            and (${isOneOf("j.name", names)} or ${isOneOf("j.id", ids)}
              or (j.parent_id is not null and ${isOneOf("j.name", children)}))
          order by j.priority desc, j.created_at, j.seq limit ${limit}`,
      Rows.decodeListed
    )
  }

type Found =
  | { readonly what: "Held"; readonly held: Held }
  | { readonly what: "Kind"; readonly kind: Kind }
  | { readonly what: "Flag"; readonly flag: unknown }

const decodeFound = (row: Row): Found => {
  const { what } = row
  if (what === "Held") return { what, held: Rows.decodeHeld(row) }
  if (what === "Kind") return { what, kind: Rows.decodeKind(row) }
  return { what: "Flag", flag: what }
}

const lookOf = (found: ReadonlyArray<Found>): Look => {
  const flags = new Set(found.flatMap((one) => one.what === "Flag" ? [one.flag] : []))
  return {
    held: found.flatMap((one) => one.what === "Held" ? [one.held] : []),
    kinds: found.flatMap((one) => one.what === "Kind" ? [one.kind] : []),
    hasChildren: flags.has("Child"),
    hasJobsToCancel: flags.has("ToCancel"),
    hasDueSchedules: flags.has("Schedule")
  }
}
