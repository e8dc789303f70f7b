/**
 * Reads what belongs to a job: its checkpoints, what its elements came to, its log.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { JobId } from "../../JobId.ts"
import type { JobStore } from "../../JobStore.ts"
import type { Outcome } from "../../Outcome.ts"
import * as Rows from "../store/rows.ts"
import type { SqlAccess } from "./access.ts"
import { atMost, ranges } from "./queries.ts"

export const makeItems = (access: SqlAccess) => {
  const { sql } = access

  const inOrder = (newestFirst: boolean | undefined, limit: number) =>
    sql`order by seq ${sql.literal(newestFirst ? "desc" : "asc")} limit ${atMost(limit)}`

  type OutcomesOptions = Parameters<JobStore["Service"]["outcomes"]>[1]
  const outcomes = (id: JobId, { after, fanOut, limit, newestFirst, tags }: OutcomesOptions) => {
    const wanted = new Set<Outcome["_tag"]>(tags ?? ["Done", "Skipped", "Failed"])
    if (wanted.size === 0) return Effect.succeed([])
    const next = inOrder(newestFirst, limit)
    const inFanOut = fanOut === undefined ? sql.literal("") : sql`and fan_out = ${Rows.toText(fanOut)}`
    const ofTag = (tag: Outcome["_tag"]) =>
      sql`select * from fanout_outcomes
        where job_id = ${Rows.toText(id)} and tag = ${tag} and seq > ${after} ${inFanOut} ${next}`
    const found = sql`select * from (${ranges(sql, Array.from(wanted, ofTag))}) as each ${next}`
    return access.read("read outcomes", found, Rows.decodeOutcome)
  }

  const checkpointIn = (table: "fanout_checkpoints" | "fanout_own_checkpoints") => (id: JobId, name: string) =>
    access.run(
      "read a checkpoint",
      Effect.map(
        sql`select checkpoint from ${sql.literal(table)}
          where job_id = ${Rows.toText(id)} and name = ${Rows.toText(name)}`,
        ([row]) => row === undefined ? Option.none<string>() : Option.some(Rows.fromText(String(row["checkpoint"])))
      )
    )

  return {
    outcomes,
    checkpoint: checkpointIn("fanout_checkpoints"),
    ownCheckpoint: checkpointIn("fanout_own_checkpoints"),
    failures: (id: JobId) =>
      access.run(
        "count failed items",
        Effect.map(
          sql`select count(*) as failed from fanout_outcomes where job_id = ${Rows.toText(id)} and tag = 'Failed'`,
          ([row]) => Number(row?.["failed"])
        )
      ),
    logs: (id: JobId, { after, limit, newestFirst }: Parameters<JobStore["Service"]["logs"]>[1]) =>
      access.read(
        "read a job's log",
        sql`select seq, at, level, message from fanout_logs
            where job_id = ${Rows.toText(id)} and seq > ${after} ${inOrder(newestFirst, limit)}`,
        Rows.decodeLogEntry
      )
  }
}
