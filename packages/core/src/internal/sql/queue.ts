/**
 * Finds what there is to do: jobs that are queued, and those whose owner may be lost.
 */
import * as Effect from "effect/Effect"
import type { Fragment } from "effect/sql/Statement"
import type { Held, JobStore, Kind, Look } from "../../JobStore.ts"
import * as Rows from "../store/rows.ts"
import type { SqlAccess } from "./access.ts"
import { readable } from "./pages.ts"
import { ranges, type Row, selectJobs } from "./queries.ts"

type Filter<Name extends "due" | "toCancel"> = Parameters<JobStore["Service"][Name]>[0]

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

  return {
    look,
    due: (filter: Filter<"due">) => due(access, filter),
    toCancel: (filter: Filter<"toCancel">) => toCancel(access, filter)
  }
}

const due = (access: SqlAccess, { except, ids, kinds, limit, now, parents }: Filter<"due">) => {
  const { sql } = access
  if (kinds.length === 0) return Effect.succeed([])
  const ofKind = ({ name, version }: Kind) => sql`name = ${Rows.toText(name)} and version = ${version}`
  const narrow = [
    ...(parents === undefined ? [] : [access.isOneOf("parent_id", parents)]),
    ...(ids === undefined ? [] : [access.isOneOf("id", ids)])
  ]
  // One range for each kind; of few ids another one, which `tag` alone would keep from use.
  const conditions = narrow.length === 0
    ? kinds.map((kind) => sql`tag = 'Queued' and ${ofKind(kind)}`)
    : [sql.and([
      ids === undefined ? sql`tag = 'Queued'` : sql`tag || '' = 'Queued'`,
      ...narrow,
      sql.or(kinds.map(ofKind))
    ])]
  const passed = access.isOneOf("id", except)
  return readable(
    access,
    "find jobs to run",
    limit,
    (others, limit) => {
      const first = sql`order by priority desc, created_at, seq limit ${limit}`
      const found = conditions.map((condition) =>
        sql`select seq, priority, created_at from fanout_jobs where ${condition} and request is null
          and available_at <= ${now} and not ${passed} and ${others("seq")} ${first}`
      )
      return sql`${selectJobs(sql)}
        where j.seq in (select seq from (${ranges(sql, found, "union")}) as each ${first})
        order by j.priority desc, j.created_at, j.seq`
    },
    Rows.decodeListed
  )
}

const toCancel = (access: SqlAccess, { children, except, ids, limit, names }: Filter<"toCancel">) => {
  const { sql } = access
  return readable(
    access,
    "find jobs to clean up after",
    limit,
    (others, limit) =>
      sql`${selectJobs(sql)}
        where j.tag = 'Queued' and j.request = 'Cancel' and not ${access.isOneOf("j.id", except)} and ${others("j.seq")}
          and (${access.isOneOf("j.name", names)} or ${access.isOneOf("j.id", ids)}
            or (j.parent_id is not null and ${access.isOneOf("j.name", children)}))
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
