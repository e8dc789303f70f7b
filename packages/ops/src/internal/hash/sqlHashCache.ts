/**
 * Remembers the digests of files in the database of the jobs, in a table of its own.
 *
 * **`fanout_hashes`**: one row for each file and algorithm, which its next digest replaces.
 *
 * | column | what it holds |
 * | --- | --- |
 * | `algorithm` | name of the algorithm |
 * | `file`, `state` | what the file is known by, and how it was: the parts of a `Stamp` |
 * | `digest` | in hexadecimal digits |
 * | `used_at` | milliseconds since the epoch; true to a day |
 */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { HashAlgorithm } from "../../HashAlgorithm.ts"
import { failure, prepareTables, waiting } from "../work/sqlTables.ts"
import * as HashCache from "./hashCache.ts"

const migrations = Migrator.fromRecord({
  "1_initial": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const real = sql.onDialectOrElse({ sqlite: () => "real", orElse: () => "double precision" })
    const suffix = sql.onDialectOrElse({ sqlite: () => "strict, without rowid", orElse: () => "" })
    yield* sql`create table fanout_hashes (
      algorithm text not null,
      file text not null,
      state text not null,
      digest text not null,
      used_at ${sql.literal(real)} not null,
      primary key (algorithm, file)
    ) ${sql.literal(suffix)}`
    yield* sql`create index fanout_hashes_used on fanout_hashes (used_at)`
  })
})

const prepare = prepareTables("fanout_hashes_migrations", migrations, "prepare its table of digests")

type Find = (algorithm: HashAlgorithm, stamp: HashCache.Stamp) => Effect.Effect<Option.Option<HashCache.Found>>

/** Looks up by the connection itself: as a statement it takes twice as long, for each of a million files. */
const finder = (sql: SqlClient.SqlClient): Find => {
  const [text] = sql`select digest, used_at from fanout_hashes
    where algorithm = ${""} and file = ${""} and state = ${""}`.compile()
  return (algorithm, { file, state }) =>
    Effect.scoped(
      Effect.flatMap(sql.reserve, (connection) => connection.executeValues(text, [algorithm, file, state]))
    ).pipe(
      Effect.map(([row]) =>
        row === undefined ? Option.none() : Option.some({ digest: String(row[0]), usedAt: Number(row[1]) })
      ),
      Effect.orElseSucceed(() => Option.none())
    )
}

/** Statements for few numbers of rows, so that there are few to prepare. */
const chunkSizes = [64, 8, 1]

const remember = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, entries: ReadonlyArray<HashCache.Entry>) {
  const used_at = yield* Clock.currentTimeMillis
  // On Postgres a statement can't change a row twice, and a file can have two names.
  const distinct = new Map(entries.map((entry) => [`${entry.algorithm} ${entry.file}`, entry]))
  const rows = Array.from(
    distinct.values(),
    ({ algorithm, digest, file, state }) => ({ algorithm, file, state, digest, used_at })
  )
  for (const size of chunkSizes) {
    while (rows.length >= size) {
      const chunk = rows.splice(0, size)
      if (!Arr.isArrayNonEmpty(chunk)) break
      yield* sql`insert into fanout_hashes ${sql.insert(chunk)}
        on conflict (algorithm, file)
        do update set state = excluded.state, digest = excluded.digest, used_at = excluded.used_at`
    }
  }
})

/** So many are forgotten at once: the driver may be synchronous, and nobody else can write meanwhile. */
const slice = 500

const forget = (sql: SqlClient.SqlClient, before: number): Effect.Effect<void, SqlError> =>
  Effect.suspend(() =>
    waiting(sql`delete from fanout_hashes where (algorithm, file) in
      (select algorithm, file from fanout_hashes where used_at < ${before} limit ${slice}) returning file`)
  ).pipe(
    Effect.flatMap((rows) => rows.length < slice ? Effect.void : Effect.andThen(Effect.yieldNow, forget(sql, before)))
  )

const make = (sql: SqlClient.SqlClient): HashCache.HashCache => ({
  find: finder(sql),
  remember: (entries) => Effect.mapError(remember(sql, entries), failure("remember digests")),
  recording: (fanOut) =>
    prepare(sql).pipe(
      // The store looks for it in the fan-out's context, to run what it does in its own transaction.
      Effect.andThen(Effect.provideService(fanOut, SqlClient.SqlClient, sql)),
      Effect.tap(() =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          // What is not forgotten now will be next time.
          Effect.ignore(forget(sql, HashCache.keptSince(now))))
      )
    )
})

/**
 * Layer that remembers digests in the database of a client: one of the same database as the store's, not its own.
 *
 * Use for the job, and for its tasks where these run on fibers; for tasks on threads there is `layerLookup`.
 *
 * The table is made when a job begins to record, not when the layer is built.
 */
export const layer: Layer.Layer<never, never, SqlClient.SqlClient> = Layer.effect(
  HashCache.HashCache,
  Effect.map(SqlClient.SqlClient, (client) => make(client.withoutTransforms()))
)

/**
 * Layer that only finds digests, for threads: it opens the database once the first one is looked for. Where it can't be
 * opened nothing is found.
 */
export const layerLookup = <E>(client: Layer.Layer<SqlClient.SqlClient, E>): Layer.Layer<never> =>
  Layer.effect(
    HashCache.HashCache,
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const find = yield* Effect.cached(
        Layer.buildWithScope(client, scope).pipe(
          Effect.flatMap((context) => Effect.provide(SqlClient.SqlClient, context)),
          Effect.map((client) => finder(client.withoutTransforms())),
          Effect.orElseSucceed((): Find => () => Effect.succeedNone)
        )
      )
      return {
        ...HashCache.HashCache.defaultValue(),
        find: (algorithm, stamp) => Effect.flatMap(find, (find) => find(algorithm, stamp))
      }
    })
  )
