/**
 * Finds children: by their names, by their states, and those that are out of step with their parents.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Fragment } from "effect/sql/Statement"
import type { JobId } from "../../JobId.ts"
import type { JobRecord } from "../../JobRecord.ts"
import * as JobState from "../../JobState.ts"
import { astrayLimit } from "../store/request.ts"
import * as Rows from "../store/rows.ts"
import type { SqlAccess } from "./access.ts"
import { readable } from "./pages.ts"
import { decodedJobs, ranges, selectJobs, type Statements } from "./queries.ts"

/** The child of a name that is not cancelled. */
export const namedChild = (access: SqlAccess, parent: JobId, name: string): Statements<JobRecord | undefined> => {
  const { dialect: { indexed }, sql } = access
  return Effect.map(
    decodedJobs(
      "find a child",
      sql`${selectJobs(sql)}
        where j.parent_id = ${Rows.toText(parent)} and j.tag <> 'Cancelled'
          and ${indexed(sql.literal("j.parent_name"))} = ${indexed(sql`${Rows.toText(name)}`)}`
    ),
    ([child]) => child
  )
}

export const makeChildren = (access: SqlAccess) => {
  const { sql } = access

  const cancelledChild = (parent: JobId, name: string) =>
    decodedJobs(
      "find a child",
      sql`${selectJobs(sql)}
        where j.parent_id = ${Rows.toText(parent)} and j.tag = 'Cancelled' and j.parent_name = ${Rows.toText(name)}
        order by j.seq desc limit 1`
    )

  const child = (parent: JobId, name: string) =>
    access.run(
      "find a child",
      Effect.flatMap(namedChild(access, parent, name), (found) =>
        found === undefined
          ? Effect.map(cancelledChild(parent, name), ([cancelled]) => Option.fromUndefinedOr(cancelled))
          : Effect.succeedSome(found))
    )

  const childTags = (parent: JobId) => {
    const ofTag = (tag: JobState.Tag) =>
      sql`select tag from fanout_jobs where parent_id = ${Rows.toText(parent)} and tag = ${tag} limit 1`
    const found = sql`${ranges(sql, JobState.Tag.literals.map(ofTag))}`
    return access.read("look for children", found, Rows.decodeTag)
  }

  return { child, childTags, astray: astrayWith(access) }
}

const astrayWith = (access: SqlAccess) => {
  const { sql } = access
  const firstParent = (where: Fragment) =>
    sql`(select active_parent from fanout_jobs where ${where} order by active_parent limit 1)`
  const paused = sql`c.state like '%"by":"parent"%'`
  // Looks for the next parent behind each that it has found, and at those of its children of which something is due.
  return readable(
    access,
    "look for children",
    astrayLimit,
    (others, limit) => {
      const ofWish = (wish: "Run" | "Pause" | "Cancel", tag: JobState.Tag, where = sql`1 = 1`) =>
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
