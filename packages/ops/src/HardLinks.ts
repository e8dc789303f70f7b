/**
 * Remembers where a copy has put files that have several names, so that the other names become names of the same copy.
 *
 * `layerSql` keeps them in a table of the database of the jobs.
 *
 * **`fanout_hard_links`**: one row for each such file of a job that is not done.
 *
 * | column | what it holds |
 * | --- | --- |
 * | `job` | id of the job |
 * | `edition` | what tells the file from all others, and from what it was before |
 * | `target` | path of the copy, as `FilePath.toText` writes it |
 * | `added_at` | milliseconds since the epoch |
 */
import type * as JobId from "@fanout/core/JobId"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as FilePath from "./FilePath.ts"
import { failure, prepareTables, waiting } from "./internal/work/sqlTables.ts"

/**
 * Service that remembers them.
 *
 * @category services
 */
export class HardLinks extends Context.Service<HardLinks, {
  /** Where the job has put some of these files. The edition of one tells it from all others, and from what it was. */
  readonly find: (
    job: JobId.JobId,
    editions: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyMap<string, FilePath.FilePath>, JobStoreError>

  /** Remembers where the job has put a file, in place of where it was before. */
  readonly add: (
    job: JobId.JobId,
    edition: string,
    target: FilePath.FilePath
  ) => Effect.Effect<void, JobStoreError>

  /** Forgets all files of the job. */
  readonly forget: (job: JobId.JobId) => Effect.Effect<void, JobStoreError>
}>()("@fanout/ops/HardLinks") {}

const refuse = Effect.die(
  new Error("Hard links are to be kept, and nothing remembers them: provide HardLinks.layerSql, or FileJobs.layer")
)

/**
 * Remembers nothing: a job that is to keep hard links is refused when it starts.
 *
 * @category constructors
 */
export const none: HardLinks["Service"] = { find: () => refuse, add: () => refuse, forget: () => refuse }

/**
 * Layer for jobs that keep no hard links. One that is to keep them, as a move does, is refused when it starts.
 *
 * @category layers
 */
export const layerNone: Layer.Layer<HardLinks> = Layer.succeed(HardLinks, none)

const migrations = Migrator.fromRecord({
  "1_initial": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const real = sql.onDialectOrElse({ sqlite: () => "real", orElse: () => "double precision" })
    const suffix = sql.onDialectOrElse({ sqlite: () => "strict, without rowid", orElse: () => "" })
    yield* sql`create table fanout_hard_links (
      job text not null,
      edition text not null,
      target text not null,
      added_at ${sql.literal(real)} not null,
      primary key (job, edition)
    ) ${sql.literal(suffix)}`
  })
})

const prepare = prepareTables("fanout_hard_links_migrations", migrations, "prepare its table of hard links")

/** Jobs that nobody has gone on with for so long have left their rows behind. */
const keptMillis = 90 * 24 * 60 * 60 * 1000

const makeSql = Effect.fnUntraced(
  function*(sql: SqlClient.SqlClient): Effect.fn.Return<HardLinks["Service"], JobStoreError> {
    yield* prepare(sql)
    const operation = "remember hard links"
    const run = <A>(statement: Effect.Effect<A, SqlError>): Effect.Effect<A, JobStoreError> =>
      Effect.mapError(waiting(statement), failure(operation))
    const before = (yield* Clock.currentTimeMillis) - keptMillis
    yield* run(sql`delete from fanout_hard_links where added_at < ${before}`)
    return {
      find: (job, editions) =>
        Effect.map(
          run(
            sql`select edition, target from fanout_hard_links where job = ${job} and ${sql.in("edition", editions)}`
          ),
          (rows) => new Map(rows.map(({ edition, target }) => [String(edition), FilePath.fromText(String(target))]))
        ),
      add: (job, edition, target) =>
        Effect.flatMap(Clock.currentTimeMillis, (added_at) =>
          Effect.asVoid(run(sql`insert into fanout_hard_links
          ${sql.insert({ job, edition, target: FilePath.toText(target), added_at })}
          on conflict (job, edition) do update set target = excluded.target, added_at = excluded.added_at`))),
      forget: (job) => Effect.asVoid(run(sql`delete from fanout_hard_links where job = ${job}`))
    }
  }
)

/**
 * Layer that remembers them in the database of a client: one of the same database as the store's, not its own.
 *
 * @category layers
 */
export const layerSql: Layer.Layer<HardLinks, JobStoreError, SqlClient.SqlClient> = Layer.effect(
  HardLinks,
  Effect.flatMap(SqlClient.SqlClient, (client) => makeSql(client.withoutTransforms()))
)
