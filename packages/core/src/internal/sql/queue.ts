/**
 * Finds what there is to do: jobs that are queued, jobs whose owner may be lost, children that are out of step.
 */
import * as Effect from "effect/Effect"
import type { Fragment } from "effect/sql/Statement"
import type * as JobState from "../../JobState.ts"
import type { Astray, JobStore, Kind } from "../../JobStore.ts"
import { astrayLimit } from "../store/request.ts"
import * as Rows from "../store/rows.ts"
import type { SqlAccess } from "./access.ts"
import { fullNames } from "./concurrencies.ts"
import { ranges, readable, selectJobs } from "./queries.ts"

type Service = JobStore["Service"]

export const lookWith = (access: SqlAccess): Service["look"] => (now) => {
  const { sql } = access
  const firstQueued = (where: Fragment) =>
    sql`(select seq from fanout_jobs where tag = 'Queued' and ${where} order by name, version limit 1)`
  const flag = (what: string, where: Fragment) =>
    sql`select ${sql.literal(`'${what}'`)}, 0, '', '', 0, null, null, null where exists (select 1 from ${where})`
  const found = readable(
    access,
    "look for what there is to do",
    Number.POSITIVE_INFINITY,
    (others) =>
      // Each step of the recursion finds the next kind in the index, so that not every queued job is read.
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
        select 'Full', 0, '', full_names.name, 0, null, null, null from (${fullNames(access)}) as full_names
        union all
        ${flag("Child", sql`fanout_jobs where active_parent is not null`)}
        union all
        ${flag("ToCancel", sql`fanout_jobs where tag = 'Queued' and request = 'Cancel'`)}
        union all
        ${flag("Schedule", sql`fanout_schedules where next_at <= ${now}`)}
        order by seq`,
    (row) => ({
      what: row["what"],
      held: row["what"] === "Held" ? [Rows.decodeHeld(row)] : [],
      kinds: row["what"] === "Kind" ? [Rows.decodeKind(row)] : [],
      full: row["what"] === "Full" ? [Rows.decodeKind(row).name] : []
    })
  )
  return Effect.map(found, (found) => ({
    held: found.flatMap(({ held }) => held),
    kinds: found.flatMap(({ kinds }) => kinds),
    full: found.flatMap(({ full }) => full),
    hasChildren: found.some(({ what }) => what === "Child"),
    hasJobsToCancel: found.some(({ what }) => what === "ToCancel"),
    hasDueSchedules: found.some(({ what }) => what === "Schedule")
  }))
}

export const dueWith = (access: SqlAccess): Service["due"] => ({ except, ids, kinds, limit, now, parents }) => {
  const { sql } = access
  if (kinds.length === 0) return Effect.succeed([])
  const ofKind = ({ name, version }: Kind) => sql`name = ${Rows.toText(name)} and version = ${version}`
  const narrow = [
    ...(parents === undefined ? [] : [access.isOneOf("parent_id", parents)]),
    ...(ids === undefined ? [] : [access.isOneOf("id", ids)])
  ]
  // There is one range for each kind. Ids have an index of their own, which a plain condition on `tag` would rule out.
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
    (row) => Rows.decodeListed(row).record
  )
}

export const toCancelWith = (access: SqlAccess): Service["toCancel"] => ({ children, except, ids, limit, names }) => {
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
    (row) => Rows.decodeListed(row).record
  )
}

export const astrayWith = (access: SqlAccess): Service["astray"] => {
  const { sql } = access
  const firstParent = (where: Fragment) =>
    sql`(select active_parent from fanout_jobs where ${where} order by active_parent limit 1)`
  const paused = sql`c.state like '%"by":"parent"%'`
  // Each step of the recursion finds the next parent in the index. Only children that are out of step are read.
  return readable(
    access,
    "look for children",
    astrayLimit,
    (others, limit) => {
      const ofWish = (wish: Astray["wish"], tag: JobState.Tag, where = sql`1 = 1`) =>
        sql`select c.id, w.wish from wishes w cross join fanout_jobs c
          where w.wish = ${wish} and c.active_parent = w.id and c.tag = ${tag}
            and (c.request is null or c.request <> 'Cancel') and ${where} and ${others("c.seq")}`
      return sql`with recursive parents (id) as (
          select ${firstParent(sql`active_parent is not null`)}
          union all
          select ${firstParent(sql`active_parent > parents.id`)} from parents where parents.id is not null
        ), wishes (id, wish) as (
          select parents.id, case
            when j.id is null or j.tag not in ('Queued', 'Running', 'Paused') or j.request = 'Cancel' then 'Cancel'
            when j.tag = 'Paused' or j.request is not null then 'Pause'
            else 'Run'
          end
          from parents left join fanout_jobs j on j.id = parents.id where parents.id is not null
        )
        select found.wish, j.*, p.payload from (select id, wish from (${
        sql.join(" union all ", false)([
          ofWish("Cancel", "Queued"),
          ofWish("Cancel", "Paused"),
          ofWish("Cancel", "Running"),
          ofWish("Pause", "Queued"),
          ofWish("Pause", "Running", sql`c.request is null`),
          ofWish("Run", "Paused", paused),
          ofWish("Run", "Running", sql`c.request = 'PauseWithParent'`)
        ])
      }) as each limit ${limit}) as found
        join fanout_jobs j on j.id = found.id left join fanout_payloads p on p.job_id = j.id`
    },
    Rows.decodeAstray
  )
}
