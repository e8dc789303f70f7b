/**
 * Keeps jobs in a SQL database.
 *
 * The database is reached through a `SqlClient` of the store's own: whoever shares its connection waits for the
 * store's transactions and lets them wait. `internal/migrations.ts` describes the tables.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import * as Migrations from "./internal/migrations.ts"
import { again, SqlAccess, storageFailure } from "./internal/sqlAccess.ts"
import { makeItems, makeOwned } from "./internal/sqlItems.ts"
import { makeReads, makeWrites } from "./internal/sqlJobs.ts"
import { makePrune } from "./internal/sqlPrune.ts"
import { JobStore } from "./JobStore.ts"
import * as Errors from "./JobStoreError.ts"

/**
 * Layer that keeps jobs in the database of a `SqlClient`, and creates or updates the tables first.
 *
 * **Details**
 *
 * SQLite is the only dialect so far. A database that a newer version has written is refused with `StoreTooNew`
 * and left as it is. Operations that meet a lock are tried again for half a minute.
 *
 * **Gotchas**
 *
 * The client must be the store's alone. An application that uses the same database does so with a client of its own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<JobStore, Errors.JobStoreError, SqlClient.SqlClient> = Layer.effect(
  JobStore,
  Effect.gen(function*() {
    const access = new SqlAccess(yield* SqlClient.SqlClient)
    yield* open(access)
    return JobStore.of({
      ...makeReads(access),
      ...makeWrites(access),
      ...makeOwned(access),
      ...makeItems(access),
      prune: makePrune(access)
    })
  })
)

const open = Effect.fnUntraced(function*(access: SqlAccess) {
  const { dialect, sql } = access
  const version = Effect.gen(function*() {
    if (!(yield* dialect.hasTable(Migrations.table))) return 0
    const rows = yield* sql`select max(migration_id) as version from ${sql(Migrations.table)}`
    return Number(rows[0]?.["version"] ?? 0)
  })
  const check = Effect.gen(function*() {
    const found = yield* version
    const reason = new Errors.StoreTooNew({ found, supported: Migrations.supported })
    if (found > Migrations.supported) return yield* new Errors.JobStoreError({ reason })
    return found === Migrations.supported
  })
  const migrate = Migrator.make({})({ loader: Migrations.loader, table: Migrations.table }).pipe(
    Effect.provideService(SqlClient.SqlClient, sql),
    Effect.provideService(SqlClient.BeginTransaction, dialect.beginWriting),
    Effect.mapError((error) => {
      if (isSqlError(error)) return error
      return isSqlError(error.cause) ? error.cause : storageFailure("prepare its tables", "Other", error)
    }),
    Effect.andThen(check),
    Effect.flatMap((ready) => ready ? Effect.void : again("Another process is updating the tables"))
  )
  yield* access.run("open", Effect.flatMap(check, (ready) => ready ? Effect.void : migrate))
  const [store] = yield* access.run("open", sql`select id from fanout_store`)
  if (typeof store?.["id"] !== "string") {
    return yield* storageFailure("open", "Corrupt", new Error("The store has no id"))
  }
  access.storeId = store["id"]
})
